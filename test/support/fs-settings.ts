// Settings of a store in a folder, for tests that need no MinIO.
import type { StorageSettings } from '../../platform/adapters/storage.ts';

export const fsSettings = (dataDir: string): StorageSettings => ({
  STORAGE: 'fs',
  DATA_DIR: dataDir,
  S3_ENDPOINT: null,
  S3_REGION: 'us-east-1',
  S3_BUCKET: 'headwater',
  S3_ACCESS_KEY: null,
  S3_SECRET_KEY: null,
});
