// The private Redis and the private MinIO of `headwater up`: commands, data folders, how one knows that they answer.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRedis } from '../platform/adapters/redis.ts';
import { AppError } from '../platform/runtime/errors.ts';
import { listen } from '../platform/runtime/http-server.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import type { ChildPlan } from './child.ts';
import { logFile } from './plan.ts';
import type { Secrets } from './secrets.ts';

/** A program that the platform runs on is missing or too old. */
export class ToolMissing extends AppError {
  constructor(name: string, how: string) {
    super('TOOL_MISSING', `${name} is missing or too old: ${how}`, { source: 'internal', retryable: false });
  }
}

const keeper = fileURLToPath(new URL('./keeper.js', import.meta.url));
const READY_STEP_MS = 50;

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server, 0, '127.0.0.1', 'any');
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** Runs the tools that roles will call and compares their versions. @throws ToolMissing */
export function requireTools(isPrivateRedis: boolean): void {
  const check = (command: string, args: string[], pattern: RegExp, wanted: [number, number]): boolean => {
    const result = spawnSync(command, args, { encoding: 'utf8' });
    const match = pattern.exec(result.stdout ?? '');
    if (result.status !== 0 || !match) return false;
    const [major, minor] = [Number(match[1]), Number(match[2])];
    return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
  };
  if (!check('ffmpeg', ['-version'], /ffmpeg version n?(\d+)\.(\d+)/, [5, 1])) {
    throw new ToolMissing('ffmpeg >= 5.1', 'install it (Debian, Ubuntu: apt-get install ffmpeg)');
  }
  if (isPrivateRedis && !check('redis-server', ['--version'], /v=(\d+)\.(\d+)/, [7, 0])) {
    throw new ToolMissing(
      'redis-server >= 7',
      'install it (Debian, Ubuntu: apt-get install redis-server), or set REDIS_URL',
    );
  }
}

export async function redisPlan(
  dataDir: string,
  secrets: Secrets,
  env: Record<string, string>,
): Promise<{ plan: ChildPlan; url: string }> {
  const folder = join(dataDir, 'redis');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const conf = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${secrets.redis_password}`,
    `dir "${folder}"`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
  ];
  const confFile = join(folder, 'redis.conf');
  await writeFile(confFile, `${conf.join('\n')}\n`, { mode: 0o600 });
  const url = `redis://:${secrets.redis_password}@127.0.0.1:${port}/0`;
  const plan = {
    name: 'redis',
    role: 'redis',
    module: keeper,
    args: ['redis-server', confFile],
    env,
    logFile: await logFile(dataDir, 'redis'),
  };
  return { plan: { ...plan, isReady: () => redisAnswers(url) }, url };
}

async function redisAnswers(url: string): Promise<void> {
  const redis = createRedis(url, silentLogger);
  try {
    await redis.start();
  } finally {
    await redis.close();
  }
}

/** Path of a MinIO server: PATH, or the one that set-up built. @throws ToolMissing */
function minioCommand(env: NodeJS.ProcessEnv): string {
  if (spawnSync('minio', ['--version']).status === 0) return 'minio';
  const cached = join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'headwater', 'bin', 'minio');
  if (existsSync(cached)) return cached;
  throw new ToolMissing('minio', 'run `HEADWATER_STORAGE=minio npm start`, which builds it once, or put one on PATH');
}

/** @returns the plan, and the settings by which roles reach it */
export async function minioPlan(
  dataDir: string,
  secrets: Secrets,
  env: Record<string, string>,
): Promise<{ plan: ChildPlan; settings: Record<string, string> }> {
  const folder = join(dataDir, 'minio');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const plan: ChildPlan = {
    name: 'minio',
    role: 'minio',
    module: keeper,
    args: [minioCommand(env), 'server', '--quiet', '--address', endpoint.slice('http://'.length), folder],
    env: {
      ...env,
      MINIO_ROOT_USER: secrets.minio_user,
      MINIO_ROOT_PASSWORD: secrets.minio_password,
      MINIO_BROWSER: 'off',
    },
    logFile: await logFile(dataDir, 'minio'),
    isReady: () => minioAnswers(endpoint),
  };
  const settings = {
    HEADWATER_STORAGE: 's3',
    HEADWATER_S3_ENDPOINT: endpoint,
    HEADWATER_S3_ACCESS_KEY: secrets.minio_user,
    HEADWATER_S3_SECRET_KEY: secrets.minio_password,
  };
  return { plan, settings };
}

async function minioAnswers(endpoint: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`${endpoint}/minio/health/ready`, { signal: AbortSignal.timeout(1_000) }).catch(
      () => null,
    );
    if (answer?.ok) return;
    await delay(READY_STEP_MS);
  }
}
