// `npm start` as a terminal user meets it: Ctrl-C for the whole group, kill -9 of the supervisor, clear errors, a second start in seconds.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publish } from '../support/media.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import { createStream, waitUntilLive } from '../support/story.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GONE_LIMIT_MS = 25_000;

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'headwater-life-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

/** Every process of this platform: by its data folder in environment or command line. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
    const [environment, command, status] = await Promise.all([read('environ'), read('cmdline'), read('status')]);
    if (status.includes('State:\tZ')) continue;
    if (environment.includes(folder) || command.includes(folder))
      found.push(`${pid} ${command.replaceAll('\0', ' ').slice(0, 120)}`);
  }
  return found;
}

async function expectNothingLeft(): Promise<void> {
  await until('all processes gone', GONE_LIMIT_MS, async () => (await processesOf(dataDir)).length === 0, 100).catch(
    async () => {
      expect(await processesOf(dataDir)).toEqual([]);
    },
  );
}

async function startWithLive(): Promise<{ platform: Platform; stopPublisher: () => Promise<void> }> {
  const platform = await startPlatform({ storage: 'fs', dataDir });
  const stream = await createStream(platform);
  const publisher = publish(stream.address, 'numbered', { size: '320:180' });
  await waitUntilLive(platform.edges[0] ?? '', stream.playback);
  return { platform, stopPublisher: () => publisher.stop() };
}

describe.runIf(process.platform === 'linux')('the processes of one machine', () => {
  it('all end on Ctrl-C that reaches the whole group, with a live on', async () => {
    const { platform, stopPublisher } = await startWithLive();
    const exit = once(platform.supervisor, 'exit');
    process.kill(-(platform.supervisor.pid ?? 0), 'SIGINT');
    expect((await exit)[0]).toBe(0);
    await stopPublisher();
    await expectNothingLeft();
  }, 150_000);

  it('all end on a signal to every single process', async () => {
    const { platform, stopPublisher } = await startWithLive();
    const exit = once(platform.supervisor, 'exit');
    const pids = (await platform.refresh()).processes.map((item) => item.pid);
    for (const pid of [...pids, platform.supervisor.pid ?? 0]) process.kill(pid, 'SIGTERM');
    expect((await exit)[0]).toBe(0);
    await stopPublisher();
    await expectNothingLeft();
  }, 150_000);

  it('all end when the supervisor is killed with -9, and the next start takes seconds', async () => {
    const { platform, stopPublisher } = await startWithLive();
    platform.supervisor.kill('SIGKILL');
    await once(platform.supervisor, 'exit');
    await stopPublisher();
    await expectNothingLeft();

    const from = performance.now();
    const again = await startPlatform({ storage: 'fs', dataDir });
    expect(performance.now() - from).toBeLessThan(15_000);
    expect(again.output()).not.toContain('shown once');
    await again.stop();
    await expectNothingLeft();
  }, 200_000);
});

type Ended = { code: number | null; text: string };

async function runUp(env: Record<string, string>): Promise<Ended> {
  const child = spawn(process.execPath, ['ops/headwater.mjs', 'up'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', HEADWATER_DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const add = (chunk: Buffer) => {
    text += chunk.toString();
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, text };
}

describe('a start that cannot work', () => {
  it('lists every bad setting at once', async () => {
    const { code, text } = await runUp({
      HEADWATER_API_PORT: 'eighty',
      HEADWATER_EDGE_COUNT: '2',
      HEADWATER_STORAGE: 'tape',
    });
    expect(code).toBe(78);
    for (const name of ['HEADWATER_API_PORT', 'HEADWATER_EDGE_COUNT', 'HEADWATER_STORAGE'])
      expect(text).toContain(name);
  });

  it('names a port in use and its variable', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const { code, text } = await runUp({
      HEADWATER_BIND: '127.0.0.1',
      HEADWATER_API_PORT: '0',
      HEADWATER_RTMP_PORT: '0',
      HEADWATER_EDGE_PORTS: String(port),
      HEADWATER_ORIGIN_PORTS: '0',
    });
    taken.close();
    expect(code).toBe(1);
    expect(text).toContain(`port ${port}`);
    expect(text).toContain('in use');
    await expectNothingLeft();
  }, 120_000);

  it('names a missing ffmpeg and a missing redis-server', async () => {
    const folder = join(dataDir, 'bin');
    await mkdir(folder, { recursive: true });
    const noTools = await runUp({ PATH: folder });
    expect(noTools.code).toBe(1);
    expect(noTools.text).toContain('ffmpeg >= 5.1');
    const found = (process.env['PATH'] ?? '').split(':');
    const ffmpeg = found.map((path) => join(path, 'ffmpeg')).find((path) => existsSync(path));
    await symlink(ffmpeg ?? '', join(folder, 'ffmpeg'));
    const noRedis = await runUp({ PATH: folder });
    expect(noRedis.code).toBe(1);
    expect(noRedis.text).toContain('redis-server >= 7');
  });
});
