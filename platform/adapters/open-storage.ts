// Chooses the storage driver from the settings.
import { join } from 'node:path';
import { SettingsInvalid } from '../runtime/errors.ts';
import type { Logger } from '../runtime/log.ts';
import type { ObjectStorage, StorageSettings } from './storage.ts';
import { createFsStorage } from './storage-fs.ts';
import { createS3Storage } from './storage-s3.ts';

/**
 * Opens the store that the settings name; nothing is touched before its first call. `fs` lives in DATA_DIR/store;
 * `minio` is an S3 server whose address and keys the supervisor has put into the S3 settings.
 * @throws SettingsInvalid when the S3 settings are incomplete
 */
export function openStorage(settings: StorageSettings, log: Logger): ObjectStorage {
  const storage = settings.STORAGE === 'fs' ? createFsStorage(join(settings.DATA_DIR, 'store')) : openS3(settings);
  log.debug('storage opened', { storage: storage.description });
  return storage;
}

function openS3(settings: StorageSettings): ObjectStorage {
  const { S3_ENDPOINT: endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey } = settings;
  if (endpoint === null || accessKey === null || secretKey === null) {
    const missing = Object.entries({ S3_ENDPOINT: endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey })
      .filter(([, value]) => value === null)
      .map(([name]) => ({
        variable: `HEADWATER_${name}`,
        message: `is required with HEADWATER_STORAGE=${settings.STORAGE}`,
      }));
    throw new SettingsInvalid(missing);
  }
  return createS3Storage({ endpoint, accessKey, secretKey, region: settings.S3_REGION, bucket: settings.S3_BUCKET });
}
