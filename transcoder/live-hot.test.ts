// The second worker of a broadcast: whose turn a part is, and the change of places.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TimelineRefused, type TimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { ContentId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import type { BroadcastRecord, EpochInfo } from '../platform/contract/records.ts';
import { comparePositions, type Position, type TimelineEntry } from '../platform/contract/timeline.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { createMetrics } from '../platform/runtime/metrics.ts';
import { fakeWait } from '../test/support/fake-wait.ts';
import { epochOf } from '../test/support/timelines.ts';
import { LiveAppender, type UnsignedEntry } from './live-append.ts';
import type { LiveHistory } from './live-history.ts';
import { LiveStanding } from './live-hot.ts';
import { createLiveMetrics } from './live-metrics.ts';

const CONTENT = 'contentcontentcontent1' as ContentId;
const OWN = 'ownown' as WriterTag;
const LEADER = 'leader' as WriterTag;
const V = 'v180' as RenditionName;
const START = 1_000_000;
const PART_MS = 500;

const info: EpochInfo = { ...epochOf(0, 0, []), pdt0: START };
const recordAt = (term: number, changes: Partial<BroadcastRecord> = {}) =>
  ({ status: 'live', term, epochs: [info], ...changes }) as unknown as BroadcastRecord;
/** Part number `n` from the start, four to a segment. */
const entryOf = (n: number, writer: WriterTag, term = 1): TimelineEntry => ({
  version: 1,
  term,
  epoch: 0,
  msn: Math.floor(n / 4),
  part: n % 4,
  pdt: START + n * PART_MS,
  gap: false,
  last: n % 4 === 3,
  src: 'store',
  renditions: { [V]: { writer, bytes: 1, sha256: '', duration: 45_000, tfdt: n * 45_000, independent: true } },
});
const placeOf = ({ msn, part }: Position) => `${msn}.${part}`;

let entries: TimelineEntry[];
let timeline: TimelineEntry[];
let headTerm: number;
let record: BroadcastRecord | null;
let hand: (entries: TimelineEntry[]) => void;
let stop: AbortController;
let standing: LiveStanding;

const history = {
  get head() {
    return entries.at(-1) ?? null;
  },
  lastEntry: () => entries.at(-1) ?? null,
  entries: () => entries,
  add: (entry: TimelineEntry) => void entries.push(entry),
  storeBlocks: async () => undefined,
} as unknown as LiveHistory;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** The leader names a part, this long after its first frame. */
const leaderNames = async (n: number, delayMs: number): Promise<void> => {
  await pass(Math.max(0, START + n * PART_MS + delayMs - Date.now()));
  const entry = entryOf(n, LEADER);
  timeline.push(entry);
  hand([entry]);
};
const writer: Pick<TimelineWriter, 'append' | 'seed'> = {
  async append(content, entry) {
    if (entry.term < headTerm) throw new TimelineRefused(content, 'STALE_TERM', entry);
    const last = timeline.at(-1);
    if (last !== undefined && comparePositions(entry, last) <= 0)
      throw new TimelineRefused(content, 'STEP_BACK', entry);
    timeline.push(entry);
  },
  async seed(content, term) {
    if (term < headTerm) throw new TimelineRefused(content, 'STALE_TERM', { term });
    headTerm = term;
  },
};

beforeEach(async () => {
  vi.useFakeTimers({ now: START });
  entries = [];
  timeline = [];
  headTerm = 1;
  record = recordAt(1);
  stop = new AbortController();
  const follow = (_content: ContentId, onEntries: (entries: TimelineEntry[]) => void) => {
    hand = onEntries;
    return { caughtUp: Promise.resolve(), stop: () => undefined };
  };
  standing = new LiveStanding(recordAt(1), 'hot', {
    content: CONTENT,
    writer: OWN,
    follower: { follow },
    history,
    entriesAfter: async (place) => timeline.filter((entry) => place === null || comparePositions(entry, place) > 0),
    seed: (term) => writer.seed(CONTENT, term, []),
    readRecord: async () => record,
    wait: fakeWait,
    log: silentLogger,
    signal: stop.signal,
  });
  await standing.follow();
});
afterEach(() => {
  stop.abort();
  vi.useRealTimers();
});

describe('whose turn a part is', () => {
  test('the leader names it in time: it is the leader’s', async () => {
    for (const n of [0, 1, 2]) await leaderNames(n, 700);
    const turn = standing.turn(entryOf(3, OWN));
    await leaderNames(3, 800);
    expect(await turn).toBe(false);
  });

  test('the leader is late by half a part against its own pace: it is this worker’s', async () => {
    for (const n of [0, 1, 2, 3]) await leaderNames(n, 700);
    const turn = standing.turn(entryOf(4, OWN));
    const asked = vi.fn();
    void turn.then(asked);
    await pass(PART_MS + PART_MS / 2 - 10);
    expect(asked).not.toHaveBeenCalled();
    await pass(20);
    expect(await turn).toBe(true);
  });

  test('parts that follow keep the pace: they are not late by another half each', async () => {
    for (const n of [0, 1, 2, 3]) await leaderNames(n, 700);
    await pass(PART_MS * 1.5);
    expect(await standing.turn(entryOf(4, OWN))).toBe(true);
    hand([entryOf(4, OWN)]);
    const turn = standing.turn(entryOf(5, OWN));
    await pass(PART_MS + 10);
    expect(await turn).toBe(true);
  });

  test('a worker that has not seen the leader’s pace leaves it its turn', async () => {
    const asked = vi.fn();
    void standing.turn(entryOf(0, OWN)).then(asked, () => undefined);
    await pass(10_000);
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('what the second worker does next', () => {
  test('joins the epoch that is there, and each one that the leader begins', async () => {
    expect(await standing.next(null)).toBe('join');
    const waiting = standing.next(0);
    record = recordAt(1, { epochs: [info, { ...info, epoch: 1 }] });
    await pass(400);
    expect(await waiting).toBe('join');
    expect(standing.record.epochs).toHaveLength(2);
  });

  test('joins again when the leader went on two segments without it', async () => {
    await leaderNames(0, 100);
    const waiting = standing.next(0);
    for (let n = 1; n <= 8; n += 1) await leaderNames(n, 100);
    await pass(400);
    expect(await waiting).toBe('join');
  });

  test('is done when the broadcast is', async () => {
    const waiting = standing.next(0);
    record = recordAt(1, { status: 'ended' });
    await pass(400);
    expect(await waiting).toBe('over');
  });
});

describe('the leader is gone', () => {
  const appender = () => {
    const metrics = createLiveMetrics(createMetrics(false));
    const base = { content: CONTENT, writer: OWN, history, standing, metrics, log: silentLogger, signal: stop.signal };
    const accepted = async (place: Position) => timeline.find((entry) => comparePositions(entry, place) === 0) ?? null;
    return new LiveAppender({ ...base, timeline: writer as TimelineWriter, accepted, onNamed: () => undefined });
  };
  const unsigned = (n: number): UnsignedEntry => {
    const { term: _term, ...rest } = entryOf(n, OWN);
    return rest;
  };

  test('this worker knows all that was named, and names the rest at once under its own term', async () => {
    await leaderNames(0, 100);
    // Named, but not seen yet.
    timeline.push(entryOf(1, LEADER));
    const appending = appender().append(unsigned(2));
    await standing.promote(recordAt(2));
    await appending;
    expect([standing.place, standing.term]).toEqual(['leader', 2]);
    expect(timeline.map((entry) => [placeOf(entry), entry.term])).toEqual([
      ['0.0', 1],
      ['0.1', 1],
      ['0.2', 2],
    ]);
    expect(entries).toEqual(timeline);
  });

  test('a part refused in the middle of the change is named after it', async () => {
    for (const n of [0, 1, 2, 3]) await leaderNames(n, 100);
    await pass(PART_MS * 1.5);
    // The old term is fenced off while this worker’s own append is under way.
    const changing = standing.promote(recordAt(2));
    const appending = appender().append(unsigned(4));
    await changing;
    await appending;
    expect(timeline.at(-1)).toMatchObject({ msn: 1, part: 0, term: 2 });
    expect(entries).toEqual(timeline);
  });

  test('a later term elsewhere: the change fails', async () => {
    headTerm = 9;
    await expect(standing.promote(recordAt(2))).rejects.toThrow(TimelineRefused);
  });
});
