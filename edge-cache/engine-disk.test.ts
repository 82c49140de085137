// The level below memory in the way of a request: asked before an origin, once for all who wait, and given what belongs there.
import { describe, expect, it } from 'vitest';
import { bodyOf, CONTENT_ID, edgeWorld, whole } from '../test/support/edge-world.ts';
import type { DiskStore, FoundOnDisk } from './disk-store.ts';
import type { CachedObject } from './memory-store.ts';

const SEGMENT = `/v/-/${CONTENT_ID}/v720/1/s7.writer.m4s`;
const SEGMENT_KEY = `/v/${CONTENT_ID}/v720/1/s7.writer.m4s`;
const INIT = `/v/-/${CONTENT_ID}/v720/1/init.mp4`;
const PART = `/v/-/${CONTENT_ID}/v720/1/p7.1.writer.m4s`;
const PLAYLIST = `/v/-/${CONTENT_ID}/v720/index.m3u8`;
const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable', etag: '"media"' };

const held: CachedObject = {
  headers: { 'content-type': 'video/mp4' },
  body: Buffer.from('from disk'),
  etag: '"media"',
  arrivedMs: 940_000,
  freshUntilMs: 9_000_000,
  staleUntilMs: 9_000_000,
};

/** @param found what the disk answers; null: it holds nothing */
function diskedWorld(found: (() => Promise<FoundOnDisk | null>) | null, status = 200, headers = IMMUTABLE) {
  const calls: string[] = [];
  const disk: Pick<DiskStore, 'find' | 'offer' | 'delete'> = {
    find(key) {
      calls.push(`find ${key}`);
      return found?.() ?? null;
    },
    offer: (key) => void calls.push(`offer ${key}`),
    delete: (key) => void calls.push(`delete ${key}`),
  };
  return { calls, world: edgeWorld(() => whole(status, headers, 'from origin'), 20_000, disk) };
}

describe('a segment on disk', () => {
  it('is a hit, with its age, and no origin is asked', async () => {
    const { world } = diskedWorld(async () => ({ object: held, isWanted: false }));
    const answer = await world.get(SEGMENT);
    expect(answer).toMatchObject({ status: 200, result: 'hit', headers: { 'x-cache': 'HIT', age: '60' } });
    expect((await bodyOf(answer)).toString()).toBe('from disk');
    expect(world.asked).toEqual([]);
    expect(world.store.has(SEGMENT_KEY)).toBe(false);
  });

  it('comes back into memory when it is wanted', async () => {
    const { world, calls } = diskedWorld(async () => ({ object: held, isWanted: true }));
    await world.get(SEGMENT);
    await world.get(SEGMENT);
    expect(calls).toEqual([`find ${SEGMENT_KEY}`]);
  });

  it('is read once for all who ask at the same time, and is wanted then', async () => {
    let come = (_found: FoundOnDisk): void => undefined;
    const reading = new Promise<FoundOnDisk>((resolve) => {
      come = resolve;
    });
    const { world, calls } = diskedWorld(() => reading);
    const answers = Array.from({ length: 50 }, () => world.get(SEGMENT));
    come({ object: held, isWanted: false });
    expect(new Set((await Promise.all(answers)).map(({ result }) => result))).toEqual(new Set(['hit']));
    expect(calls).toEqual([`find ${SEGMENT_KEY}`]);
    expect(world.store.has(SEGMENT_KEY)).toBe(true);
  });

  it('that cannot be read after all comes from an origin', async () => {
    const { world } = diskedWorld(async () => null);
    const answer = await world.get(SEGMENT);
    expect([answer.result, (await bodyOf(answer)).toString()]).toEqual(['miss', 'from origin']);
  });

  it('is forgotten when an origin says that it is gone', async () => {
    const { world, calls } = diskedWorld(async () => null, 410);
    expect((await world.get(SEGMENT)).status).toBe(410);
    expect(calls).toEqual([`find ${SEGMENT_KEY}`, `delete ${SEGMENT_KEY}`]);
  });
});

describe('what goes to disk', () => {
  it.each([
    ['a segment', SEGMENT, IMMUTABLE, true],
    ['an init', INIT, IMMUTABLE, true],
    ['a segment that is fresh for minutes only', SEGMENT, { 'cache-control': 'max-age=3599', etag: '"e"' }, false],
    ['a segment that must not be kept', SEGMENT, { 'cache-control': 'no-store', etag: '"e"' }, false],
    ['a part', PART, IMMUTABLE, false],
    ['a finished playlist', PLAYLIST, IMMUTABLE, false],
  ])('%s', async (_name, path, headers, isOffered) => {
    const { world, calls } = diskedWorld(null, 200, headers);
    await bodyOf(await world.get(path));
    expect(calls.some((call) => call.startsWith('offer'))).toBe(isOffered);
  });
});

describe('an object that several viewers waited for', () => {
  it('is no stranger to the memory', async () => {
    const { world } = diskedWorld(null);
    await Promise.all([world.get(SEGMENT), world.get(SEGMENT)]);
    await world.get(INIT);
    for (let msn = 0; msn < 20_000; msn += 1) {
      const arrivedMs = 1_000_000;
      world.store.set(`walk${msn}`, { ...held, arrivedMs });
    }
    expect([world.store.has(SEGMENT_KEY), world.store.has(`/v/${CONTENT_ID}/v720/1/init.mp4`)]).toEqual([true, false]);
  });
});
