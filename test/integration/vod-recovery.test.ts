// Uploads whose worker is killed, cancelled, overtaken, or starved of Redis: one ready asset with the right length, nothing left over.
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AssetId } from '../../platform/contract/ids.ts';
import { indexPrefix, mediaPrefix } from '../../platform/contract/object-keys.ts';
import type { AssetRecord } from '../../platform/contract/records.ts';
import { isNamed } from '../../transcoder/vod-objects.ts';
import { RABBIT } from '../support/media.ts';
import { freePort } from '../support/ports.ts';
import { type ServerProcess, startProcess } from '../support/server-process.ts';
import { probeJoined, startVodRig, type VodRig } from './vod-rig.ts';

const run = promisify(execFile);
let rig: VodRig;

beforeEach(async () => {
  rig = await startVodRig();
}, 60_000);
afterEach(() => rig.stop(), 60_000);

/** Slow enough that there is time to act in the middle. */
const SLOW = { HEADWATER_TRANSCODER_VOD_PRESET: 'slow' };
const RABBIT_S = 7.8;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Compiles the services below node_modules, where their packages are found; bundling would lose Bull's scripts. */
async function compile(): Promise<string> {
  const folder = join(root, 'node_modules/.cache', `headwater-vod-test-${process.pid}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder], { cwd: root });
  return folder;
}
let compiled: string;
beforeAll(async () => {
  compiled = await compile();
}, 120_000);
afterAll(() => rm(compiled, { recursive: true, force: true }));

async function startKillable(): Promise<ServerProcess> {
  const port = await freePort();
  const env = {
    HEADWATER_DATA_DIR: rig.dir,
    HEADWATER_INTERNAL_SECRET: 's'.repeat(32),
    HEADWATER_TRANSCODER_POOLS: 'vod',
    HEADWATER_TRANSCODER_VOD_PRESET: 'slow',
    HEADWATER_DISK_RESERVE_BYTES: '0',
    HEADWATER_METRICS_PORT: String(port),
    REDIS_URL: rig.redis.url,
  };
  const isReady = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  return startProcess(process.execPath, [join(compiled, 'transcoder/main.js')], { cwd: rig.dir, env }, isReady);
}

const isMade = (id: AssetId, name: string) => async () =>
  (await rig.asset(id)).renditions.some((rendition) => rendition.name === name);

/** ffmpeg processes that work below this test's folder. */
async function programsHere(): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'pid,args']);
  return stdout.split('\n').filter((line) => line.includes('ffmpeg') && line.includes(join(rig.dir, 'scratch')));
}

async function strayObjects(asset: AssetRecord): Promise<string[]> {
  const stray: string[] = [];
  for (const prefix of [mediaPrefix(asset.content_id), indexPrefix(asset.content_id)]) {
    for await (const { key } of rig.storage.list(prefix)) if (!isNamed(asset, key)) stray.push(key);
  }
  return stray;
}

async function expectWhole(asset: AssetRecord): Promise<void> {
  expect(asset).toMatchObject({ status: 'ready', errors: null });
  expect(asset.renditions.map((rendition) => rendition.name).sort()).toEqual([...asset.planned].sort());
  expect(Math.abs((asset.duration_s ?? 0) - RABBIT_S)).toBeLessThan(0.05);
  for (const rendition of asset.renditions) {
    const { endS } = await probeJoined(await rig.join(asset, rendition));
    expect(Math.abs(endS - RABBIT_S)).toBeLessThan(0.06);
  }
  await rig.waitFor('tidied', 10_000, async () => (await strayObjects(asset)).length === 0);
}

describe('a worker that is killed with -9', () => {
  it('is followed by another that keeps the finished renditions and makes the rest', async () => {
    const first = await startKillable();
    const id = await rig.upload(RABBIT);
    await rig.waitFor('the sound is made', 30_000, isMade(id, 'a0'));
    const before = await rig.asset(id);
    await first.kill();
    await rig.waitFor('ffmpeg dies with its worker', 5_000, async () => (await programsHere()).length === 0);
    expect((await rig.asset(id)).status).toBe('preparing');
    const second = await startKillable();
    try {
      const asset = await rig.settled(id, 50_000);
      expect(asset.term).toBe(2);
      expect(asset.renditions.find((rendition) => rendition.name === 'a0')).toEqual(before.renditions[0]);
      await expectWhole(asset);
      await rig.waitFor('scratch of the dead removed', 10_000, async () => {
        const folders = await readdir(join(rig.dir, 'scratch'));
        return folders.length === 1;
      });
    } finally {
      await second.stop();
    }
  }, 120_000);
});

describe('a cancel', () => {
  const cancel = (id: AssetId) => rig.records.update('asset', id, (asset) => ({ ...asset, cancel_requested: true }));

  it.each([
    ['told by an event', true],
    ['whose event was lost', false],
  ])('%s stops ffmpeg and ends the asset as CANCELLED', async (_name, isTold) => {
    await rig.startWorker(SLOW);
    const id = await rig.upload(RABBIT);
    await rig.waitFor('the sound is made', 30_000, isMade(id, 'a0'));
    await cancel(id);
    if (isTold) await rig.events.publish({ type: 'cancel-vod', id });
    const asset = await rig.settled(id, 10_000);
    expect(asset).toMatchObject({ status: 'errored', errors: { type: 'CANCELLED' } });
    await rig.waitFor('no ffmpeg', 5_000, async () => (await programsHere()).length === 0);
    expect(await strayObjects(asset)).toEqual([]);
    expect(await rig.queue.state('vod', `vod:${id}:0`)).not.toBe('delayed');
  });

  it('before the job begins ends the asset without any work', async () => {
    const id = await rig.upload(RABBIT);
    await cancel(id);
    await rig.startWorker();
    const asset = await rig.settled(id);
    expect(asset.errors).toMatchObject({ type: 'CANCELLED' });
    expect(asset.renditions).toEqual([]);
  });
});

describe('two jobs for one asset', () => {
  it('end in one ready asset, made once', async () => {
    await rig.startWorker();
    await rig.startWorker();
    const id = await rig.upload(RABBIT);
    await rig.enqueue(id, 1);
    const asset = await rig.settled(id);
    await expectWhole(asset);
    expect(asset.term).toBe(1);
  });
});

describe('a worker whose term was taken', () => {
  it('publishes nothing more and removes what it stored', async () => {
    await rig.startWorker(SLOW);
    const id = await rig.upload(RABBIT);
    await rig.waitFor('the sound is made', 30_000, isMade(id, 'a0'));
    const taken = await rig.records.update('asset', id, (asset) => ({ ...asset, term: asset.term + 1 }));
    await rig.waitFor('the job ends', 10_000, async () => (await rig.queue.counts('vod')).active === 0);
    const asset = await rig.asset(id);
    expect(asset).toMatchObject({ status: 'preparing', term: taken?.value.term });
    expect(asset.renditions.map((rendition) => rendition.name)).toEqual(['a0']);
    expect(await strayObjects(asset)).toEqual([]);
  });
});

describe('a worker that drains', () => {
  it('hands the upload over without an error', async () => {
    const first = await rig.startWorker(SLOW);
    const id = await rig.upload(RABBIT);
    await rig.waitFor('the sound is made', 30_000, isMade(id, 'a0'));
    await first.drain?.();
    await first.close();
    expect(await rig.asset(id)).toMatchObject({ status: 'preparing', errors: null });
    await rig.startWorker();
    await expectWhole(await rig.settled(id));
  });
});

describe('an emptied Redis', () => {
  it('does not stop the job', async () => {
    await rig.startWorker(SLOW);
    const id = await rig.upload(RABBIT);
    await rig.waitFor('the sound is made', 30_000, isMade(id, 'a0'));
    await rig.redis.flush();
    const asset = await rig.settled(id);
    await expectWhole(asset);
    expect(asset.term).toBe(1);
  });
});

describe('missing bytes', () => {
  it('of an upload that is gone end the asset with a word', async () => {
    const id = await rig.upload(RABBIT);
    const { source } = await rig.asset(id);
    if (source.type !== 'upload') throw new Error('not an upload');
    for await (const { key } of rig.storage.list(`uploads/${source.upload_id}/`)) await rig.storage.delete([key]);
    await rig.startWorker();
    expect((await rig.settled(id)).errors).toMatchObject({ type: 'SOURCE_MISSING' });
  });
});
