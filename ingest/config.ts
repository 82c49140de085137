// Settings of an ingest node.
import type { StorageSettings } from '../platform/adapters/storage.ts';
import { type Settings, variableOf } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { advertisedHostOf, internalSecretOf, storageSettingsOf } from '../platform/runtime/role-settings.ts';
import type { TlsFiles } from '../platform/runtime/tls-files.ts';

export type IngestConfig = {
  redisUrl: string;
  storage: StorageSettings;
  internalSecret: string;
  /** RTMP listener, open to publishers. */
  bind: string;
  rtmpPort: number;
  /** Address shown to broadcasters; null: rtmp://localhost:{rtmpPort}/live. */
  rtmpPublicUrl: string | null;
  /** Ring listener and metrics listener, for other roles. */
  privateBind: string;
  privateHost: string;
  ringPort: number;
  metricsPort: number;
  silenceMs: number;
  ringBytes: number;
  maxPublishers: number;
  /** Unit: bit/s. */
  maxBitrateBps: number;
  /** RTMPS listener; null: none. */
  rtmps: { port: number; files: TlsFiles } | null;
};

/**
 * Picks what an ingest node needs.
 * @throws SettingsInvalid without INTERNAL_SECRET: the ring is served to other roles only; with RTMPS_PORT and no certificate
 */
export function pickIngestConfig(settings: Settings): IngestConfig {
  return {
    redisUrl: settings.REDIS_URL,
    storage: storageSettingsOf(settings),
    internalSecret: internalSecretOf(settings),
    bind: settings.BIND,
    rtmpPort: settings.RTMP_PORT,
    rtmpPublicUrl: settings.RTMP_PUBLIC_URL,
    privateBind: settings.PRIVATE_BIND,
    privateHost: advertisedHostOf(settings),
    ringPort: settings.PORT,
    metricsPort: settings.METRICS_PORT,
    silenceMs: settings.INGEST_SILENCE_MS,
    ringBytes: settings.INGEST_RING_BYTES,
    maxPublishers: settings.INGEST_MAX_PUBLISHERS,
    maxBitrateBps: settings.INGEST_MAX_BITRATE_BPS,
    rtmps: rtmpsOf(settings),
  };
}

function rtmpsOf(settings: Settings): IngestConfig['rtmps'] {
  if (settings.RTMPS_PORT === 0) return null;
  const { TLS_CERT: cert, TLS_KEY: key } = settings;
  if (cert !== null && key !== null) return { port: settings.RTMPS_PORT, files: { cert, key } };
  const missing = cert === null ? 'TLS_CERT' : 'TLS_KEY';
  throw new SettingsInvalid([{ variable: variableOf(missing), message: 'is required when RTMPS_PORT is set' }]);
}
