// Settings of an ingest node.
import { hostname } from 'node:os';
import type { StorageSettings } from '../platform/adapters/storage.ts';
import { type Settings, variableOf } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';

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
};

/** @throws SettingsInvalid without INTERNAL_SECRET */
export function pickIngestConfig(settings: Settings): IngestConfig {
  const internalSecret = settings.INTERNAL_SECRET;
  if (internalSecret === undefined) {
    throw new SettingsInvalid([
      { variable: variableOf('INTERNAL_SECRET'), message: 'is required: the ring is served to other roles only' },
    ]);
  }
  const bind = settings.PRIVATE_BIND;
  return {
    redisUrl: settings.REDIS_URL,
    storage: settings,
    internalSecret,
    bind: settings.BIND,
    rtmpPort: settings.RTMP_PORT,
    rtmpPublicUrl: settings.RTMP_PUBLIC_URL,
    privateBind: bind,
    privateHost: settings.PRIVATE_HOST ?? (bind === '0.0.0.0' || bind === '::' ? hostname() : bind),
    ringPort: settings.PORT,
    metricsPort: settings.METRICS_PORT,
    silenceMs: settings.INGEST_SILENCE_MS,
    ringBytes: settings.INGEST_RING_BYTES,
    maxPublishers: settings.INGEST_MAX_PUBLISHERS,
  };
}
