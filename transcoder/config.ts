// The transcoder's part of the settings, with units in the names.
import { hostname } from 'node:os';
import type { StorageSettings } from '../platform/adapters/storage.ts';
import type { JobName } from '../platform/contract/jobs.ts';
import type { Settings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';

export type TranscoderConfig = {
  /** Queues that this worker takes jobs from, with jobs at a time; 0: none. */
  concurrency: Record<JobName, number>;
  vodPreset: string;
  livePreset: string;
  liveMaxRungs: number;
  /** Length of a live playlist. Unit: s. */
  liveWindowS: number;
  sandbox: Settings['SANDBOX'];
  dataDir: string;
  /** Free space that a download leaves on the scratch disk. */
  diskReserveBytes: number;
  internalSecret: string;
  redisUrl: string;
  /** Address that the private port listens on. */
  bindHost: string;
  /** Host name by which other roles reach this one. */
  advertisedHost: string;
  privatePort: number;
  storage: StorageSettings;
};

const ANY_ADDRESS = ['0.0.0.0', '::'];

/**
 * Picks what a transcoder needs. Pure, but for the host name that stands in where it listens on every address.
 * @throws SettingsInvalid without INTERNAL_SECRET: live media is read from the ingest with it
 */
export function pickTranscoderConfig(settings: Settings): TranscoderConfig {
  const internalSecret = settings.INTERNAL_SECRET;
  if (internalSecret === undefined) {
    throw new SettingsInvalid([
      {
        variable: 'HEADWATER_INTERNAL_SECRET',
        message: 'is required: the same 32 characters or more for every role (`npm start` makes one)',
      },
    ]);
  }
  const pools = settings.TRANSCODER_POOLS;
  return {
    concurrency: {
      vod: pools === 'live' ? 0 : settings.TRANSCODER_VOD_JOBS,
      live: pools === 'vod' ? 0 : settings.TRANSCODER_LIVE_JOBS,
    },
    vodPreset: settings.TRANSCODER_VOD_PRESET,
    livePreset: settings.TRANSCODER_LIVE_PRESET,
    liveMaxRungs: settings.TRANSCODER_LIVE_MAX_RUNGS,
    liveWindowS: settings.LIVE_WINDOW_S,
    sandbox: settings.SANDBOX,
    dataDir: settings.DATA_DIR,
    diskReserveBytes: settings.DISK_RESERVE_BYTES,
    internalSecret,
    redisUrl: settings.REDIS_URL,
    bindHost: settings.PRIVATE_BIND,
    advertisedHost:
      settings.PRIVATE_HOST ?? (ANY_ADDRESS.includes(settings.PRIVATE_BIND) ? hostname() : settings.PRIVATE_BIND),
    privatePort: settings.METRICS_PORT,
    storage: {
      STORAGE: settings.STORAGE,
      DATA_DIR: settings.DATA_DIR,
      S3_ENDPOINT: settings.S3_ENDPOINT,
      S3_REGION: settings.S3_REGION,
      S3_BUCKET: settings.S3_BUCKET,
      S3_ACCESS_KEY: settings.S3_ACCESS_KEY,
      S3_SECRET_KEY: settings.S3_SECRET_KEY,
    },
  };
}
