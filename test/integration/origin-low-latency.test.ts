// Low latency over one real Redis and one fs store: two origins, a writer that appends part by part, viewers that wait.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHeartbeat } from '../../platform/adapters/registry.ts';
import { type NodeId, newId } from '../../platform/contract/ids.ts';
import type { NodeInfo } from '../../platform/contract/nodes.ts';
import { partKey } from '../../platform/contract/object-keys.ts';
import { headers, mediaPlaylistPath, partUri, workerObjectPath } from '../../platform/contract/routes.ts';
import { INDEX_BLOCK_SEGMENTS } from '../../platform/contract/timeline.ts';
import { closeServer } from '../../platform/runtime/http-server.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { readBack } from '../support/live-texts.ts';
import { until } from '../support/platform.ts';
import { A0, entriesOf, segmentEntries, V360, WRITER } from '../support/timelines.ts';
import {
  goLive,
  type OriginWorld,
  type RunningOrigin,
  startOrigin,
  startOriginWorld,
  TEST_SECRET,
} from './origin-rig.ts';

let world: OriginWorld;

beforeAll(async () => {
  world = await startOriginWorld('origin-low-latency');
});

afterAll(() => world?.close());

const originAt = (index: number): RunningOrigin => world.originAt(index);

/** Resolves when so many requests wait at an origin. */
const blocked = (origin: RunningOrigin, count: number) =>
  until(`${count} blocked`, 5_000, async () => {
    const text = await (await fetch(`${origin.privateUrl}/metrics`)).text();
    return Number(/^headwater_origin_blocked_requests (\d+)/m.exec(text)?.[1]) === count;
  });
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

test('while a writer appends parts, two origins answer every directive with the same bytes, milliseconds after the append', async () => {
  const live = await goLive(world, entriesOf(1, 0, 9));
  for (const origin of world.origins) expect((await origin.get(live.media)).status).toBe(200);
  const tookMs: number[] = [];
  for (const entry of entriesOf(1, 10, 14)) {
    const paths = [V360, A0].flatMap((rendition) =>
      ['', '&_HLS_skip=YES'].map(
        (skip) => `${mediaPlaylistPath(live.content, rendition)}?_HLS_msn=${entry.msn}&_HLS_part=${entry.part}${skip}`,
      ),
    );
    const waits = world.origins.map((origin) => Promise.all(paths.map((path) => origin.get(path))));
    for (const origin of world.origins) await blocked(origin, paths.length);
    const appendedAt = performance.now();
    await world.writer.append(live.content, entry);
    const [one = [], two = []] = await Promise.all(waits);
    tookMs.push(performance.now() - appendedAt);
    for (const [index, answer] of one.entries()) {
      const [text, other] = [await answer.text(), await two[index]?.text()];
      expect(other).toBe(text);
      readBack(text);
      for (const name of ['etag', 'cache-control', 'headwater-position', 'headwater-policy']) {
        expect(two[index]?.headers.get(name)).toBe(answer.headers.get(name));
      }
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'public, max-age=12']);
      expect(answer.headers.get('headwater-position')).toBe(`1.${entry.msn}.${entry.part}`);
    }
  }
  console.info(`append to eight answers of two origins: median ${median(tookMs).toFixed(1)} ms, of ${tookMs.length}`);
  expect(median(tookMs)).toBeLessThan(100);
});

test('a fresh origin answers a place with the text that others gave when it was new', async () => {
  const live = await goLive(world, entriesOf(1, 0, 40));
  const [last] = segmentEntries({ epoch: 1, msn: 41 });
  if (last === undefined) throw new Error('a segment has parts');
  const waiting = originAt(0).get(live.at(41, 0));
  await blocked(originAt(0), 1);
  await world.writer.append(live.content, last);
  const then = await (await waiting).text();
  for (const entry of entriesOf(1, 41, 43).slice(1)) await world.writer.append(live.content, entry);
  await world.storeBlock(live.content, entriesOf(1, 0, 29));
  await world.writer.trimBefore(live.content, { epoch: 1, msn: 30, part: 0 });
  const fresh = await startOrigin(world.redis.url, world.settings);
  try {
    expect(await (await fresh.get(live.at(41, 0))).text()).toBe(then);
  } finally {
    await fresh.close();
  }
});

test('300 viewers of one part are answered together', async () => {
  const live = await goLive(world, entriesOf(1, 0, 9));
  await originAt(0).get(live.media);
  const waits = Array.from({ length: 300 }, () => originAt(0).get(live.at(10, 0)));
  await blocked(originAt(0), 300);
  const appendedAt = performance.now();
  const [entry] = segmentEntries({ epoch: 1, msn: 10 });
  if (entry !== undefined) await world.writer.append(live.content, entry);
  const texts = await Promise.all(waits.map(async (wait) => (await wait).text()));
  console.info(`300 blocked requests answered after ${(performance.now() - appendedAt).toFixed(0)} ms`);
  expect(new Set(texts).size).toBe(1);
});

test('a hinted part is sent as soon as the timeline names it; from a worker when the store does not have it', async () => {
  const key = (content: string, msn: number, part: number) =>
    partKey({ content: content as never, rendition: V360, epoch: 1, msn, part, writer: WRITER });
  const live = await goLive(world, entriesOf(1, 0, 3));
  const asked: string[] = [];
  const worker = createServer((req, res) => {
    asked.push(`${req.url} ${req.headers[headers.internal] === TEST_SECRET}`);
    res.writeHead(200, { 'content-length': 9 }).end('on a disk');
  });
  await new Promise<void>((resolve) => worker.listen(0, '127.0.0.1', resolve));
  const node: NodeInfo = {
    id: newId<NodeId>(),
    role: 'transcoder',
    url: `http://127.0.0.1:${(worker.address() as AddressInfo).port}`,
    public_url: null,
    private_url: '',
    state: 'healthy',
    started_at: 0,
    pid: 1,
    version: '0.1.0',
    load: {},
  };
  const heartbeat = createHeartbeat(world.connection, () => node, silentLogger);
  await heartbeat.start();
  try {
    await originAt(1).get(live.media);
    const at = (part: number) => live.media.replace('index.m3u8', partUri(1, 4, part, WRITER));
    await world.storage.put(key(live.content, 4, 0), Buffer.from('stored'), { bytes: 6, contentType: 'video/mp4' });
    const [first, second] = segmentEntries({ epoch: 1, msn: 4 });
    if (first === undefined || second === undefined) throw new Error('a segment has parts');
    const stored = originAt(1).get(at(0));
    await blocked(originAt(1), 1);
    await world.writer.append(live.content, first);
    expect(await (await stored).text()).toBe('stored');
    const spooled = originAt(1).get(at(1));
    await blocked(originAt(1), 1);
    await world.writer.append(live.content, { ...second, src: `worker:${node.id}` });
    await until('the registry', 5_000, async () => {
      const answer = await originAt(1).get(at(1));
      return (await answer.text()) === 'on a disk';
    });
    expect([200, 503]).toContain((await spooled).status);
    expect(asked[0]).toBe(`${workerObjectPath(key(live.content, 4, 1))} true`);
  } finally {
    await heartbeat.close();
    await closeServer(worker, 0);
  }
});

test('the end reaches those who wait, without a poll of theirs', async () => {
  const live = await goLive(world, entriesOf(1, 0, 3));
  await originAt(0).get(live.media);
  const waiting = originAt(0).get(live.at(4, 0));
  await blocked(originAt(0), 1);
  const endedAt = performance.now();
  await world.records.update('broadcast', live.id, (value) => ({ ...value, status: 'ended', ended_at: Date.now() }));
  const answer = await waiting;
  expect(await answer.text()).toContain('#EXT-X-ENDLIST');
  expect(performance.now() - endedAt).toBeLessThan(3_000);
});

test('an origin that drains lets nobody hang, and is gone soon', async () => {
  const live = await goLive(world, entriesOf(1, 0, 3));
  const leaving = await startOrigin(world.redis.url, world.settings);
  await leaving.get(live.media);
  const waits = Array.from({ length: 20 }, () => leaving.get(live.at(4, 0)));
  await blocked(leaving, 20);
  const began = performance.now();
  const closing = leaving.close();
  for (const wait of waits) expect((await wait).status).toBe(503);
  expect(performance.now() - began).toBeLessThan(1_000);
  await closing;
  expect(performance.now() - began).toBeLessThan(4_000);
});

test('twelve hours to rewind: a fresh origin has them at the first answer, later ones are cheap', async () => {
  const live = await goLive(world, [], { dvr_window_s: 43_200 });
  const segments = 21_600;
  for (let first = 0; first < segments; first += INDEX_BLOCK_SEGMENTS) {
    await world.storeBlock(live.content, entriesOf(1, first, first + INDEX_BLOCK_SEGMENTS - 1));
  }
  for (const entry of entriesOf(1, segments, segments + 1)) await world.writer.append(live.content, entry);
  const fresh = await startOrigin(world.redis.url, world.settings);
  try {
    const timed = async (path: string) => {
      const began = performance.now();
      const text = await (await fresh.get(path)).text();
      return { text, ms: performance.now() - began };
    };
    const cold = await timed(live.media);
    expect(cold.ms).toBeLessThan(10_000);
    await until('the whole window', 20_000, async () => (await timed(live.media)).text.includes('MEDIA-SEQUENCE:2\n'));
    const [next] = segmentEntries({ epoch: 1, msn: segments + 2 });
    if (next !== undefined) await world.writer.append(live.content, next);
    const whole = await timed(live.at(segments + 2, 0));
    const delta = await timed(`${live.at(segments + 2, 0)}&_HLS_skip=YES`);
    expect(whole.text.match(/#EXTINF/g)).toHaveLength(segments);
    expect(delta.text.length).toBeLessThan(4_000);
    const built = await (await fetch(`${fresh.privateUrl}/metrics`)).text();
    console.info(
      `first answer ${cold.ms.toFixed(0)} ms, whole ${whole.ms.toFixed(0)} ms, delta ${delta.ms.toFixed(0)} ms`,
      /playlist_build_seconds_sum [\d.]+/.exec(built)?.[0],
    );
  } finally {
    await fresh.close();
  }
}, 60_000);

test('Redis away: who waits is told after three target durations, within the stream', async () => {
  const live = await goLive(world, entriesOf(1, 0, 3));
  await originAt(0).get(live.media);
  await world.redis.kill();
  const began = performance.now();
  const answer = await originAt(0).get(live.at(4, 0));
  expect([answer.status, answer.headers.get('headwater-scope')]).toEqual([503, 'stream']);
  expect(performance.now() - began).toBeGreaterThan(5_500);
  await world.redis.restart();
  await until("the test's own connection", 15_000, async () => world.connection.isReady());
}, 60_000);
