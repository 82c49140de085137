// A real redis-server for one test file.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort } from './ports.ts';
import { type ServerProcess, startProcess } from './server-process.ts';
import { tempDir } from './temp.ts';

const run = promisify(execFile);

export type TestRedis = {
  readonly url: string;
  readonly port: number;
  /** FLUSHALL. */
  flush(): Promise<void>;
  /** One command through redis-cli; its plain output. */
  command(...args: string[]): Promise<string>;
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same port; empty unless it keeps its data. */
  restart(): Promise<void>;
};

/** One command through redis-cli; its plain output. */
export async function redisCommand(port: number, ...args: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(port), ...args], { timeout: 5_000 });
  return stdout.trim();
}

/**
 * Starts a Redis on a free port in a folder of its own.
 * @param options `persistence`: append-only file, each write on disk at once
 */
export async function startRedis(options: { persistence?: boolean } = {}): Promise<TestRedis> {
  const port = await freePort();
  const dir = await tempDir('redis');
  const command = (...args: string[]) => redisCommand(port, ...args);
  const persistence = options.persistence ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir, ...persistence];
  const start = () => startProcess('redis-server', args, { cwd: dir }, async () => (await command('PING')) === 'PONG');
  let server: ServerProcess = await start();
  return {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    command,
    flush: async () => void (await command('FLUSHALL')),
    stop: () => server.stop(),
    kill: () => server.kill(),
    async restart() {
      await server.stop();
      server = await start();
    },
  };
}
