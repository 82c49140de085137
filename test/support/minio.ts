// A real MinIO for one test file: `minio` from PATH, or the one that the set-up built into the user's cache folder.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { StorageSettings } from '../../platform/adapters/storage.ts';
import { requirePart } from './parts.ts';
import { freePort } from './ports.ts';
import { type ServerProcess, startProcess } from './server-process.ts';
import { tempDir } from './temp.ts';

export type TestMinio = {
  /** For openStorage; DATA_DIR is a folder of its own. */
  settings: StorageSettings;
  /** Folder with the server's data. */
  dir: string;
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  restart(): Promise<void>;
};

/** Path of the program, or null. */
export function findMinio(): string | null {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(cache, 'headwater', 'bin')];
  return folders.map((folder) => join(folder, 'minio')).find((path) => existsSync(path)) ?? null;
}

/** Whether tests on MinIO can run here; says how to get it when not. */
export const hasMinio = (): Promise<boolean> => requirePart('minio', () => findMinio() !== null);

/** Starts a MinIO on a free port with new keys and an empty folder. */
export async function startMinio(): Promise<TestMinio> {
  const program = findMinio();
  if (program === null) throw new Error('minio is missing');
  const port = await freePort();
  const dir = await tempDir('minio');
  const endpoint = `http://127.0.0.1:${port}`;
  const accessKey = 'headwater-test';
  const secretKey = `secret-${port}-${process.pid}`;
  const args = ['server', '--quiet', '--address', `127.0.0.1:${port}`, dir];
  const env = { MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, MINIO_BROWSER: 'off', MINIO_UPDATE: 'off' };
  const start = () =>
    startProcess(program, args, { cwd: dir, env }, async () => (await fetch(`${endpoint}/minio/health/ready`)).ok);
  let server: ServerProcess = await start();
  return {
    settings: {
      STORAGE: 's3',
      DATA_DIR: await tempDir('minio-data'),
      S3_ENDPOINT: endpoint,
      S3_REGION: 'us-east-1',
      S3_BUCKET: 'headwater-test',
      S3_ACCESS_KEY: accessKey,
      S3_SECRET_KEY: secretKey,
    },
    dir,
    stop: () => server.stop(),
    kill: () => server.kill(),
    async restart() {
      await server.stop();
      server = await start();
    },
  };
}
