// The edge's settings, picked from the one table.
import type { Settings } from '../platform/contract/settings.ts';
import { advertisedHostOf, internalSecretOf } from '../platform/runtime/role-settings.ts';
import type { Strategy } from './balancer.ts';

export type EdgeConfig = {
  /** 0 takes a free one. */
  port: number;
  host: string;
  /** Address as viewers see it; null: http://localhost:{port}. */
  publicUrl: string | null;
  /** Listener of /metrics. */
  privatePort: number;
  privateHost: string;
  /** Host name by which other roles reach this node, as registered. */
  advertisedHost: string;
  redisUrl: string;
  internalSecret: string;
  /** Static list of origins; empty: the registry's. */
  origins: string[];
  strategy: Strategy;
  memoryBytes: number;
};

/**
 * Picks the edge's config.
 * @throws SettingsInvalid when the secret between roles is missing
 */
export function pickEdgeConfig(settings: Settings): EdgeConfig {
  return {
    port: settings.PORT,
    host: settings.BIND,
    publicUrl: settings.EDGE_PUBLIC_URLS[0] ?? null,
    privatePort: settings.METRICS_PORT,
    privateHost: settings.PRIVATE_BIND,
    advertisedHost: advertisedHostOf(settings),
    redisUrl: settings.REDIS_URL,
    internalSecret: internalSecretOf(settings),
    origins: settings.ORIGINS,
    strategy: settings.EDGE_STRATEGY,
    memoryBytes: settings.EDGE_MEMORY_BYTES,
  };
}
