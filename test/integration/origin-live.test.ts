// Two origins over one real Redis and one fs store, a live timeline written by the test: what viewers of either see.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { segmentKey } from '../../platform/contract/object-keys.ts';
import { segmentUri } from '../../platform/contract/routes.ts';
import { until } from '../support/platform.ts';
import { entriesOf, epochOf, segmentEntries, V360, WRITER } from '../support/timelines.ts';
import { goLive, type OriginWorld, type RunningOrigin, startOrigin, startOriginWorld } from './origin-rig.ts';

let world: OriginWorld;

beforeAll(async () => {
  world = await startOriginWorld('origin');
});

afterAll(() => world?.close());

const originAt = (index: number): RunningOrigin => world.originAt(index);

/** Whole segments of a playlist: what index blocks keep; parts are of the live edge alone. */
const segmentsOf = (text: string) => text.split('\n').filter((line) => /^1\/s\d|^#EXTINF|DATE-TIME/.test(line));
const positionOf = (answer: Response) => answer.headers.get('headwater-position');

test('two origins answer the same bytes, headers of position and validator too', async () => {
  const live = await goLive(world, entriesOf(1, 0, 9));
  for (const path of [live.media, `/${live.playback}.m3u8`]) {
    const [one, two] = await Promise.all(world.origins.map((origin) => origin.get(path)));
    expect([one?.status, two?.status]).toEqual([200, 200]);
    expect(await two?.text()).toBe(await one?.text());
    for (const name of ['etag', 'headwater-position', 'cache-control', 'headwater-policy']) {
      expect(two?.headers.get(name)).toBe(one?.headers.get(name));
    }
  }
  const media = await originAt(0).get(live.media);
  expect(positionOf(media)).toBe('1.9.3');
  expect(media.headers.get('cache-control')).toBe('public, max-age=1');
});

test('an appended segment is in the playlists of both within 100 ms (the median of nine)', async () => {
  const live = await goLive(world, entriesOf(1, 0, 2));
  await Promise.all(world.origins.map((origin) => origin.get(live.media)));
  const tookMs: number[] = [];
  for (let msn = 3; msn < 12; msn += 1) {
    for (const entry of segmentEntries({ epoch: 1, msn })) await world.writer.append(live.content, entry);
    const appendedAt = performance.now();
    const waits = world.origins.map((origin) =>
      until(`segment ${msn}`, 2_000, async () => positionOf(await origin.get(live.media)) === `1.${msn}.3`, 5),
    );
    await Promise.all(waits);
    tookMs.push(performance.now() - appendedAt);
  }
  expect(tookMs.sort((a, b) => a - b)[4]).toBeLessThan(100);
});

test('an emptied Redis takes nothing back; the re-seeded timeline goes on', async () => {
  const live = await goLive(world, entriesOf(1, 0, 9));
  const before = await Promise.all(world.origins.map(async (origin) => (await origin.get(live.media)).text()));
  await world.redis.flush();
  const during = await Promise.all(world.origins.map(async (origin) => (await origin.get(live.media)).text()));
  expect(during).toEqual(before);
  await world.writer.seed(live.content, 1, entriesOf(1, 5, 9));
  for (const entry of segmentEntries({ epoch: 1, msn: 10 })) await world.writer.append(live.content, entry);
  for (const origin of world.origins) {
    await until('segment 10', 3_000, async () => positionOf(await origin.get(live.media)) === '1.10.3');
    expect((await (await origin.get(live.media)).text()).match(/#EXTINF/g)).toHaveLength(11);
  }
  await until('the index', 10_000, async () => (await originAt(0).get(`/${live.playback}.m3u8`)).status === 200);
});

test('a fresh origin after an emptied Redis shows what the index blocks hold', async () => {
  const live = await goLive(world, entriesOf(1, 0, 9));
  await world.storeBlock(live.content, entriesOf(1, 0, 9));
  const held = await (await originAt(0).get(live.media)).text();
  await world.redis.flush();
  const fresh = await startOrigin(world.redis.url, world.settings);
  try {
    expect(segmentsOf(await (await fresh.get(live.media)).text())).toEqual(segmentsOf(held));
  } finally {
    await fresh.close();
  }
});

test('a fresh origin shows the whole window when Redis was trimmed to the last block', async () => {
  const live = await goLive(world, entriesOf(1, 0, 40));
  const held = await (await originAt(0).get(live.media)).text();
  await world.storeBlock(live.content, entriesOf(1, 0, 29));
  await world.writer.trimBefore(live.content, { epoch: 1, msn: 30, part: 0 });
  expect(await (await originAt(1).get(live.media)).text()).toBe(held);
});

test('Redis away: held playlists are served for three target durations, then stream-scope 503; back: again', async () => {
  const live = await goLive(world, entriesOf(1, 0, 9));
  const origin = originAt(0);
  const before = await (await origin.get(live.media)).text();
  await world.redis.kill();
  const killedAt = performance.now();
  const during = await origin.get(live.media);
  expect(during.status).toBe(200);
  expect(await during.text()).toBe(before);
  const refused = await until('503', 15_000, async () => {
    const answer = await origin.get(live.media);
    return answer.status === 200 ? null : answer;
  });
  expect(performance.now() - killedAt).toBeGreaterThan(5_000);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('headwater-scope')).toBe('stream');
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(refused.headers.get('cache-control')).toBe('no-store');
  await world.redis.restart();
  await until("the test's own connection", 15_000, async () => world.connection.isReady());
  await until('playlist', 10_000, async () => (await origin.get(live.media)).status === 200);
}, 60_000);

test('a new epoch and the end: DISCONTINUITY, the new init, ENDLIST at last', async () => {
  const live = await goLive(world, entriesOf(1, 0, 4));
  await originAt(0).get(live.media);
  await world.records.update('broadcast', live.id, (value) => ({ ...value, epochs: [...value.epochs, epochOf(2, 5)] }));
  for (const entry of entriesOf(2, 5, 7)) await world.writer.append(live.content, entry);
  const text = await until('epoch 2', 3_000, async () => {
    const answer = await originAt(0).get(live.media);
    return positionOf(answer) === '2.7.3' ? answer.text() : null;
  });
  expect(text).toMatch(/#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="2\/init.mp4"/);
  expect(text).not.toContain('ENDLIST');
  await world.records.update('broadcast', live.id, (value) => ({ ...value, status: 'ended', ended_at: Date.now() }));
  await until('ENDLIST', 5_000, async () =>
    (await (await originAt(0).get(live.media)).text()).includes('#EXT-X-ENDLIST'),
  );
  const info = await (await originAt(0).get(`/${live.playback}.json`)).json();
  expect(info).toMatchObject({ kind: 'live', state: 'ended' });
});

test('media: whole, ranges, and what is not there yet', async () => {
  const live = await goLive(world, entriesOf(1, 0, 2));
  const bytes = Buffer.from('0123456789');
  const key = segmentKey({ content: live.content, rendition: V360, epoch: 1, msn: 2, writer: WRITER });
  await world.storage.put(key, bytes, { bytes: bytes.byteLength, contentType: 'video/mp4' });
  const at = (msn: number) => live.media.replace('index.m3u8', segmentUri(1, msn, WRITER));
  const whole = await originAt(0).get(at(2));
  expect(whole.status).toBe(200);
  expect(await whole.text()).toBe('0123456789');
  expect(whole.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  const etag = whole.headers.get('etag') ?? '';
  const rest = await originAt(1).get(at(2), { range: 'bytes=4-', 'if-range': etag });
  expect([rest.status, rest.headers.get('content-range'), await rest.text()]).toEqual([206, 'bytes 4-9/10', '456789']);
  expect(rest.headers.get('etag')).toBe(etag);
  const later = await originAt(0).get(at(3));
  expect([later.status, later.headers.get('headwater-scope')]).toEqual([503, 'stream']);
  expect((await originAt(0).get(at(1))).status).toBe(404);
});
