// The live timeline on a real Redis: the fence, seeding after a loss, and followers that never see an entry twice.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import {
  createTimelineFollower,
  createTimelineWriter,
  entryId,
  positionOf,
  TimelineRefused,
  type TimelineWriter,
} from '../../platform/adapters/timeline-store.ts';
import { type ContentId, newId, RenditionName, type WriterTag } from '../../platform/contract/ids.ts';
import { timelineHeadKey, timelineKey } from '../../platform/contract/redis-keys.ts';
import { formatPosition, type Position, type TimelineEntry } from '../../platform/contract/timeline.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestRedis;
let redis: RedisConnection;
let writer: TimelineWriter;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis(server.url, silentLogger);
  await redis.start();
  writer = createTimelineWriter(redis);
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});
beforeEach(() => server.flush());

const entryAt = (msn: number, part = 0, changes: Partial<TimelineEntry> = {}): TimelineEntry => ({
  version: 1,
  term: 1,
  epoch: 0,
  msn,
  part,
  pdt: 1_700_000_000_000 + msn * 2_000,
  gap: false,
  last: true,
  src: 'store',
  renditions: {
    [RenditionName.parse('v240')]: {
      writer: 'abcdefghij' as WriterTag,
      bytes: 1_000,
      sha256: '00',
      duration: 180_000,
      tfdt: msn * 180_000,
      independent: true,
    },
  },
  ...changes,
});
const refusal = async (work: Promise<void>) => {
  try {
    await work;
    return 'ACCEPTED';
  } catch (thrown) {
    if (thrown instanceof TimelineRefused) return thrown.reason;
    throw thrown;
  }
};
const names = (entries: Position[]) => entries.map(formatPosition);

test('ids of entries order as positions and can be read back', () => {
  const places: Position[] = [
    { epoch: 0, msn: 0, part: 0 },
    { epoch: 0, msn: 0, part: 9 },
    { epoch: 0, msn: 999_999_999, part: 4_000 },
    { epoch: 3, msn: 7, part: 1 },
  ];
  expect(places.map((place) => positionOf(entryId(place)))).toEqual(places);
  expect(entryId({ epoch: 0, msn: 0, part: 0 })).toBe('0-1');
});

describe('a timeline that nobody writes any more', () => {
  test('goes by itself, so that ended broadcasts do not fill Redis', async () => {
    const content = newId<ContentId>();
    await writer.seed(content, 1, [entryAt(0)]);
    await writer.append(content, entryAt(1));
    for (const key of [timelineKey(content), timelineHeadKey(content)]) {
      const seconds = Number(await redis.client.eval("return redis.call('TTL', KEYS[1])", [key], []));
      expect(seconds).toBeGreaterThan(86_000);
      expect(seconds).toBeLessThanOrEqual(86_400);
    }
  });
});

describe('the fence', () => {
  test('refuses before seeding, an old term, a step back', async () => {
    const content = newId<ContentId>();
    expect(await refusal(writer.append(content, entryAt(0)))).toBe('UNSEEDED');
    await writer.seed(content, 2, []);
    expect(await writer.head(content)).toBeNull();
    expect(await refusal(writer.append(content, entryAt(0, 0, { term: 1 })))).toBe('STALE_TERM');
    expect(await refusal(writer.append(content, entryAt(5, 1, { term: 2 })))).toBe('ACCEPTED');
    for (const [msn, part] of [
      [5, 1],
      [5, 0],
      [4, 9],
    ] as const) {
      expect(await refusal(writer.append(content, entryAt(msn, part, { term: 2 })))).toBe('STEP_BACK');
    }
    expect(await refusal(writer.append(content, entryAt(6, 0, { term: 2 })))).toBe('ACCEPTED');
    expect(await writer.head(content)).toEqual({ term: 2, epoch: 0, msn: 6, part: 0 });
    expect(await refusal(writer.append(content, entryAt(7, 0, { term: 2, epoch: 1 })))).toBe('ACCEPTED');
    expect(await refusal(writer.append(content, entryAt(8, 0, { term: 2 })))).toBe('STEP_BACK');
    expect(await refusal(writer.seed(content, 1, []))).toBe('STALE_TERM');
  });
  test('of two workers with one term, each position is accepted once', async () => {
    const content = newId<ContentId>();
    await writer.seed(content, 1, []);
    let accepted = 0;
    for (let msn = 0; msn < 20; msn += 1) {
      const outcomes = await Promise.all([1, 2].map(() => refusal(writer.append(content, entryAt(msn)))));
      accepted += outcomes.filter((outcome) => outcome === 'ACCEPTED').length;
    }
    expect(accepted).toBe(20);
    expect((await redis.client.xRange(timelineKey(content), '-', '+')).length).toBe(20);
  });
  test('a takeover raises the term and keeps the entries', async () => {
    const content = newId<ContentId>();
    await writer.seed(content, 1, []);
    await writer.append(content, entryAt(0));
    await writer.seed(content, 2, [entryAt(0, 0, { term: 2 })]);
    expect(await refusal(writer.append(content, entryAt(1)))).toBe('STALE_TERM');
    expect(await writer.head(content)).toEqual({ term: 2, epoch: 0, msn: 0, part: 0 });
    await writer.append(content, entryAt(1, 0, { term: 2 }));
    const held = await redis.client.xRange(timelineKey(content), '-', '+');
    expect(held.map(({ fields }) => (JSON.parse(fields['e'] ?? '') as TimelineEntry).term)).toEqual([1, 2]);
  });
  test('a Redis that knows less than the writer is given the rest before it goes on', async () => {
    const content = newId<ContentId>();
    const held = [entryAt(0), entryAt(1, 3)];
    await writer.seed(content, 1, held);
    const lost = [entryAt(1, 4), entryAt(2), entryAt(10, 12)];
    const known = [...held, ...lost];
    expect(await refusal(writer.append(content, entryAt(11), known.at(-1)))).toBe('UNSEEDED');
    expect(await refusal(writer.append(content, entryAt(1, 5, { epoch: 1 }), known.at(-1)))).toBe('UNSEEDED');
    await writer.seed(content, 1, known);
    expect(await writer.head(content)).toEqual({ term: 1, epoch: 0, msn: 10, part: 12 });
    expect(await refusal(writer.append(content, entryAt(10, 12), known.at(-1)))).toBe('STEP_BACK');
    expect(await refusal(writer.append(content, entryAt(11), known.at(-1)))).toBe('ACCEPTED');
    // One that knows more, because another worker wrote there, takes it all the same.
    expect(await refusal(writer.append(content, entryAt(12), known.at(0)))).toBe('ACCEPTED');
    const places = (await redis.client.xRange(timelineKey(content), '-', '+')).map(({ id }) => positionOf(id));
    expect(names(places)).toEqual(names([...known, entryAt(11), entryAt(12)]));
  });
  test('after FLUSHALL the worker seeds from memory and goes on', async () => {
    const content = newId<ContentId>();
    await writer.seed(content, 3, []);
    const entries = [0, 1, 2].map((msn) => entryAt(msn, 0, { term: 3 }));
    for (const entry of entries) await writer.append(content, entry);
    await server.flush();
    expect(await refusal(writer.append(content, entryAt(3, 0, { term: 3 })))).toBe('UNSEEDED');
    await writer.seed(content, 3, entries);
    expect(await writer.head(content)).toEqual({ term: 3, epoch: 0, msn: 2, part: 0 });
    expect(await refusal(writer.append(content, entryAt(2, 0, { term: 3 })))).toBe('STEP_BACK');
    await writer.append(content, entryAt(3, 0, { term: 3 }));
  });
  test('trims to a position and removes', async () => {
    const content = newId<ContentId>();
    await writer.seed(
      content,
      1,
      [0, 1, 2, 3].map((msn) => entryAt(msn)),
    );
    await writer.trimBefore(content, { epoch: 0, msn: 2, part: 0 });
    const left = await redis.client.xRange(timelineKey(content), '-', '+');
    expect(left.map((entry) => positionOf(entry.id).msn)).toEqual([2, 3]);
    await writer.remove(content);
    expect(await writer.head(content)).toBeNull();
    expect(await redis.client.exists(timelineKey(content))).toBe(false);
  });
});

describe('followers', () => {
  test('get what is held, then what comes, each once', async () => {
    const follower = createTimelineFollower(redis, silentLogger);
    await follower.start();
    const [one, two] = [newId<ContentId>(), newId<ContentId>()];
    await writer.seed(
      one,
      1,
      [0, 1].map((msn) => entryAt(msn)),
    );
    await writer.seed(two, 1, []);
    const seen = new Map<string, TimelineEntry[]>();
    const into = (name: string) => (entries: TimelineEntry[]) =>
      seen.set(name, [...(seen.get(name) ?? []), ...entries]);
    const first = follower.follow(one, into('one'));
    await first.caughtUp;
    expect(names(seen.get('one') ?? [])).toEqual(['0.0.0', '0.1.0']);
    follower.follow(two, into('two'));
    const late = follower.follow(one, into('late'));
    await writer.append(one, entryAt(2));
    await writer.append(two, entryAt(7));
    await waitUntil('all have come', () => seen.get('late')?.length === 3 && seen.get('two')?.length === 1);
    expect(names(seen.get('one') ?? [])).toEqual(['0.0.0', '0.1.0', '0.2.0']);
    expect(seen.get('one')?.[2]).toEqual(entryAt(2));
    late.stop();
    await writer.append(one, entryAt(3));
    await waitUntil('the next has come', () => seen.get('one')?.length === 4);
    expect(seen.get('late')).toHaveLength(3);
    expect(follower.staleMs()).toBeLessThan(1_000);
    await follower.close();
    await follower.close();
  });
  test('see new entries soon', async () => {
    const follower = createTimelineFollower(redis, silentLogger);
    await follower.start();
    const content = newId<ContentId>();
    await writer.seed(content, 1, []);
    let count = 0;
    await follower.follow(content, (entries) => {
      count += entries.length;
    }).caughtUp;
    await writer.append(content, entryAt(0));
    await waitUntil('the first', () => count === 1);
    const startedAt = performance.now();
    for (let msn = 1; msn <= 20; msn += 1) {
      await writer.append(content, entryAt(msn));
      await waitUntil('the next', () => count === msn + 1);
    }
    // 20 ms of each are the polling of waitUntil.
    expect((performance.now() - startedAt) / 20).toBeLessThan(100);
    await follower.close();
  });
  test('go on over FLUSHALL and over a dead, empty Redis', async () => {
    const own = await startRedis();
    const link = createRedis(own.url, silentLogger);
    await link.start();
    const ownWriter = createTimelineWriter(link);
    const follower = createTimelineFollower(link, silentLogger);
    await follower.start();
    const content = newId<ContentId>();
    const memory = [0, 1, 2].map((msn) => entryAt(msn));
    await ownWriter.seed(content, 1, memory);
    const seen: TimelineEntry[] = [];
    await follower.follow(content, (entries) => seen.push(...entries)).caughtUp;
    await own.flush();
    await ownWriter.seed(content, 1, memory);
    await ownWriter.append(content, entryAt(3));
    await waitUntil('entry 3', () => seen.length >= 4);
    await own.kill();
    await waitUntil('the follower knows that it is stale', () => follower.staleMs() > 600, 3_000);
    await own.restart();
    await waitUntil('redis is back', () => link.isReady());
    await ownWriter.seed(content, 1, [...memory, entryAt(3)]);
    await ownWriter.append(content, entryAt(4));
    await waitUntil('entry 4', () => seen.length >= 5);
    expect(names(seen)).toEqual(['0.0.0', '0.1.0', '0.2.0', '0.3.0', '0.4.0']);
    expect(follower.staleMs()).toBeLessThan(1_000);
    await follower.close();
    await link.close();
    await own.stop();
  });
});
