// The disk cache under a whole viewer side: restarts, origins that are gone, spoilt files, a killed process, a file system that is full.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDiskFolder } from '../../edge-cache/disk-folder.ts';
import { DiskStore } from '../../edge-cache/disk-store.ts';
import { MemoryStore } from '../../edge-cache/memory-store.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { buildScript } from '../support/build-script.ts';
import { MIB, writtenBody, writtenKey } from '../support/disk-written.ts';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { tempDir } from '../support/temp.ts';
import { atTestEnd } from '../support/test-end.ts';
import { bytesOf, CONTENT, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';
import { waitUntil } from '../support/wait-until.ts';

const segment = (msn: number) => `/v/-/${CONTENT}/v240/0/s${msn}.writer.m4s`;
const PART = `/v/-/${CONTENT}/v240/0/p7.1.writer.m4s`;
const PLAYLIST = `/v/-/${CONTENT}/v240/index.m3u8`;
const SEGMENTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(segment);

let origin: TestOrigin;
let folder: string;
let edge: EdgeSide;

/** Memory for four segments. */
const startEdge = (): Promise<EdgeSide> =>
  startEdgeSide(() => [origin.url], { memoryBytes: 1.3 * MIB, disk: { folder, limitBytes: 100 * MIB } });

async function restartEdge(): Promise<void> {
  await edge.close();
  edge = await startEdge();
}

/** Each viewer gets the right bytes. @returns how, by x-cache */
async function watch(paths: string[]): Promise<(string | undefined)[]> {
  const how: (string | undefined)[] = [];
  for (const path of paths) {
    const { status, body, headers } = await edge.read(path);
    expect([path, status, body.equals(bytesOf(path))]).toEqual([path, 200, true]);
    how.push(headers['x-cache']);
  }
  return how;
}

const STORED = 'headwater_edge_disk_writes_total{outcome="stored"}';

/** The same, and each object is on disk before the next one comes: what comes faster than a disk writes is not kept there. */
async function watchAndKeep(paths: string[]): Promise<void> {
  const before = await edge.metric(STORED);
  for (const [index, path] of paths.entries()) {
    await watch([path]);
    await waitUntil(`${path} is on disk`, async () => (await edge.metric(STORED)) > before + index);
  }
}

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

beforeEach(async () => {
  origin = await startTestOrigin();
  folder = await tempDir('edge-disk');
  edge = await startEdge();
});

afterEach(async () => {
  await edge.close();
  await origin.stop();
});

describe('media that no longer fits the memory', () => {
  it('comes from the disk, ranges and validators too, and no origin is asked twice', async () => {
    await watchAndKeep(SEGMENTS);
    for (let round = 0; round < 3; round += 1) expect(new Set(await watch(SEGMENTS))).toEqual(new Set(['HIT']));
    const [path = ''] = SEGMENTS;
    const { status, body, headers } = await edge.read(path, { range: 'bytes=10-19' });
    expect([status, body.equals(bytesOf(path).subarray(10, 20))]).toEqual([206, true]);
    expect((await edge.read(path, { 'if-none-match': headers['etag'] ?? '' })).status).toBe(304);
    expect(origin.asked).toEqual(SEGMENTS);
  });

  it('survives the edge, and is shown while every origin is away', async () => {
    await watchAndKeep(SEGMENTS);
    await restartEdge();
    await origin.kill();
    expect(new Set(await watch(SEGMENTS))).toEqual(new Set(['HIT']));
    await origin.restart();
  });

  it('is forgotten in memory and on disk when its origin says that it is gone', async () => {
    const [path = ''] = SEGMENTS;
    await watchAndKeep([path]);
    const [file = ''] = await filesOf(folder);
    // The file is there, but cannot be used: so the origin is asked, and the origin says no.
    await writeFile(file, 'spoilt');
    await restartEdge();
    origin.intercept((_req, res) => {
      res.writeHead(404, { 'cache-control': 'max-age=1' }).end();
      return true;
    });
    expect((await edge.read(path)).status).toBe(404);
    await waitUntil('the file is gone', async () => (await filesOf(folder)).length === 0);
  });
});

describe('what never lies on disk', () => {
  it('is playlists and parts', async () => {
    origin.setPosition(null);
    await edge.read(PLAYLIST);
    await watch([PART]);
    await watch([segment(1)]);
    await edge.close();
    expect(await filesOf(folder)).toHaveLength(1);
    edge = await startEdge();
  });
});

describe('a spoilt file', () => {
  it('is found out, dropped and fetched anew, and no viewer gets a byte of it', async () => {
    const [path = ''] = SEGMENTS;
    await watch([path]);
    await restartEdge();
    const [file = ''] = await filesOf(folder);
    const bytes = await readFile(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(file, bytes);
    expect(await watch([path])).toEqual(['MISS']);
    expect(await edge.metric('headwater_edge_disk_reads_total{outcome="broken"}')).toBe(1);
    await restartEdge();
    expect(await watch([path])).toEqual(['HIT']);
    expect(origin.asked).toEqual([path, path]);
  });

  it('makes no difference when the whole folder goes', async () => {
    await watchAndKeep(SEGMENTS);
    await rm(folder, { recursive: true });
    await watch(SEGMENTS);
    await waitUntil('there are files again', async () => (await filesOf(folder).catch(() => [])).length > 0);
  });
});

const children = new Set<ChildProcess>();
await atTestEnd(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Runs a writer on the folder and kills it in the middle of its work. */
async function killWriter(script: string, path: string): Promise<void> {
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'ignore', 'inherit'] });
  children.add(child);
  const gone = once(child, 'exit').then(() => void children.delete(child));
  const before = (await filesOf(path)).length;
  await waitUntil('it has written', async () => (await filesOf(path)).length >= before + 4);
  child.kill('SIGKILL');
  await gone;
}

describe('kill -9 while files are written', () => {
  it('leaves whole objects only, and the next process finds them', async () => {
    const script = await buildScript('test/support/disk-writer.ts');
    let unfinished = 0;
    for (let round = 0; round < 4; round += 1) {
      const own = await tempDir('disk-killed');
      await killWriter(script, own);
      unfinished += (await filesOf(own)).filter((file) => file.endsWith('.partial')).length;
      const store = new DiskStore({
        files: createDiskFolder(own),
        limitBytes: 256 * MIB,
        room: new MemoryStore(128 * MIB),
        clocks: { now: () => performance.now(), wallMs: () => Date.now() },
        metrics: createMetrics(false),
        log: silentLogger,
        failures: { warn: (event) => expect.unreachable(event) },
      });
      await store.start();
      const files = await filesOf(own);
      expect(files.filter((file) => file.endsWith('.partial'))).toEqual([]);
      let found = 0;
      for (let index = 0; index < 500; index += 1) {
        const held = await store.find(writtenKey(index));
        if (held === null) continue;
        found += 1;
        expect(held.object.body.equals(writtenBody(index))).toBe(true);
      }
      expect(found).toBe(files.length);
      expect(found).toBeGreaterThanOrEqual(3);
      await store.close();
    }
    expect(unfinished).toBeGreaterThan(0);
  });
});

describe('a file system that is full', () => {
  it('fails no viewer, takes writes again, and stays within what there is', async (context) => {
    const small = join(folder, 'small');
    await mkdir(small);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', small]);
    if (mounted.status !== 0) {
      process.stderr.write(`SKIPPED: no tmpfs can be mounted here: ${String(mounted.stderr)}\n`);
      context.skip();
    }
    await edge.close();
    folder = small;
    edge = await startEdge();
    try {
      let last = 100;
      await waitUntil('the disk is full', async () => {
        last += 1;
        await watch([segment(last)]);
        return (await edge.metric('headwater_edge_disk_writing')) === 0;
      });
      await watch(SEGMENTS);
      edge.shiftClock(10_000);
      await watchAndKeep([20, 21, 22, 23, 24].map(segment));
      const held = await Promise.all((await filesOf(small)).map(async (file) => (await stat(file)).size));
      expect(held.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(2 * MIB);
    } finally {
      await edge.close();
      spawnSync('umount', [small]);
      folder = await tempDir('edge-disk');
      edge = await startEdge();
    }
  });
});
