// The origin's part of the settings, with units in the names.
import type { StorageSettings } from '../platform/adapters/storage.ts';
import type { Settings } from '../platform/contract/settings.ts';
import { advertisedHostOf, internalSecretOf, storageSettingsOf } from '../platform/runtime/role-settings.ts';

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

/**
 * Picks what an origin needs. Pure, but for the host name that stands in where it listens on every address.
 * @throws SettingsInvalid without INTERNAL_SECRET: an origin never answers just anybody
 */
export function pickOriginConfig(settings: Settings): OriginConfig {
  return {
    port: settings.PORT,
    bindHost: settings.PRIVATE_BIND,
    advertisedHost: advertisedHostOf(settings),
    privatePort: settings.METRICS_PORT,
    internalSecret: internalSecretOf(settings),
    redisUrl: settings.REDIS_URL,
    liveWindowS: settings.LIVE_WINDOW_S,
    storage: storageSettingsOf(settings),
  };
}
