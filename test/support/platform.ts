// A whole platform for end-to-end tests: the built command line on free ports, in a data folder of its own, and handles to kill its parts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunningProcess, type RunState, readRunState } from '../../ops/run-state.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 30_000;
const STEP_MS = 50;

export type Platform = {
  dataDir: string;
  /** As of the last refresh(). */
  state(): RunState;
  /** Reads what runs now: pids and addresses change with restarts. */
  refresh(): Promise<RunState>;
  process(name: string): RunningProcess;
  /** `id:secret` */
  token: string;
  edges: string[];
  api: string;
  /** JSON call to the API with the token. */
  call<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: T; headers: Headers }>;
  /** SIGKILL of one process by its name in platform.json; resolves with the time of the signal. */
  kill(name: string): Promise<number>;
  /** Resolves when the named process is back under another pid; answers how long it took. Unit: ms. */
  restored(name: string, formerPid: number, limitMs: number): Promise<number>;
  /** Text on stdout and stderr of the command line so far. */
  output(): string;
  supervisor: ChildProcess;
  /** Pids of everything that was started, by any restart. */
  stop(signal?: NodeJS.Signals): Promise<void>;
};

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Waits until `probe` answers something other than null, false or undefined. @throws Error naming `what` after `limitMs` */
export async function until<T>(
  what: string,
  limitMs: number,
  probe: () => Promise<T | null | undefined | false>,
  stepMs = STEP_MS,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(stepMs);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export type PlatformOptions = { storage: 'fs' | 'minio'; env?: Record<string, string>; dataDir?: string };

/** Starts `headwater up` as a user's terminal would, in a session of its own. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'headwater-e2e-')));
  const [api = 0, rtmp = 0, edge1 = 0, edge2 = 0, origin1 = 0, origin2 = 0] = await freePorts(6);
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    ...(process.env['XDG_CACHE_HOME'] ? { XDG_CACHE_HOME: process.env['XDG_CACHE_HOME'] } : {}),
    HEADWATER_DATA_DIR: dataDir,
    HEADWATER_STORAGE: options.storage,
    HEADWATER_BIND: '127.0.0.1',
    HEADWATER_API_PORT: String(api),
    HEADWATER_RTMP_PORT: String(rtmp),
    HEADWATER_EDGE_PORTS: `${edge1},${edge2}`,
    HEADWATER_ORIGIN_PORTS: `${origin1},${origin2}`,
    ...options.env,
  };
  const supervisor = spawn(process.execPath, ['ops/headwater.mjs', 'up'], {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  supervisor.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  supervisor.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await until('start of the platform', START_LIMIT_MS, async () => {
    if (supervisor.exitCode !== null) throw new Error(`the platform did not start:\n${text}`);
    return text.includes('Headwater is running.');
  });
  return handles(supervisor, dataDir, () => text, options.dataDir === undefined);
}

async function handles(
  supervisor: ChildProcess,
  dataDir: string,
  output: () => string,
  isOwnFolder: boolean,
): Promise<Platform> {
  let state = await current(dataDir);
  const secrets = JSON.parse(await readFile(join(dataDir, 'secrets.json'), 'utf8')) as { admin_token: string };
  const authorization = `Basic ${Buffer.from(secrets.admin_token).toString('base64')}`;
  const find = (name: string): RunningProcess => {
    const found = state.processes.find((item) => item.name === name);
    if (!found) throw new Error(`no process ${name}`);
    return found;
  };
  const refresh = async () => {
    state = await current(dataDir);
    return state;
  };
  return {
    dataDir,
    supervisor,
    output,
    state: () => state,
    refresh,
    process: find,
    token: secrets.admin_token,
    edges: state.edge_urls,
    api: state.api_url,
    async call<T>(method: string, path: string, body?: unknown) {
      const answer = await fetch(`${state.api_url}${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(20_000),
      });
      const raw = await answer.text();
      return { status: answer.status, headers: answer.headers, body: (raw === '' ? null : JSON.parse(raw)) as T };
    },
    async kill(name) {
      await refresh();
      process.kill(find(name).pid, 'SIGKILL');
      return performance.now();
    },
    async restored(name, formerPid, limitMs) {
      const from = performance.now();
      await until(
        `restart of ${name}`,
        limitMs,
        async () => {
          await refresh();
          const now = find(name);
          return now.pid !== formerPid && now.pid !== 0 && now.restarts > 0;
        },
        20,
      );
      return performance.now() - from;
    },
    async stop(signal = 'SIGINT') {
      if (supervisor.exitCode === null && supervisor.signalCode === null) {
        const exit = once(supervisor, 'exit');
        supervisor.kill(signal);
        const timer = setTimeout(() => supervisor.kill('SIGKILL'), STOP_LIMIT_MS);
        await exit;
        clearTimeout(timer);
      }
      if (isOwnFolder) await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

async function current(dataDir: string): Promise<RunState> {
  const state = await readRunState(dataDir);
  if (!state) throw new Error(`nothing runs on ${dataDir}`);
  return state;
}
