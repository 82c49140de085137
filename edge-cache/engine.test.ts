// Cache behaviour as a table, and what the engine does around it. The origin is a function, the clock stands still.
import { describe, expect, it } from 'vitest';
import { bodyOf, CONTENT_ID, edgeWorld, PLAYBACK_ID, streamed, whole } from '../test/support/edge-world.ts';
import { OriginsUnavailable, StreamUnavailable } from './errors.ts';
import type { Headers } from './messages.ts';

const MASTER = `/${PLAYBACK_ID}.m3u8`;
const PLAYLIST = `/v/-/${CONTENT_ID}/v720/index.m3u8`;
const SEGMENT = `/v/-/${CONTENT_ID}/v720/1/s7.writer.m4s`;
const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable', etag: '"media"' };
const live = (position: string): Headers => ({ 'cache-control': 'public, max-age=1', 'headwater-position': position });

type Row = {
  rule: string;
  target: string;
  headers: Headers;
  status?: number;
  /** [ms since the step before, x-cache expected, requests at the origin so far] */
  steps: [number, string, number][];
};

const table: Row[] = [
  {
    rule: 'media is kept for ever',
    target: SEGMENT,
    headers: IMMUTABLE,
    steps: [
      [0, 'MISS', 1],
      [0, 'HIT', 1],
      [86_400_000, 'HIT', 1],
    ],
  },
  {
    rule: 'a live playlist is fresh for one second',
    target: PLAYLIST,
    headers: live('1.5.0'),
    steps: [
      [0, 'MISS', 1],
      [999, 'HIT', 1],
      [1, 'MISS', 2],
    ],
  },
  {
    rule: 'a live playlist is fresh for one second whatever the origin grants',
    target: PLAYLIST,
    headers: { ...live('1.5.0'), 'cache-control': 'max-age=600' },
    steps: [
      [0, 'MISS', 1],
      [1_000, 'MISS', 2],
    ],
  },
  {
    rule: 'a finished playlist is fresh for as long as the origin says, 30 s at most',
    target: PLAYLIST,
    headers: { 'cache-control': 'public, max-age=30' },
    steps: [
      [0, 'MISS', 1],
      [29_999, 'HIT', 1],
      [1, 'MISS', 2],
    ],
  },
  {
    rule: 'a master is fresh for 5 s at most',
    target: MASTER,
    headers: { 'cache-control': 'max-age=3600' },
    steps: [
      [0, 'MISS', 1],
      [4_999, 'HIT', 1],
      [1, 'MISS', 2],
    ],
  },
  {
    rule: 'no-store is obeyed',
    target: MASTER,
    headers: { 'cache-control': 'no-store, max-age=60' },
    steps: [
      [0, 'MISS', 1],
      [0, 'MISS', 2],
    ],
  },
  {
    rule: 'no freshness is guessed',
    target: SEGMENT,
    headers: { etag: '"x"', 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' },
    steps: [
      [0, 'MISS', 1],
      [0, 'MISS', 2],
    ],
  },
  {
    rule: 'a 404 is repeated for a second',
    target: SEGMENT,
    headers: { 'cache-control': 'public, max-age=60' },
    status: 404,
    steps: [
      [0, 'MISS', 1],
      [999, 'NEGATIVE', 1],
      [1, 'MISS', 2],
    ],
  },
  {
    rule: 'a 400 is never repeated',
    target: PLAYLIST,
    headers: { 'cache-control': 'public, max-age=60' },
    status: 400,
    steps: [
      [0, 'MISS', 1],
      [0, 'MISS', 2],
    ],
  },
];

describe('cache behaviour', () => {
  it.each(table)('$rule', async ({ target, headers, status = 200, steps }) => {
    const world = edgeWorld(() => whole(status, headers, 'body'));
    for (const [ms, expected, asked] of steps) {
      world.pass(ms);
      const answer = await world.get(target);
      expect(answer.status).toBe(status);
      expect(answer.headers['x-cache']).toBe(expected);
      expect((await bodyOf(answer)).toString()).toBe('body');
      expect(world.asked).toHaveLength(asked);
    }
  });

  it('says the age in whole seconds', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'x'));
    expect((await world.get(SEGMENT)).headers['age']).toBe('0');
    world.pass(2_900);
    expect((await world.get(SEGMENT)).headers['age']).toBe('2');
  });

  it('revalidates with the ETag and renews on 304', async () => {
    const world = edgeWorld((request) =>
      request.ifNoneMatch === '"p1"'
        ? whole(304, { ...live('1.6.0'), etag: '"p1"' })
        : whole(200, { ...live('1.5.0'), etag: '"p1"' }, 'playlist'),
    );
    await world.get(PLAYLIST);
    world.pass(1_000);
    const renewed = await world.get(PLAYLIST);
    expect(renewed.headers).toMatchObject({ 'x-cache': 'REVALIDATED', 'headwater-position': '1.6.0', age: '0' });
    expect((await bodyOf(renewed)).toString()).toBe('playlist');
    expect((await world.get(PLAYLIST)).headers['x-cache']).toBe('HIT');
    expect(world.asked).toHaveLength(2);
  });

  it('passes on no header it does not know, cookies least of all', async () => {
    const world = edgeWorld(() => whole(200, { ...IMMUTABLE, 'set-cookie': 'a=b', server: 'x', vary: 'cookie' }, 'x'));
    const { headers } = await world.get(SEGMENT);
    for (const name of ['set-cookie', 'server', 'vary']) expect(headers[name]).toBeUndefined();
    expect(headers['access-control-allow-origin']).toBe('*');
  });

  it('keeps nothing that wants a session, and shows none of it', async () => {
    const world = edgeWorld(() => whole(200, { ...IMMUTABLE, 'headwater-policy': 'signed' }, 'secret'));
    for (const asked of [1, 2]) {
      const answer = await world.get(SEGMENT);
      expect(answer.status).toBe(403);
      expect((await bodyOf(answer)).length).toBe(0);
      expect(world.asked).toHaveLength(asked);
    }
  });
});

describe('while origins fail', () => {
  const failing = (headers: Headers) => {
    let isDown = false;
    const world = edgeWorld(() => {
      if (isDown) throw new OriginsUnavailable('all refused');
      return whole(200, headers, 'held');
    });
    return {
      world,
      down: () => {
        isDown = true;
      },
    };
  };

  it.each([
    ['a live playlist', PLAYLIST, live('1.1.0'), 5_999, 6_000],
    ['an on-demand playlist', PLAYLIST, { 'cache-control': 'max-age=30' }, 89_999, 90_000],
    ['a master', MASTER, { 'cache-control': 'max-age=5' }, 64_999, 65_000],
  ])('%s is shown stale up to its limit, then 503', async (_name, target, headers, lastMs, firstRefusedMs) => {
    const { world, down } = failing(headers);
    await world.get(target);
    down();
    world.pass(lastMs);
    const stale = await world.get(target);
    expect(stale).toMatchObject({ status: 200, result: 'stale' });
    expect(stale.headers['x-cache']).toBe('STALE');
    world.pass(firstRefusedMs - lastMs);
    const refused = await world.get(target);
    expect(refused.status).toBe(503);
    expect(refused.headers).toMatchObject({
      'retry-after': '1',
      'cache-control': 'no-store',
      'content-type': 'application/problem+json',
      'access-control-allow-origin': '*',
    });
    expect(JSON.parse((await bodyOf(refused)).toString())).toMatchObject({ code: 'EDGE_ORIGINS_UNAVAILABLE' });
  });

  it('a stream that cannot be answered is 503, or stale, and never kept', async () => {
    const world = edgeWorld(() => {
      throw new StreamUnavailable();
    });
    expect((await world.get(PLAYLIST)).status).toBe(503);
    expect((await world.get(PLAYLIST)).status).toBe(503);
    expect(world.asked).toHaveLength(2);
  });

  it('an error that is no AppError is a 500 that says nothing of the inside', async () => {
    const world = edgeWorld(() => {
      throw new TypeError('inner detail');
    });
    const answer = await world.get(PLAYLIST);
    expect(answer.status).toBe(500);
    expect((await bodyOf(answer)).toString()).not.toContain('inner detail');
  });
});

describe('coalescing', () => {
  it('asks once for 500 viewers, and the key ignores what does not matter', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const world = edgeWorld(async () => {
      await gate;
      return whole(200, live('1.5.0'), 'once');
    });
    const answers = Array.from({ length: 500 }, (_, i) => world.get(`${PLAYLIST}?viewer=v${i}&utm=${i}`));
    release();
    const results = (await Promise.all(answers)).map((answer) => answer.result);
    expect(results.filter((result) => result === 'miss')).toHaveLength(1);
    expect(results.filter((result) => result === 'coalesced')).toHaveLength(499);
    expect(world.asked).toHaveLength(1);
    expect(world.asked[0]?.path).toBe(PLAYLIST);
  });

  it('a failed fill is no obstacle for the next request', async () => {
    let tries = 0;
    const world = edgeWorld(() => {
      tries += 1;
      if (tries === 1) throw new OriginsUnavailable('gone');
      return whole(200, IMMUTABLE, 'back');
    });
    expect((await world.get(SEGMENT)).status).toBe(503);
    expect((await world.get(SEGMENT)).status).toBe(200);
  });

  it('asks apart for each delivery directive, in one order', async () => {
    const world = edgeWorld(() => whole(200, live('1.5.0'), 'x'));
    await world.get(`${PLAYLIST}?_HLS_part=2&_HLS_msn=7`);
    await world.get(`${PLAYLIST}?_HLS_msn=7&_HLS_part=2`);
    await world.get(PLAYLIST);
    expect(world.asked.map(({ path, hold }) => [path, hold !== null])).toEqual([
      [`${PLAYLIST}?_HLS_msn=7&_HLS_part=2`, true],
      [PLAYLIST, false],
    ]);
  });
});

describe('a body on its way', () => {
  it('reaches the viewer whole and is kept', async () => {
    const pieces = ['one ', 'two ', 'three'].map((text) => Buffer.from(text));
    const world = edgeWorld(() => streamed(IMMUTABLE, 13, pieces));
    const first = await world.get(SEGMENT);
    expect(first.headers['content-length']).toBe('13');
    expect((await bodyOf(first)).toString()).toBe('one two three');
    expect((await world.get(SEGMENT)).result).toBe('hit');
  });

  it('is cut, not padded and not kept, when it cannot be continued', async () => {
    const broken = [Buffer.from('half'), new Error('reset')];
    const world = edgeWorld(() => streamed({ ...IMMUTABLE, etag: 'W/"weak"' }, 8, broken));
    await expect(bodyOf(await world.get(SEGMENT))).rejects.toThrow('broke off');
    expect(world.broken).toEqual(['http://origin']);
    expect(world.store.count).toBe(0);
  });

  it('longer than announced is cut and not kept', async () => {
    const world = edgeWorld(() => streamed(IMMUTABLE, 3, [Buffer.from('four')]));
    await expect(bodyOf(await world.get(SEGMENT))).rejects.toThrow('more than 3');
    expect(world.store.count).toBe(0);
  });

  it('over the size of one object goes through to each viewer alone, ranges too', async () => {
    const world = edgeWorld((request) => {
      const size = request.range === null ? 64 * 1024 ** 2 + 1 : 4;
      const answer = streamed({ ...IMMUTABLE, 'content-range': 'bytes 2-5/67108865' }, size, [Buffer.from('4444')]);
      return request.range === null ? answer : { ...answer, status: 206 };
    });
    const answer = await world.get(SEGMENT, { range: 'bytes=2-5' });
    expect(answer).toMatchObject({ status: 206, result: 'bypass' });
    expect((await bodyOf(answer)).toString()).toBe('4444');
    expect(world.asked[1]?.range).toEqual({ from: 2, to: 5 });
    expect(world.store.count).toBe(0);
  });
});

describe('viewers', () => {
  it('are counted per playback id once its master has passed', async () => {
    const master = `#EXTM3U\n#EXT-X-MEDIA:URI="v/-/${CONTENT_ID}/a0/index.m3u8"\nv/-/${CONTENT_ID}/v720/index.m3u8\n`;
    const world = edgeWorld(({ kind }) =>
      whole(200, { 'cache-control': 'max-age=5' }, kind === 'master' ? master : ''),
    );
    await world.get(`${PLAYLIST}?viewer=early`);
    expect(world.viewers.counts(1_000_000)).toEqual({});
    await world.get(MASTER);
    await world.get(`${PLAYLIST}?viewer=one`);
    await world.get(`${PLAYLIST}?viewer=two`);
    await world.get(`${PLAYLIST}?viewer=two`);
    await world.get(PLAYLIST, { 'user-agent': 'plain' });
    expect(world.viewers.counts(1_000_000)).toEqual({ [PLAYBACK_ID]: 3 });
    expect(world.viewers.counts(1_015_001)).toEqual({});
  });
});
