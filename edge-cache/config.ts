// The edge's settings, picked from the one table.
import { type Settings, variableOf } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { advertisedHostOf, internalSecretOf } from '../platform/runtime/role-settings.ts';
import type { AdmissionLimits } from './admission.ts';
import type { Strategy } from './balancer.ts';

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
  memoryBytes: number;
  limits: AdmissionLimits;
};

/**
 * Picks the edge's config.
 * @throws SettingsInvalid when the secret between roles is missing, or a TLS port has no certificate
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
    memoryBytes: settings.EDGE_MEMORY_BYTES,
    limits: { connections: settings.EDGE_CONNECTIONS, perAddress: settings.EDGE_ADDRESS_CONNECTIONS },
  };
}

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
