// What a live worker remembers: blocks of segments at fixed places, bounded memory, and a timeline read back from the store.
import { beforeEach, describe, expect, test } from 'vitest';
import { ObjectMissing } from '../platform/adapters/storage.ts';
import type { TimelineWriter } from '../platform/adapters/timeline-store.ts';
import { type BroadcastId, contentOf, newId, type RenditionName, type WriterTag } from '../platform/contract/ids.ts';
import { indexBlockKey, type ObjectKey, segmentKey } from '../platform/contract/object-keys.ts';
import { BroadcastRecord, type EpochInfo } from '../platform/contract/records.ts';
import { IndexBlock, type Position, type RenditionPart, type TimelineEntry } from '../platform/contract/timeline.ts';
import { SYNC_SAMPLE_FLAGS, writeFragment } from '../platform/hls/cmaf.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { LiveHistory } from './live-history.ts';
import { entryOfSegment, segmentOf, segmentsOf } from './live-history-blocks.ts';

const BROADCAST = newId<BroadcastId>();
const CONTENT = contentOf(BROADCAST);
const V = 'v360' as RenditionName;
const WRITER = 'writeraaaa' as WriterTag;
const PARTS = 4;
const SEGMENT_MS = 2_000;

const partOf = (msn: number, part: number, last: boolean): RenditionPart => ({
  ...{ writer: WRITER, bytes: 10, sha256: 'aa', duration: 45_000, independent: part === 0 },
  tfdt: (msn * PARTS + part) * 45_000,
  ...(last ? { segment: { writer: WRITER, bytes: 40, sha256: 'bb', duration: 180_000 } } : {}),
});
const entry = (msn: number, part: number, changes: Partial<TimelineEntry> = {}): TimelineEntry => ({
  ...{ version: 1, term: 1, epoch: 0, msn, part, gap: false, last: part === PARTS - 1, src: 'store' },
  pdt: msn * SEGMENT_MS + part * 500,
  renditions: { [V]: partOf(msn, part, part === PARTS - 1) },
  ...changes,
});
const segment = (msn: number, changes: Partial<TimelineEntry> = {}): TimelineEntry[] =>
  Array.from({ length: PARTS }, (_, part) => entry(msn, part, changes));
const gap = (msn: number): TimelineEntry[] => segment(msn, { gap: true, renditions: {} });

const epochOf = (epoch: number, msn0: number): EpochInfo => ({
  ...{ epoch, msn0, session: newId(), started_at: 0, ts0: 0, pdt0: msn0 * SEGMENT_MS, fps: { num: 30, den: 1 } },
  ...{ part_frames: 15, gop_frames: 30, segment_frames: 60, part_target: 0.52, target_duration: 2 },
  ...{ grid: 'frames', source: 'publisher' },
  renditions: [
    {
      ...{ name: V, kind: 'video', codecs: 'avc1.64001f', width: 640, height: 360, frame_rate: 30, channels: null },
      ...{ bandwidth: 1, average_bandwidth: 1, timescale: 90_000 },
    },
  ],
});
const recordOf = (...epochs: EpochInfo[]): BroadcastRecord =>
  BroadcastRecord.parse({
    ...{ version: 1, id: BROADCAST, stream_id: newId(), content_id: BROADCAST, status: 'live', created_at: 0 },
    ...{ updated_at: 0, ended_at: null, latency_mode: 'default', reconnect_window_s: 60, term: 1, worker: null },
    ...{ ingest: null, disconnected_at: null, epochs },
  });

let objects: Map<string, Buffer>;
let waiting: Set<string>;
let held: TimelineEntry[];
let head: (Position & { term: number }) | null;
let trimmed: Position[];
let seeded: TimelineEntry[];
let history: LiveHistory;

const timeline: TimelineWriter = {
  append: async () => undefined,
  seed: async (_content, _term, entries) => {
    seeded = [...entries];
  },
  head: async () => head,
  trimBefore: async (_content, position) => void trimmed.push(position),
  remove: async () => undefined,
};
const storage = {
  async *list(prefix: string) {
    for (const [key, body] of [...objects].sort()) {
      if (key.startsWith(prefix)) yield { key: key as ObjectKey, bytes: body.length };
    }
  },
  async read(key: ObjectKey) {
    const body = objects.get(key);
    if (body === undefined) throw new ObjectMissing(key);
    return { etag: '', body };
  },
};
const make = (): LiveHistory =>
  new LiveHistory({
    content: CONTENT,
    storage,
    media: {
      async put(key, bytes) {
        if (!objects.has(key)) objects.set(key, Buffer.from(bytes));
        return waiting.has(key) ? 'worker' : 'store';
      },
      isWaiting: (key) => waiting.has(key),
    },
    timeline,
    redis: { xRange: async () => held.map((one, i) => ({ id: String(i), fields: { e: JSON.stringify(one) } })) },
    log: silentLogger,
  });
const blockAt = (epoch: number, msn: number): IndexBlock =>
  IndexBlock.parse(JSON.parse(objects.get(indexBlockKey(CONTENT, epoch, msn))?.toString('utf8') ?? 'null'));
const blockNames = (): string[] =>
  [...objects.keys()].filter((key) => key.startsWith('index/')).map((key) => key.slice(-9));
const addAll = async (entries: TimelineEntry[]): Promise<void> => {
  for (const one of entries) {
    history.add(one);
    if (one.last) await history.storeBlocks(false);
  }
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

beforeEach(async () => {
  objects = new Map();
  waiting = new Set();
  held = [];
  head = null;
  trimmed = [];
  history = make();
  await history.restore(recordOf(), 1);
});

describe('index blocks', () => {
  test('hold thirty segments each, gaps too, at fixed places', async () => {
    await addAll(range(0, 65).flatMap((msn) => (msn === 3 ? gap(msn) : segment(msn))));
    expect(blockNames()).toEqual(['/0-0.json', '0-30.json']);
    const block = blockAt(0, 30);
    expect([block.first_msn, block.last_msn, block.segments.length]).toEqual([30, 59, 30]);
    expect(blockAt(0, 0).segments[3]).toEqual({ msn: 3, pdt: 6_000, gap: true, last_part: 3, term: 1, renditions: {} });
    expect(block.segments[1]).toEqual({
      ...{ msn: 31, pdt: 62_000, gap: false, last_part: 3, term: 1 },
      renditions: { [V]: { writer: WRITER, bytes: 40, sha256: 'bb', duration: 180_000, tfdt: 31 * PARTS * 45_000 } },
    });
    await history.storeBlocks(true);
    expect([blockAt(0, 60).first_msn, blockAt(0, 60).last_msn]).toEqual([60, 64]);
  });

  test('of an epoch that is over are shorter, once the next one has begun', async () => {
    await addAll(range(0, 5).flatMap((msn) => segment(msn)));
    expect(blockNames()).toEqual([]);
    await addAll(segment(5, { epoch: 1 }));
    expect(blockAt(0, 0).last_msn).toBe(4);
    await addAll(range(6, 35).flatMap((msn) => segment(msn, { epoch: 1 })));
    expect([blockAt(1, 5).first_msn, blockAt(1, 5).last_msn]).toEqual([5, 34]);
  });

  test('take a segment that another worker closed without media as what it is', () => {
    const closing = entry(7, 2, {
      last: true,
      renditions: { [V]: { ...partOf(7, 2, true), bytes: 0, duration: 0 } },
    });
    const row = segmentOf([entry(7, 0), entry(7, 1), closing]);
    expect(row).toMatchObject({ last_part: 2, renditions: { [V]: { tfdt: 7 * PARTS * 45_000, duration: 180_000 } } });
    expect(segmentsOf([entry(7, 0), entry(8, 0)])).toEqual([]);
  });
});

describe('memory', () => {
  test('holds what is in no stored block, and two minutes at least', async () => {
    await addAll(range(0, 400).flatMap((msn) => segment(msn)));
    const [first] = history.entries();
    expect(first).toMatchObject({ msn: 399 - 60, part: 0 });
    expect(trimmed.at(-1)).toEqual({ epoch: 0, msn: 339, part: 0 });
    expect(history.nextMsn).toBe(400);
  });

  test('keeps what only a block on the disk of this worker holds', async () => {
    waiting.add(indexBlockKey(CONTENT, 0, 30));
    await addAll(range(0, 200).flatMap((msn) => segment(msn)));
    expect(history.entries()[0]).toMatchObject({ msn: 30 });
    waiting.clear();
    await addAll(segment(200));
    expect(history.entries()[0]).toMatchObject({ msn: 200 - 60 });
  });
});

describe('a worker that takes over', () => {
  test('goes on with the blocks where they are', async () => {
    held = range(70, 95).flatMap((msn) => segment(msn));
    head = { term: 1, epoch: 0, msn: 94, part: 3 };
    history = make();
    await history.restore(recordOf(epochOf(0, 0)), 2);
    expect(history.isReadBack).toBe(false);
    await addAll(range(95, 121).flatMap((msn) => segment(msn)));
    expect(blockNames()).toEqual(['0-90.json']);
    expect(blockAt(0, 90).segments).toHaveLength(30);
  });

  test('reads the timeline back from blocks and objects when Redis has forgotten it', async () => {
    await addAll(range(0, 33).flatMap((msn) => segment(msn)));
    const media = (msn: number): Buffer => {
      const samples = [{ duration: 180_000, size: 4, flags: SYNC_SAMPLE_FLAGS, cts: 0 }];
      const tfdt = msn * 180_000;
      return Buffer.from(writeFragment({ sequence: 1, trackId: 1, tfdt, samples, data: new Uint8Array(4) }));
    };
    const key = (msn: number) => segmentKey({ content: CONTENT, rendition: V, epoch: 0, msn, writer: WRITER });
    for (const msn of [30, 31, 33]) objects.set(key(msn), media(msn));
    objects.set(key(34), Buffer.from('not whole'));
    history = make();
    await history.restore(recordOf(epochOf(0, 0)), 2);
    expect(history.isReadBack).toBe(true);
    const entries = history.entries();
    expect(entries.map(({ msn }) => msn)).toEqual(range(0, 34));
    expect(entries.map(({ gap }) => gap).indexOf(true)).toBe(32);
    expect(entries[33]).toMatchObject({ pdt: 66_000, last: true, renditions: { [V]: { tfdt: 33 * 180_000 } } });
    expect(history.nextMsn).toBe(35);
    expect(seeded).toEqual(entries);
  });

  test('has one entry for a whole segment of a block', () => {
    const row = segmentOf(segment(9));
    if (row === null) throw new Error('no row');
    const back = entryOfSegment(4, row);
    expect(back).toMatchObject({ epoch: 4, msn: 9, part: 3, last: true, renditions: { [V]: { bytes: 0 } } });
    expect(segmentOf([back])).toEqual(row);
  });
});
