// The transcoder's part of the settings, with units in the names.
import type { StorageSettings } from '../platform/adapters/storage.ts';
import type { JobName } from '../platform/contract/jobs.ts';
import type { Settings } from '../platform/contract/settings.ts';
import { advertisedHostOf, internalSecretOf, storageSettingsOf } from '../platform/runtime/role-settings.ts';

export type TranscoderConfig = {
  /** Queues that this worker takes jobs from, with jobs at a time; 0: none. Of live it is a budget: live-capacity.ts. */
  concurrency: Record<JobName, number>;
  pool: Settings['TRANSCODER_POOLS'];
  vodPreset: string;
  livePreset: string;
  liveMaxRungs: number;
  /** Most live media on the disk while the store is away; 0: none. Unit: bytes. */
  spoolBytes: number;
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

/**
 * Picks what a transcoder needs. Pure, but for the host name that stands in where it listens on every address.
 * @throws SettingsInvalid without INTERNAL_SECRET: live media is read from the ingest with it
 */
export function pickTranscoderConfig(settings: Settings): TranscoderConfig {
  const pools = settings.TRANSCODER_POOLS;
  return {
    concurrency: {
      vod: pools === 'live' ? 0 : settings.TRANSCODER_VOD_JOBS,
      live: pools === 'vod' ? 0 : settings.TRANSCODER_LIVE_JOBS,
    },
    pool: pools,
    vodPreset: settings.TRANSCODER_VOD_PRESET,
    livePreset: settings.TRANSCODER_LIVE_PRESET,
    liveMaxRungs: settings.TRANSCODER_LIVE_MAX_RUNGS,
    spoolBytes: settings.TRANSCODER_SPOOL_BYTES,
    sandbox: settings.SANDBOX,
    dataDir: settings.DATA_DIR,
    diskReserveBytes: settings.DISK_RESERVE_BYTES,
    internalSecret: internalSecretOf(settings),
    redisUrl: settings.REDIS_URL,
    bindHost: settings.PRIVATE_BIND,
    advertisedHost: advertisedHostOf(settings),
    privatePort: settings.METRICS_PORT,
    storage: storageSettingsOf(settings),
  };
}
