// Runs docker-compose.yml without Docker: each service's command with its environment as a local process, service names mapped to loopback.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

type ComposeService = {
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  ports?: string[];
  volumes?: string[];
  user?: string;
  read_only?: boolean;
  healthcheck?: { test: string[] };
};
export type ComposeFile = {
  services: Record<string, ComposeService>;
  networks: Record<string, { internal?: boolean }>;
};

export const readComposeFile = async (): Promise<ComposeFile> =>
  parse(await readFile(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as ComposeFile;

/** Compose's own substitution: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `$$`. @throws Error on a required name without value */
export function substitute(text: string, values: Record<string, string>): string {
  return text.replace(
    /\$\$|\$\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}/g,
    (whole, name: string | undefined, kind: string | undefined, rest: string | undefined) => {
      if (whole === '$$') return '$';
      const value = values[name ?? ''] ?? '';
      if (value !== '') return value;
      if (kind === '-') return rest ?? '';
      throw new Error(`${name}: ${rest ?? 'is not set'}`);
    },
  );
}

export type LocalService = { name: string; host: string; process: ChildProcess; output(): string };
export type LocalCompose = { services: LocalService[]; hostOf(name: string): string; stop(): Promise<void> };

/** Programs of images that are not ours. */
function programOf(name: string): string[] {
  if (name !== 'minio') return [];
  const cached = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'headwater', 'bin', 'minio');
  return [existsSync(cached) ? cached : 'minio'];
}

/**
 * @param values what an .env file would hold
 * @param folder data folders of the services go below it
 */
export async function startComposeLocally(values: Record<string, string>, folder: string): Promise<LocalCompose> {
  const { services } = await readComposeFile();
  const names = Object.keys(services);
  const octet = 1 + (process.pid % 200);
  const hosts = new Map(names.map((name, index) => [name, `127.0.${octet}.${index + 2}`]));
  const hostOf = (name: string): string => hosts.get(name) ?? '127.0.0.1';
  /** A service name as host of an address, or `0.0.0.0` / an empty host as this service's own. */
  const mapped = (text: string, own: string): string => {
    let result = substitute(text, values);
    for (const name of names) {
      result = result.replace(new RegExp(`(//|@)${name}(?=[:/])`, 'g'), `$1${hostOf(name)}`);
    }
    return result === '0.0.0.0' ? hostOf(own) : result.replace(/^:(\d+)$/, `${hostOf(own)}:$1`);
  };
  const started: LocalService[] = [];
  for (const name of startOrder(services)) {
    const service = services[name] ?? {};
    const dataDir = join(folder, name);
    await mkdir(dataDir, { recursive: true });
    const env: Record<string, string> = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
    for (const [key, value] of Object.entries(service.environment ?? {})) env[key] = mapped(String(value), name);
    if (env['HEADWATER_ROLE'])
      Object.assign(env, {
        HEADWATER_DATA_DIR: dataDir,
        HEADWATER_BIND: hostOf(name),
        HEADWATER_PRIVATE_HOST: hostOf(name),
      });
    const words = [...programOf(name), ...(service.command ?? [])].map((word) =>
      localWord(mapped(word, name), hostOf(name), dataDir),
    );
    const child = spawn(words[0] ?? '', words.slice(1), {
      cwd: env['HEADWATER_ROLE'] ? ROOT : dataDir,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    const add = (chunk: Buffer) => {
      text = `${text}${chunk.toString()}`.slice(-20_000);
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    started.push({ name, host: hostOf(name), process: child, output: () => text });
    if (service.healthcheck && !env['HEADWATER_ROLE']) await untilOpen(hostOf(name), name === 'redis' ? 6379 : 9000);
  }
  return {
    services: started,
    hostOf,
    async stop() {
      for (const { process: child } of [...started].reverse()) await end(child);
    },
  };
}

/** What differs between a container and a loopback address: Redis listens where it is told, `/data` is the service's folder. */
function localWord(word: string, host: string, dataDir: string): string {
  if (word === '/data') return dataDir;
  return word.replace('exec redis-server ', `exec redis-server --bind ${host} --dir ${dataDir} `);
}

function startOrder(services: Record<string, ComposeService>): string[] {
  const order: string[] = [];
  const visit = (name: string): void => {
    if (order.includes(name)) return;
    for (const needed of Object.keys(services[name]?.depends_on ?? {})) visit(needed);
    order.push(name);
  };
  Object.keys(services).forEach(visit);
  return order;
}

async function untilOpen(host: string, port: number): Promise<void> {
  const limit = performance.now() + 20_000;
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, host, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isOpen) return;
    if (performance.now() > limit) throw new Error(`${host}:${port} did not open`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await exit;
  clearTimeout(timer);
}
