// The origin's part of the settings, with units in the names.
import { hostname } from 'node:os';
import type { StorageSettings } from '../platform/adapters/storage.ts';
import type { Settings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';

export type OriginConfig = {
  /** Main port; 0: a free one, registered. */
  port: number;
  /** Address that the main and the private port listen on. */
  bindHost: string;
  /** Host name by which other roles reach this one. */
  advertisedHost: string;
  privatePort: number;
  internalSecret: string;
  redisUrl: string;
  /** Length of a live playlist. Unit: s. */
  liveWindowS: number;
  storage: StorageSettings;
};

const ANY_ADDRESS = ['0.0.0.0', '::'];

/**
 * Picks what an origin needs. Pure, but for the host name that stands in where it listens on every address.
 * @throws SettingsInvalid without INTERNAL_SECRET: an origin never answers just anybody
 */
export function pickOriginConfig(settings: Settings): OriginConfig {
  const internalSecret = settings.INTERNAL_SECRET;
  if (internalSecret === undefined) {
    throw new SettingsInvalid([
      {
        variable: 'HEADWATER_INTERNAL_SECRET',
        message: 'is required: the same 32 characters or more for every role (`npm start` makes one)',
      },
    ]);
  }
  const bindHost = settings.PRIVATE_BIND;
  return {
    port: settings.PORT,
    bindHost,
    advertisedHost: settings.PRIVATE_HOST ?? (ANY_ADDRESS.includes(bindHost) ? hostname() : bindHost),
    privatePort: settings.METRICS_PORT,
    internalSecret,
    redisUrl: settings.REDIS_URL,
    liveWindowS: settings.LIVE_WINDOW_S,
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
