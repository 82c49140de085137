// Live answers in the engine: what is kept of an answer to a directive, what may wait, what is refused when there is no room.
import { describe, expect, it } from 'vitest';
import { bodyOf, CONTENT_ID, edgeWorld, PLAYBACK_ID, streamed, whole } from '../test/support/edge-world.ts';
import { OriginsUnavailable, StreamUnavailable } from './errors.ts';
import type { Headers } from './messages.ts';

const PLAYLIST = `/v/-/${CONTENT_ID}/v720/index.m3u8`;
const PART = `/v/-/${CONTENT_ID}/v720/1/p7.2.writer.m4s`;
const MPD = `/${PLAYBACK_ID}.mpd`;
const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable', etag: '"media"' };
const live = (position: string, maxAgeS = 12): Headers => ({
  'cache-control': `public, max-age=${maxAgeS}`,
  'headwater-position': position,
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** For how many ms an answer is repeated without asking again, found by asking at the given times. */
async function keptFor(target: string, headers: Headers, timesMs: number[]): Promise<number> {
  const world = edgeWorld(() => whole(200, headers, 'text'));
  await world.get(target);
  let last = 0;
  for (const ms of timesMs) {
    world.pass(ms - last);
    if ((await world.get(target)).result !== 'hit') return last;
    last = ms;
  }
  return last;
}

describe('an answer is kept', () => {
  const TIMES = [999, 1_000, 1_999, 2_000, 11_999, 12_000, 29_999, 30_000, 59_999, 60_000];
  it.each([
    ['to the place asked for', `${PLAYLIST}?_HLS_msn=7&_HLS_part=2`, live('1.7.2'), 11_999],
    ['to a whole segment', `${PLAYLIST}?_HLS_msn=7`, live('1.7.3'), 11_999],
    ['to a part beyond a segment’s last', `${PLAYLIST}?_HLS_msn=7&_HLS_part=9`, live('1.8.0'), 11_999],
    ['to the place asked for, as a delta', `${PLAYLIST}?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES`, live('1.7.2'), 11_999],
    ['no longer than the origin says', `${PLAYLIST}?_HLS_msn=7&_HLS_part=2`, live('1.7.2', 2), 1_999],
    ['to a place long past, shown as it is now', `${PLAYLIST}?_HLS_msn=7&_HLS_part=2`, live('1.90.2'), 999],
    ['to a delta of what is now', `${PLAYLIST}?_HLS_skip=YES`, live('1.7.2'), 999],
    ['to a plain request', PLAYLIST, live('1.7.2'), 999],
    ['of a finished playlist, directives or not', `${PLAYLIST}?_HLS_msn=7`, { 'cache-control': 'max-age=30' }, 29_999],
    ['as a live manifest', MPD, { 'cache-control': 'public, max-age=1' }, 999],
    ['as a live manifest with a position', MPD, live('1.7.2'), 999],
    ['as a finished manifest', MPD, { 'cache-control': 'max-age=600' }, 29_999],
    ['as a storyboard', `/${PLAYBACK_ID}/storyboard.vtt`, { 'cache-control': 'max-age=600' }, 59_999],
    ['as a sheet of a storyboard', `/${PLAYBACK_ID}/storyboard-12.jpg`, { 'cache-control': 'max-age=5' }, 2_000],
  ])('%s', async (_name, target, headers, expected) => {
    expect(await keptFor(target, headers, TIMES)).toBe(expected);
  });

  it('a 404 of a part is not: it may come any moment', async () => {
    const world = edgeWorld(() => whole(404, { 'cache-control': 'public, max-age=60' }));
    for (const asked of [1, 2]) {
      expect((await world.get(PART)).status).toBe(404);
      expect(world.asked).toHaveLength(asked);
    }
  });

  it('a live manifest is shown 6 s while origins fail', async () => {
    let isDown = false;
    const world = edgeWorld(() => {
      if (isDown) throw new OriginsUnavailable('gone');
      return whole(200, { 'cache-control': 'public, max-age=1' }, '<MPD/>');
    });
    await world.get(MPD);
    isDown = true;
    world.pass(5_999);
    expect((await world.get(MPD)).result).toBe('stale');
    world.pass(1);
    expect((await world.get(MPD)).status).toBe(503);
  });
});

describe('what an origin may hold back', () => {
  it('is a reload with a place and a part not shown yet, for three target durations and two seconds', async () => {
    const text = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n';
    const world = edgeWorld((request) => (request.kind === 'part' ? whole(503, {}) : whole(200, live('1.7.2'), text)));
    const holdOf = async (target: string) => {
      await world.get(target);
      return world.asked.at(-1)?.hold;
    };
    expect(await holdOf(`${PLAYLIST}?_HLS_msn=7&_HLS_part=2`)).toEqual({ ms: 8_000, isDue: false });
    expect(await holdOf(PLAYLIST)).toBeNull();
    expect(await holdOf(`${PLAYLIST}?_HLS_skip=YES`)).toBeNull();
    expect(await holdOf(`${PLAYLIST}?_HLS_msn=7&_HLS_part=3`)).toEqual({ ms: 14_000, isDue: false });
    expect(await holdOf(`${PLAYLIST}?_HLS_msn=7&_HLS_part=1`)).toEqual({ ms: 14_000, isDue: true });
    expect(await holdOf(`/v/-/${CONTENT_ID}/a0/1/p7.2.writer.m4s`)).toBeNull();
    expect(await holdOf(`/v/-/${CONTENT_ID}/a0/1/p7.3.writer.m4s`)).toEqual({ ms: 14_000, isDue: false });
    expect(await holdOf(`/v/-/${CONTENT_ID}/a0/1/s7.writer.m4s`)).toBeNull();
  });
});

describe('an answer is refused', () => {
  const verdict = async (target: string, headers: Headers, status = 200, text = '#EXTM3U\n') => {
    const world = edgeWorld(() => whole(200, live('1.7.2'), '#EXTM3U\n'));
    await world.get(PLAYLIST);
    await world.get(target);
    return world.asked.at(-1)?.refuses(status, headers, Buffer.from(text)) ?? null;
  };
  const reload = `${PLAYLIST}?_HLS_msn=7&_HLS_part=3`;

  it('when it shows less than was asked, unless the broadcast is over', async () => {
    expect(await verdict(reload, live('1.7.2'))).toBe('behind');
    expect(await verdict(reload, live('1.7.3'))).toBeNull();
    expect(await verdict(reload, live('1.7.2'), 200, '#EXTM3U\n#EXT-X-ENDLIST\n')).toBeNull();
    expect(await verdict(reload, {})).toBeNull();
  });

  it('when a plain one takes viewers back, whichever rendition they saw', async () => {
    const audio = `/v/-/${CONTENT_ID}/a0/index.m3u8`;
    expect(await verdict(audio, live('1.7.1'))).toBe('behind');
    expect(await verdict(audio, live('1.7.2'))).toBeNull();
  });

  it('when it knows nothing of a part of a stream on air, for the first time', async () => {
    const world = edgeWorld((request) => (request.kind === 'part' ? whole(404, {}) : whole(200, live('1.7.2'), '')));
    await world.get(PLAYLIST);
    await world.get(PART);
    const request = world.asked.at(-1);
    expect(request?.refuses(404, {}, null)).toBe('doubt');
    expect(request?.refuses(404, {}, null)).toBeNull();
    await world.get(`/v/-/AnotherContentContent1/v720/1/p7.2.writer.m4s`);
    expect(world.asked.at(-1)?.refuses(404, {}, null)).toBeNull();
  });
});

describe('without room', () => {
  const busy = { status: 503, result: 'failed' } as const;

  it('for one more waiting viewer, that one is asked to come again; who leaves makes room', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const world = edgeWorld(async () => {
      await gate;
      return whole(200, live('1.7.2'), 'text');
    }, 2);
    const target = `${PLAYLIST}?_HLS_msn=7&_HLS_part=2`;
    const [leaving, staying] = [world.visit(target), world.visit(target)];
    const refused = await world.get(target);
    expect(refused).toMatchObject(busy);
    expect(refused.headers['retry-after']).toBe('1');
    expect(JSON.parse((await bodyOf(refused)).toString())).toMatchObject({ code: 'EDGE_BUSY' });
    leaving.leave();
    expect(await leaving.answer).toMatchObject({ result: 'left', body: null });
    expect(world.waiting.waiting).toBe(1);
    const third = world.get(target);
    release();
    expect((await staying.answer).status).toBe(200);
    expect((await third).status).toBe(200);
    expect([world.waiting.waiting, world.waiting.blocked]).toEqual([0, 0]);
    expect(world.asked).toHaveLength(1);
  });

  it('for more bodies on their way, they are let go', async () => {
    let letGo = 0;
    const world = edgeWorld(() => {
      const answer = streamed(IMMUTABLE, 6_000_000, []);
      if (!Buffer.isBuffer(answer.body)) {
        answer.body.discard = () => {
          letGo += 1;
        };
      }
      return answer;
    });
    expect(await world.get(PART)).toMatchObject(busy);
    expect(letGo).toBe(1);
    expect(world.store.reserved).toBe(0);
  });

  it('is never for long: a broken body gives its room back', async () => {
    const world = edgeWorld(() => streamed({ ...IMMUTABLE, etag: 'W/"weak"' }, 4_000_000, [new Error('reset')]));
    for (const _ of [1, 2, 3]) await expect(bodyOf(await world.get(PART))).rejects.toThrow('broke off');
    expect(world.store.reserved).toBe(0);
  });
});

describe('a request that fails while viewers wait', () => {
  it('is made again for those who had just come, once, and not for those who had waited', async () => {
    const fail: ((thrown: Error) => void)[] = [];
    const world = edgeWorld(() => new Promise((_resolve, reject) => fail.push(reject)));
    const target = `${PLAYLIST}?_HLS_msn=7&_HLS_part=2`;
    const early = [world.get(target), world.get(target)];
    await settled();
    world.pass(6_000);
    const late = [world.get(target), world.get(target)];
    await settled();
    fail[0]?.(new StreamUnavailable());
    expect((await Promise.all(early)).map(({ status }) => status)).toEqual([503, 503]);
    expect(world.asked).toHaveLength(2);
    expect(world.waiting.waiting).toBe(2);
    fail[1]?.(new StreamUnavailable());
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual([503, 503]);
    expect(world.asked).toHaveLength(2);
  });

  it('leaves no trouble when all of them have left', async () => {
    const fail: ((thrown: Error) => void)[] = [];
    const world = edgeWorld(() => new Promise((_resolve, reject) => fail.push(reject)));
    const visit = world.visit(`${PLAYLIST}?_HLS_msn=7&_HLS_part=2`);
    await settled();
    visit.leave();
    expect((await visit.answer).result).toBe('left');
    fail[0]?.(new StreamUnavailable());
    await settled();
    expect(world.fills.count).toBe(0);
  });
});

describe('viewers of a manifest', () => {
  it('are counted by its playback id', async () => {
    const world = edgeWorld(() => whole(200, { 'cache-control': 'max-age=1' }, '<MPD/>'));
    await world.get(`${MPD}?viewer=one`);
    await world.get(`${MPD}?viewer=two`);
    expect(world.viewers.counts(1_000_000)).toEqual({ [PLAYBACK_ID]: 2 });
  });

  it('teach which content is meant', async () => {
    const mpd = `<MPD><BaseURL>v/-/${CONTENT_ID}/</BaseURL></MPD>`;
    const world = edgeWorld(({ kind }) => whole(200, { 'cache-control': 'max-age=1' }, kind === 'mpd' ? mpd : ''));
    await world.get(`${MPD}?viewer=one`);
    await world.get(`${PLAYLIST}?viewer=two`);
    expect(world.viewers.counts(1_000_000)).toEqual({ [PLAYBACK_ID]: 2 });
  });
});
