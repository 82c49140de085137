// The edge's settings, picked from the one table.
import { join, resolve } from 'node:path';
import { type Settings, variableOf } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { advertisedHostOf, internalSecretOf } from '../platform/runtime/role-settings.ts';
import type { AdmissionLimits } from './admission.ts';
import type { Strategy } from './balancer.ts';
import type { OriginTuning } from './origins.ts';

export type EdgeConfig = {
  /** 0 takes a free one. */
  port: number;
  host: string;
  /** HTTPS port, 0 takes a free one, and PEM files; null: no TLS. */
  tls: { port: number; cert: string; key: string } | null;
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
  /** By address; an origin that is not named weighs 1. */
  originWeights: ReadonlyMap<string, number>;
  originTuning: OriginTuning;
  memoryBytes: number;
  /** Cache on disk, in a folder of this edge alone; null: none. */
  disk: DiskConfig | null;
  limits: AdmissionLimits;
};

export type DiskConfig = { folder: string; limitBytes: number };

/**
 * Picks the edge's config.
 * @throws SettingsInvalid when the secret between roles is missing, a TLS port has no certificate, or an origin could never be in
 */
export function pickEdgeConfig(settings: Settings): EdgeConfig {
  return {
    port: settings.PORT,
    host: settings.BIND,
    tls: tlsOf(settings),
    publicUrl: settings.EDGE_PUBLIC_URLS[0] ?? null,
    privatePort: settings.METRICS_PORT,
    privateHost: settings.PRIVATE_BIND,
    advertisedHost: advertisedHostOf(settings),
    redisUrl: settings.REDIS_URL,
    internalSecret: internalSecretOf(settings),
    origins: settings.ORIGINS,
    strategy: settings.EDGE_STRATEGY,
    originWeights: new Map(Object.entries(settings.EDGE_ORIGIN_WEIGHTS)),
    originTuning: tuningOf(settings),
    memoryBytes: settings.EDGE_MEMORY_BYTES,
    disk: diskOf(settings),
    limits: { connections: settings.EDGE_CONNECTIONS, perAddress: settings.EDGE_ADDRESS_CONNECTIONS },
  };
}

function tuningOf(settings: Settings): OriginTuning {
  const { EDGE_PROBE_WINDOW: window, EDGE_PROBE_THRESHOLD: threshold } = settings;
  const message = `must not be above ${variableOf('EDGE_PROBE_WINDOW')} (${window})`;
  if (threshold > window) throw new SettingsInvalid([{ variable: variableOf('EDGE_PROBE_THRESHOLD'), message }]);
  return { slowStartMs: settings.EDGE_SLOW_START_MS, probes: { window, threshold } };
}

const diskOf = ({ EDGE_DISK_BYTES: limitBytes, EDGE_DISK_DIR, DATA_DIR }: Settings): DiskConfig | null =>
  limitBytes === 0 ? null : { folder: resolve(EDGE_DISK_DIR ?? join(DATA_DIR, 'edge-cache')), limitBytes };

function tlsOf({ EDGE_TLS_PORTS, TLS_CERT: cert, TLS_KEY: key }: Settings): EdgeConfig['tls'] {
  const [port] = EDGE_TLS_PORTS;
  if (port === undefined) return null;
  if (cert !== null && key !== null) return { port, cert, key };
  const missing = [cert === null ? 'TLS_CERT' : null, key === null ? 'TLS_KEY' : null] as const;
  throw new SettingsInvalid(
    missing
      .filter((name) => name !== null)
      .map((name) => ({ variable: variableOf(name), message: `is required with ${variableOf('EDGE_TLS_PORTS')}` })),
  );
}
