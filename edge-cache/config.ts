// The edge's settings, picked from the one table.
import { hostname } from 'node:os';
import type { Settings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import type { Strategy } from './balancer.ts';

const ANY_ADDRESS = ['0.0.0.0', '::'];

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
  if (settings.INTERNAL_SECRET === undefined) {
    throw new SettingsInvalid([
      {
        variable: 'HEADWATER_INTERNAL_SECRET',
        message: 'is required by a role that runs alone: give every role the same text of 32 characters or more',
      },
    ]);
  }
  const privateHost = settings.PRIVATE_BIND;
  return {
    port: settings.PORT,
    host: settings.BIND,
    publicUrl: settings.EDGE_PUBLIC_URLS[0] ?? null,
    privatePort: settings.METRICS_PORT,
    privateHost,
    advertisedHost: settings.PRIVATE_HOST ?? (ANY_ADDRESS.includes(privateHost) ? hostname() : privateHost),
    redisUrl: settings.REDIS_URL,
    internalSecret: settings.INTERNAL_SECRET,
    origins: settings.ORIGINS,
    strategy: settings.EDGE_STRATEGY,
    memoryBytes: settings.EDGE_MEMORY_BYTES,
  };
}
