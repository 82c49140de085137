// The api's part of the settings, with units in the names.
import type { StorageSettings } from '../platform/adapters/storage.ts';
import type { Settings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { advertisedHostOf, storageSettingsOf } from '../platform/runtime/role-settings.ts';

export type ApiConfig = {
  port: number;
  bind: string;
  privatePort: number;
  privateBind: string;
  /** Host name by which other roles reach this one. */
  privateHost: string;
  /** Address of the api as clients see it, no slash at the end. */
  publicUrl: string;
  /** Server address shown to broadcasters. */
  rtmpUrl: string;
  /** Public addresses of edges; empty: as registered. */
  edgePublicUrls: string[];
  /** `id:secret` of the administrator. */
  adminToken: string;
  redisUrl: string;
  dataDir: string;
  uploadMaxBytes: number;
  uploadExpiryMs: number;
  diskReserveBytes: number;
  reconnectWindowS: number;
  /** How far viewers can rewind where a stream does not say. */
  liveWindowS: number;
  storage: StorageSettings;
};

/**
 * Picks what the api needs.
 * @throws SettingsInvalid without an ADMIN_TOKEN: there is no default secret
 */
export function pickApiConfig(settings: Settings): ApiConfig {
  const adminToken = settings.ADMIN_TOKEN;
  if (adminToken === undefined) {
    throw new SettingsInvalid([
      {
        variable: 'HEADWATER_ADMIN_TOKEN',
        message: 'is required: `id:secret`, the secret of 16 characters or more (`npm start` makes one)',
      },
    ]);
  }
  const port = settings.PORT === 0 ? settings.API_PORT : settings.PORT;
  const trimmed = (url: string) => url.replace(/\/+$/, '');
  return {
    port,
    bind: settings.BIND,
    privatePort: settings.METRICS_PORT,
    privateBind: settings.PRIVATE_BIND,
    privateHost: advertisedHostOf(settings),
    publicUrl: trimmed(settings.PUBLIC_URL ?? `http://localhost:${port}`),
    rtmpUrl: trimmed(settings.RTMP_PUBLIC_URL ?? `rtmp://localhost:${settings.RTMP_PORT}/live`),
    edgePublicUrls: settings.EDGE_PUBLIC_URLS,
    adminToken,
    redisUrl: settings.REDIS_URL,
    dataDir: settings.DATA_DIR,
    uploadMaxBytes: settings.UPLOAD_MAX_BYTES,
    uploadExpiryMs: settings.UPLOAD_EXPIRY_S * 1_000,
    diskReserveBytes: settings.DISK_RESERVE_BYTES,
    reconnectWindowS: settings.RECONNECT_WINDOW_S,
    liveWindowS: settings.LIVE_WINDOW_S,
    storage: storageSettingsOf(settings),
  };
}
