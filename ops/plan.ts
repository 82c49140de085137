// From settings to the list of processes: which roles, with which environment, on which ports.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type SettingName, type Settings, settings as table, variableOf } from '../platform/contract/settings.ts';
import type { ChildPlan } from './child.ts';
import type { Secrets } from './secrets.ts';

const fileOf = (path: string): string => fileURLToPath(new URL(`../${path}.js`, import.meta.url));
/** Roles that answer viewers: a spare waits beside each, so that one is replaced in a fraction of the time that loading takes. */
const WITH_SPARE = ['origin', 'edge'];
/** Settings that describe the whole platform or another role and are set anew for each role. */
const OWN: readonly SettingName[] = [
  'ROLE',
  'PORT',
  'METRICS_PORT',
  'EDGE_PUBLIC_URLS',
  'EDGE_PORTS',
  'EDGE_TLS_PORTS',
  'EDGE_DISK_DIR',
  'ORIGIN_PORTS',
  'PRIVATE_PORT_BASE',
];

export type PlannedRole = { role: string; folder: string; index: number; port: number; extra: Record<string, string> };

/** Roles of one machine, in start order. */
export function planRoles(settings: Settings): PlannedRole[] {
  const diskDir = resolve(settings.EDGE_DISK_DIR ?? join(settings.DATA_DIR, 'edge-cache'));
  const edge = settings.EDGE_PORTS.map((port, index) => {
    const url = settings.EDGE_PUBLIC_URLS[index];
    const tlsPort = settings.EDGE_TLS_PORTS[index];
    return {
      role: 'edge',
      folder: 'edge-cache',
      index,
      port,
      extra: {
        HEADWATER_EDGE_PORTS: String(port),
        ...(tlsPort === undefined ? {} : { HEADWATER_EDGE_TLS_PORTS: String(tlsPort) }),
        ...(url ? { HEADWATER_EDGE_PUBLIC_URLS: url } : {}),
        // Two edges in one folder would take each other's files away.
        HEADWATER_EDGE_DISK_DIR: join(diskDir, `edge-${index + 1}`),
      },
    };
  });
  const origin = settings.ORIGIN_PORTS.map((port, index) => ({
    role: 'origin',
    folder: 'origin',
    index,
    port,
    extra: { HEADWATER_ORIGIN_PORTS: String(port) },
  }));
  const transcoder = Array.from({ length: settings.TRANSCODERS }, (_, index) => ({
    role: 'transcoder',
    folder: 'transcoder',
    index,
    port: 0,
    extra: {},
  }));
  return [
    { role: 'api', folder: 'api', index: 0, port: settings.API_PORT, extra: {} },
    ...origin,
    ...edge,
    ...transcoder,
    { role: 'ingest', folder: 'ingest', index: 0, port: 0, extra: {} },
  ];
}

/** Environment shared by all roles: the operator's own settings, then what this start decided. */
export function sharedEnvironment(
  env: NodeJS.ProcessEnv,
  settings: Settings,
  secrets: Secrets,
  redisUrl: string,
  s3: Record<string, string>,
): Record<string, string> {
  const shared: Record<string, string> = {};
  for (const name of [
    'PATH',
    'HOME',
    'LANG',
    'TZ',
    'TMPDIR',
    'XDG_CACHE_HOME',
    'NODE_OPTIONS',
    'NODE_EXTRA_CA_CERTS',
  ]) {
    const value = env[name];
    if (value !== undefined) shared[name] = value;
  }
  for (const name of Object.keys(table) as SettingName[]) {
    const value = env[variableOf(name)];
    if (value !== undefined && !OWN.includes(name)) shared[variableOf(name)] = value;
  }
  return {
    ...shared,
    NODE_ENV: 'production',
    REDIS_URL: redisUrl,
    HEADWATER_DATA_DIR: resolve(settings.DATA_DIR),
    HEADWATER_ADMIN_TOKEN: settings.ADMIN_TOKEN ?? secrets.admin_token,
    HEADWATER_INTERNAL_SECRET: settings.INTERNAL_SECRET ?? secrets.internal_secret,
    ...s3,
  };
}

/** @returns the process plan of one role; log files are `DATA_DIR/logs/{name}.log` */
export async function childPlan(
  role: PlannedRole,
  dataDir: string,
  shared: Record<string, string>,
  privatePort: number,
): Promise<ChildPlan> {
  const name = role.role === 'api' || role.role === 'ingest' ? role.role : `${role.role}-${role.index + 1}`;
  return {
    name,
    role: role.role,
    module: fileOf(`${role.folder}/main`),
    args: [],
    env: { ...shared, HEADWATER_PORT: String(role.port), HEADWATER_METRICS_PORT: String(privatePort), ...role.extra },
    logFile: await logFile(dataDir, name),
    ...(WITH_SPARE.includes(role.role)
      ? {
          standby: {
            module: fileOf('ops/standby'),
            args: [fileOf(`${role.folder}/service`), fileOf(`${role.folder}/main`)],
          },
        }
      : {}),
  };
}

export async function logFile(dataDir: string, name: string): Promise<string> {
  await mkdir(join(dataDir, 'logs'), { recursive: true, mode: 0o700 });
  return join(dataDir, 'logs', `${name}.log`);
}
