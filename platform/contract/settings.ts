// Every HEADWATER_* setting: schema, default, unit, text. One table: roles pick from it, docs/configuration.md is written from it.
import { z } from 'zod';
import { parseRedisUrl } from './redis-address.ts';

const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback);
const count = (min: number, max: number, fallback: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);
/** Items between commas, cleaned, the empty ones left out. */
const listOf = (text: string, clean: (item: string) => string): string[] =>
  text
    .split(',')
    .map(clean)
    .filter((item) => item !== '');
const ports = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text) => listOf(text, (item) => item.trim()))
    .pipe(
      z
        .array(z.coerce.number<string>().int().min(0).max(65_535))
        .min(fallback === '' ? 0 : 1)
        .max(64),
    );
const addresses = z
  .string()
  .default('')
  .transform((text) => listOf(text, (item) => item.trim().replace(/\/+$/, '')))
  .pipe(z.array(z.url({ protocol: /^https?$/ })).max(256));
const weights = z
  .string()
  .default('')
  .transform((text) =>
    Object.fromEntries(
      listOf(text, (item) => item.trim()).map((item) => {
        const at = item.lastIndexOf('=');
        return [item.slice(0, at).replace(/\/+$/, ''), item.slice(at + 1)];
      }),
    ),
  )
  .pipe(z.record(z.url({ protocol: /^https?$/ }), z.coerce.number<string>().min(0.01).max(1_000)));
const optionalText = z
  .string()
  .optional()
  .transform((text) => (text === undefined || text === '' ? null : text));

/** Name without HEADWATER_ -> schema and text. REDIS_URL alone has no prefix. */
export const settings = {
  DATA_DIR: {
    schema: z.string().min(1).default('./data'),
    text: 'Folder of the private Redis, the fs store, secrets and scratch files.',
  },
  STORAGE: {
    schema: z.enum(['fs', 's3', 'minio']).default('fs'),
    text: 'Store: `fs` (a folder below DATA_DIR), `s3` (any S3 server), `minio` (`npm start` runs a private MinIO).',
  },
  S3_ENDPOINT: { schema: optionalText, text: 'S3 server, `http://host:port`. Required with STORAGE=s3.' },
  S3_REGION: { schema: z.string().default('us-east-1'), text: 'S3 region.' },
  S3_BUCKET: {
    schema: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)
      .default('headwater'),
    text: 'Bucket; made when missing.',
  },
  S3_ACCESS_KEY: { schema: optionalText, text: 'Required with STORAGE=s3.' },
  S3_SECRET_KEY: { schema: optionalText, text: 'Required with STORAGE=s3.' },
  REDIS_URL: {
    schema: z
      .string()
      .refine(
        (url) => parseRedisUrl(url) !== null,
        'must look like redis://host:port/0 or redis+sentinel://host:port,host:port/master-name/0',
      )
      .default('redis://127.0.0.1:6379/0'),
    text: 'Redis 7 or newer: `redis[s]://[user:password@]host:port/db`, or through Sentinels `redis+sentinel://[user:password@]host:port,host:port/master-name/db`. Unset: `npm start` runs a private one. (No HEADWATER_ prefix.)',
  },
  ROLE: {
    schema: z.enum(['api', 'ingest', 'transcoder', 'origin', 'edge']).optional(),
    text: 'Run this one role instead of all.',
  },
  PORT: { schema: port(0), text: 'Main port of a role that runs alone. 0: a free one, registered.' },
  BIND: {
    schema: z.string().default('0.0.0.0'),
    text: 'Address that RTMP, API and edges listen on. Everything else listens on PRIVATE_BIND.',
  },
  PRIVATE_BIND: {
    schema: z.string().default('127.0.0.1'),
    text: 'Address that origins, rings and metrics listen on. Set it to the private network address when roles run on several machines.',
  },
  PRIVATE_HOST: {
    schema: optionalText,
    text: 'Host name by which other roles reach this one, as registered. Default: PRIVATE_BIND, or the host name when that is 0.0.0.0.',
  },
  PUBLIC_URL: {
    schema: optionalText,
    text: 'Address of the API as clients see it. Default: http://localhost:API_PORT.',
  },
  EDGE_PUBLIC_URLS: {
    schema: addresses,
    text: 'Addresses of the edges as viewers see them, in the order of the edges. Default: http://localhost:port of each.',
  },
  RTMP_PUBLIC_URL: {
    schema: optionalText,
    text: 'Server address shown to broadcasters. Default: rtmp://localhost:RTMP_PORT/live.',
  },
  RTMP_PORT: { schema: port(1935), text: 'RTMP port of ingest.' },
  RTMPS_PORT: {
    schema: port(0),
    text: 'RTMPS port of ingest; needs TLS_CERT and TLS_KEY. 0: no RTMPS.',
  },
  TLS_CERT: {
    schema: optionalText,
    text: "Certificate chain (PEM file) of RTMPS and of the edges' TLS ports. Read again when the file changes.",
  },
  TLS_KEY: { schema: optionalText, text: 'Private key (PEM file) of TLS_CERT.' },
  API_PORT: { schema: port(8000), text: 'Port of the API and the status page.' },
  EDGE_PORTS: { schema: ports('8080,8081'), text: 'Ports of the edges; their number is the number of edges.' },
  EDGE_TLS_PORTS: {
    schema: ports(''),
    text: 'TLS ports of the edges (HTTP/2 and HTTP/1.1), in the order of EDGE_PORTS; needs TLS_CERT and TLS_KEY. Empty: none.',
  },
  ORIGIN_PORTS: { schema: ports('8090,8091'), text: 'Ports of the origins; their number is the number of origins.' },
  ORIGINS: { schema: addresses, text: 'Static list of origins for edges, instead of the registry.' },
  PRIVATE_PORT_BASE: { schema: port(0), text: 'First of the private ports. 0: free ones, registered.' },
  METRICS_PORT: {
    schema: port(0),
    text: 'Private port (metrics, health) of a role that runs alone. 0: a free one, registered.',
  },
  TRANSCODERS: { schema: count(0, 64, 2), text: 'Number of transcoding workers that `npm start` runs.' },
  TRANSCODER_POOLS: { schema: z.enum(['both', 'live', 'vod']).default('both'), text: 'Jobs that this worker takes.' },
  TRANSCODER_LIVE_JOBS: {
    schema: count(0, 1_000, 2),
    text: 'Live broadcasts that one worker encodes at a time; a pass-through broadcast counts as a twentieth.',
  },
  TRANSCODER_SPOOL_BYTES: {
    schema: count(0, Number.MAX_SAFE_INTEGER, 4 * 1024 ** 3),
    text: 'Most live media that one worker keeps on its disk (DATA_DIR/spool) while the store is away. Bytes.',
  },
  TRANSCODER_VOD_JOBS: { schema: count(0, 100, 1), text: 'Uploads that one worker transcodes at a time.' },
  TRANSCODER_VOD_PRESET: {
    schema: z.enum(['ultrafast', 'superfast', 'veryfast', 'faster', 'fast', 'medium', 'slow']).default('veryfast'),
    text: 'x264 preset for uploads.',
  },
  TRANSCODER_LIVE_PRESET: {
    schema: z.enum(['ultrafast', 'superfast', 'veryfast', 'faster', 'fast']).default('veryfast'),
    text: 'x264 preset for live.',
  },
  TRANSCODER_LIVE_MAX_RUNGS: {
    schema: count(1, 5, 3),
    text: 'Most video renditions of a live broadcast, counted from the top of the ladder down to fit the machine; uploads always get the whole ladder.',
  },
  SANDBOX: {
    schema: z.enum(['auto', 'bwrap', 'container', 'prlimit']).default('auto'),
    text: 'How ffmpeg is confined on uploads. `auto`: bubblewrap where a trial run succeeds, else prlimit with a warning.',
  },
  UPLOAD_MAX_BYTES: { schema: count(1, Number.MAX_SAFE_INTEGER, 100 * 1024 ** 3), text: 'Largest upload, bytes.' },
  UPLOAD_EXPIRY_S: {
    schema: count(60, 30 * 86_400, 86_400),
    text: 'An upload not finished this long after its creation is timed out. Seconds.',
  },
  DISK_RESERVE_BYTES: {
    schema: count(0, Number.MAX_SAFE_INTEGER, 2 * 1024 ** 3),
    text: 'Uploads are refused while the data folder has less free space than this. Bytes.',
  },
  RECONNECT_WINDOW_S: {
    schema: count(0, 1_800, 60),
    text: 'Default gap in which a returning publisher continues the same broadcast. Seconds.',
  },
  INGEST_SILENCE_MS: {
    schema: count(1_000, 120_000, 10_000),
    text: 'A publisher that sends nothing for this long is dropped. Milliseconds.',
  },
  INGEST_RING_BYTES: {
    schema: count(1_000_000, Number.MAX_SAFE_INTEGER, 256 * 1024 ** 2),
    text: 'Most memory of the ring of one stream. Bytes.',
  },
  INGEST_MAX_BITRATE_BPS: {
    schema: count(100_000, 1_000_000_000, 60_000_000),
    text: 'A publisher that sends more than this over 10 seconds is cut off. Bits per second.',
  },
  INGEST_MAX_PUBLISHERS: { schema: count(1, 100_000, 200), text: 'Most publishers of one ingest node.' },
  LIVE_WINDOW_S: {
    schema: count(20, 43_200, 14_400),
    text: 'How far viewers can rewind a live broadcast, unless its stream says otherwise. Seconds.',
  },
  EDGE_STRATEGY: {
    schema: z.enum(['round-robin', 'random', 'least-connections', 'ip-hash', 'consistent-hash']).default('round-robin'),
    text: 'How an edge spreads requests over origins. `random`: the less busy one of two drawn. `consistent-hash`: by object, at most 1.25 times an even share.',
  },
  EDGE_ORIGIN_WEIGHTS: {
    schema: weights,
    text: 'Shares of the load by origin, `http://host:port=3,http://host:port=0.5`; an origin that is not named has 1.',
  },
  EDGE_SLOW_START_MS: {
    schema: count(0, 600_000, 10_000),
    text: 'Time in which an origin that comes in or comes back takes up its share of the load. 0: at once. Milliseconds.',
  },
  EDGE_PROBE_WINDOW: {
    schema: count(1, 64, 2),
    text: 'Number of health checks, one a second, by which an edge judges an origin.',
  },
  EDGE_PROBE_THRESHOLD: {
    schema: count(1, 64, 1),
    text: 'Good ones among the last EDGE_PROBE_WINDOW health checks that keep an origin in.',
  },
  EDGE_MEMORY_BYTES: {
    schema: count(1_000_000, Number.MAX_SAFE_INTEGER, 512 * 1024 ** 2),
    text: 'Memory cache of one edge. Bytes.',
  },
  EDGE_DISK_BYTES: {
    schema: count(0, Number.MAX_SAFE_INTEGER, 0),
    text: 'Disk cache of one edge for media that no longer fits its memory. Bytes; 0: none.',
  },
  EDGE_DISK_DIR: {
    schema: optionalText,
    text: 'Folder of the disk cache, one edge alone in it; `npm start` gives each edge a folder below. Default: DATA_DIR/edge-cache.',
  },
  EDGE_CONNECTIONS: {
    schema: count(1, 1_000_000, 20_000),
    text: 'Most viewer connections of one edge, over its plain and TLS port. The system must allow as many open files.',
  },
  EDGE_ADDRESS_CONNECTIONS: {
    schema: count(0, 1_000_000, 1_000),
    text: 'Most connections of one viewer address (IPv6: the first 64 bits) to one edge. Loopback is not limited, so that a proxy on the same machine may speak for all. 0: no limit, for proxies on other machines.',
  },
  ADMIN_TOKEN: {
    schema: z
      .string()
      .regex(
        /^[A-Za-z0-9_-]{3,64}:[A-Za-z0-9_-]{16,128}$/,
        'must look like id:secret, the secret of 16 characters or more',
      )
      .optional(),
    text: 'API token `id:secret`. Unset: made at the first start and printed once.',
  },
  INTERNAL_SECRET: {
    schema: z.string().min(32).max(256).optional(),
    text: 'Secret between roles, 32 characters or more. Unset: made at the first start.',
  },
  LOG_LEVEL: {
    schema: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    text: 'Least level that is logged.',
  },
  SHUTDOWN_TIMEOUT_MS: {
    schema: count(100, 600_000, 10_000),
    text: 'Longest drain after the first signal. Milliseconds.',
  },
} as const;

export type SettingName = keyof typeof settings;
export type Settings = { [K in SettingName]: z.output<(typeof settings)[K]['schema']> };
/** The settings a role picks; its config type. */
export type Picked<K extends SettingName> = Pick<Settings, K>;

/** Environment variable of a setting. */
export const variableOf = (name: SettingName): string => (name === 'REDIS_URL' ? name : `HEADWATER_${name}`);

export type SettingFault = { variable: string; message: string };

/**
 * Parses the environment: every fault at once, unknown HEADWATER_* names among them.
 * @param env environment variables; an empty value counts as unset
 */
export function parseSettings(
  env: Record<string, string | undefined>,
): { settings: Settings } | { faults: SettingFault[] } {
  const faults: SettingFault[] = [];
  const names = Object.keys(settings) as SettingName[];
  const known = new Set(names.map(variableOf));
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('HEADWATER_') && !known.has(variable))
      faults.push({ variable, message: 'is not a setting' });
  }
  const parsed: Record<string, unknown> = {};
  for (const name of names) {
    const text = env[variableOf(name)];
    const result = settings[name].schema.safeParse(text === '' ? undefined : text);
    if (result.success) parsed[name] = result.data;
    else
      faults.push({
        variable: variableOf(name),
        message: result.error.issues.map((issue) => issue.message).join('; '),
      });
  }
  return faults.length > 0 ? { faults } : { settings: parsed as Settings };
}
