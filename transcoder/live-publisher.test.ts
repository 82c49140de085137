// The order of a publish: stored, then named, one place after another; and what stops or delays it.
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { ObjectConflict, ObjectMissing, type ObjectStorage, StorageUnavailable } from '../platform/adapters/storage.ts';
import { TimelineRefused, type TimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { ContentId, NodeId, RenditionName, SessionId, WriterTag } from '../platform/contract/ids.ts';
import type { EpochInfo, RenditionInfo } from '../platform/contract/records.ts';
import { comparePositions, type Position, type TimelineEntry } from '../platform/contract/timeline.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { createMetrics } from '../platform/runtime/metrics.ts';
import { storeOnly } from '../test/support/store-only.ts';
import { LiveAppender, type UnsignedEntry } from './live-append.ts';
import { LiveInitDiffers, LiveSuperseded } from './live-errors.ts';
import { LiveHistory } from './live-history.ts';
import type { MediaStore } from './live-media-store.ts';
import { createLiveMetrics } from './live-metrics.ts';
import { LivePublisher } from './live-publisher.ts';
import type { CutPart } from './live-video-cutter.ts';

const CONTENT = 'contentcontentcontent1' as ContentId;
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;
const WRITER = 'writer0001' as WriterTag;
const NODE = 'nodenodenodenodenode01' as NodeId;

const rendition = (name: RenditionName): RenditionInfo => ({
  name,
  kind: name === A ? 'audio' : 'video',
  codecs: '',
  width: null,
  height: null,
  frame_rate: null,
  channels: null,
  bandwidth: 1,
  average_bandwidth: 1,
  timescale: 90_000,
});
const epochOf = (epoch: number, msn0: number): EpochInfo => ({
  epoch,
  session: 'session' as SessionId,
  started_at: 0,
  ts0: 0,
  msn0,
  pdt0: 1_000_000,
  fps: { num: 30, den: 1 },
  part_frames: 15,
  gop_frames: 30,
  segment_frames: 60,
  part_target: 0.52,
  target_duration: 2,
  renditions: [rendition(V), rendition(A)],
  grid: 'frames',
  source: 'publisher',
});
const part = (name: RenditionName, msn: number, number: number, last = number === 3): CutPart => ({
  rendition: name,
  msn,
  part: number,
  bytes: Buffer.from(`${name}-${msn}-${number}`),
  duration: 45_000,
  tfdt: (msn * 4 + number) * 45_000,
  independent: number % 2 === 0,
  last,
});

/** A store and a timeline in memory that write down, in one list, what happens. */
class World {
  readonly events: string[] = [];
  readonly objects = new Map<string, Buffer>();
  readonly accepted: TimelineEntry[] = [];
  readonly trims: string[] = [];
  failPuts = 0;
  /** Keys that only the worker's disk takes. */
  spooled = /^never$/;
  refusals: ('STALE_TERM' | 'STEP_BACK' | 'UNSEEDED')[] = [];
  /** Puts of keys that contain this text wait for open(). */
  gate: { text: string; opened: Promise<void>; open(): void } | null = null;

  hold(text: string): void {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.gate = { text, opened, open };
  }

  readonly storage: ObjectStorage = {
    description: 'memory',
    put: async (key, body) => {
      if (this.gate && key.includes(this.gate.text)) await this.gate.opened;
      if (this.failPuts > 0) {
        this.failPuts -= 1;
        throw new StorageUnavailable('put');
      }
      if (this.objects.has(key)) throw new ObjectConflict(key);
      this.objects.set(key, Buffer.from(body as Buffer));
      this.events.push(`put ${key.split('/').slice(2).join('/')}`);
      return '';
    },
    get: async () => ({ head: { bytes: 0, etag: '', contentType: '', modifiedAt: 0 }, body: Readable.from([]) }),
    read: async (key) => {
      const body = this.objects.get(key);
      if (body === undefined) throw new ObjectMissing(key);
      return { etag: '', body };
    },
    head: async () => ({ bytes: 0, etag: '', contentType: '', modifiedAt: 0 }),
    list: async function* (this: World, prefix: string) {
      for (const [key, body] of this.objects)
        if (key.startsWith(prefix)) yield { key: key as never, bytes: body.length };
    }.bind(this),
    delete: async () => undefined,
    prove: async () => undefined,
    freeBytes: async () => null,
    close: async () => undefined,
  };
  readonly timeline: TimelineWriter = {
    append: async (content, entry) => {
      const reason = this.refusals.shift();
      if (reason) throw new TimelineRefused(content, reason, entry);
      this.accepted.push(entry);
      this.events.push(`name ${entry.msn}.${entry.part}`);
    },
    seed: async (_content, term, entries) => void this.events.push(`seed ${term} with ${entries.length}`),
    head: async () => {
      const last = this.accepted.at(-1);
      return last ? { term: 1, epoch: last.epoch, msn: last.msn, part: last.part } : null;
    },
    trimBefore: async (_content, position) =>
      void this.trims.push(`${position.epoch}.${position.msn}.${position.part}`),
    remove: async () => undefined,
  };
}

let world: World;
let history: LiveHistory;
let stop: AbortController;
let failure: unknown;
let publisher: LivePublisher;
/** Places of closing entries, as the publisher told them. */
let closed: string[];

const makeHistory = () => {
  const xRange = async () => world.accepted.map((entry) => ({ id: '', fields: { e: JSON.stringify(entry) } }));
  const { storage, timeline } = world;
  const media = storeOnly(storage);
  return new LiveHistory({ content: CONTENT, storage, media, timeline, redis: { xRange }, log: silentLogger });
};
const makePublisher = (term = 1) => {
  const { storage, timeline } = world;
  const metrics = createLiveMetrics(createMetrics(false));
  const fail = (thrown: unknown) => {
    failure = thrown;
    stop.abort(thrown);
  };
  const standing = { place: 'leader', term, turn: async () => true, settled: async () => undefined } as const;
  const base = { history, metrics, log: silentLogger, signal: stop.signal };
  const accepted = async (place: Position) =>
    world.accepted.find((entry) => comparePositions(entry, place) === 0) ?? null;
  const onNamed = () => undefined;
  const appender = new LiveAppender({
    ...base,
    content: CONTENT,
    writer: WRITER,
    timeline,
    standing,
    accepted,
    onNamed,
  });
  const onClosed = async (entry: UnsignedEntry) => void closed.push(`${entry.msn}.${entry.part}`);
  const options = { content: CONTENT, node: NODE, writer: WRITER };
  const media: MediaStore = {
    ...storeOnly(storage),
    put: async (key, bytes) => (world.spooled.test(key) ? 'worker' : storeOnly(storage).put(key, bytes)),
  };
  return new LivePublisher(options, { ...base, storage, media, appender, fail, onClosed });
};
const begin = (info: EpochInfo = epochOf(0, 0)) => publisher.beginEpoch(info);
const addAll = (msn: number, parts = [0, 1, 2, 3]) => {
  for (const number of parts) for (const name of [V, A]) publisher.add(part(name, msn, number));
};

beforeEach(() => {
  world = new World();
  closed = [];
  history = makeHistory();
  stop = new AbortController();
  failure = null;
  publisher = makePublisher();
});

describe('LivePublisher', () => {
  test('names a part when all its renditions are stored, a closing part when its segments are', async () => {
    begin();
    addAll(0);
    await publisher.settle();
    const at = (event: string) => world.events.indexOf(event);
    for (const number of [0, 1, 2, 3]) {
      expect(at(`put v180/0/p0.${number}.${WRITER}.m4s`)).toBeLessThan(at(`name 0.${number}`));
      expect(at(`put a0/0/p0.${number}.${WRITER}.m4s`)).toBeLessThan(at(`name 0.${number}`));
    }
    expect(at(`put v180/0/s0.${WRITER}.m4s`)).toBeLessThan(at('name 0.3'));
    expect(world.objects.get(`media/${CONTENT}/v180/0/s0.${WRITER}.m4s`)?.toString()).toBe(
      'v180-0-0v180-0-1v180-0-2v180-0-3',
    );
    expect(world.accepted.map((entry) => [entry.part, entry.last, entry.pdt])).toEqual([
      [0, false, 1_000_000],
      [1, false, 1_000_500],
      [2, false, 1_001_000],
      [3, true, 1_001_500],
    ]);
    expect(world.accepted[3]?.renditions[A]?.segment).toMatchObject({ writer: WRITER, bytes: 24, duration: 180_000 });
  });

  test('a slow part holds back those after it', async () => {
    begin();
    world.hold('v180/0/p0.0');
    addAll(0);
    publisher.add(part(V, 1, 0));
    await new Promise(setImmediate);
    expect(world.accepted).toEqual([]);
    world.gate?.open();
    await publisher.settle();
    expect(world.accepted.map((entry) => entry.part)).toEqual([0, 1, 2, 3]);
  });

  test('a part without all its renditions is never named', async () => {
    begin();
    publisher.add(part(V, 0, 0));
    await publisher.settle();
    expect(world.accepted).toEqual([]);
  });

  test('tries again when the store fails', async () => {
    begin();
    world.failPuts = 3;
    addAll(0, [0]);
    await publisher.settle();
    expect(world.accepted).toHaveLength(1);
  });

  test('fills an emptied Redis from memory', async () => {
    begin();
    addAll(0, [0, 1]);
    await publisher.settle();
    world.refusals = ['UNSEEDED'];
    begin();
    publisher.add(part(V, 0, 2));
    publisher.add(part(A, 0, 2));
    await publisher.settle();
    expect(world.events.slice(-2)).toEqual(['seed 1 with 2', 'name 0.2']);
  });

  test("a part on the worker's disk is named with its node; one part of an entry is enough", async () => {
    begin();
    world.spooled = /a0\/0\/p0\.1|v180\/0\/s0/;
    addAll(0);
    await publisher.settle();
    const worker = `worker:${NODE}`;
    expect(world.accepted.map((entry) => entry.src)).toEqual(['store', worker, 'store', worker]);
  });

  test('gaps are named after what is on its way', async () => {
    begin();
    world.hold('v180/0/p0.1');
    addAll(0, [0, 1]);
    const gap = {
      version: 1,
      epoch: 0,
      msn: 1,
      part: 0,
      pdt: 1,
      gap: true,
      last: true,
      src: 'store',
      renditions: {},
    } as const;
    publisher.addGap(gap);
    await new Promise(setImmediate);
    expect(world.accepted).toHaveLength(1);
    world.gate?.open();
    await publisher.closeEpoch();
    expect(world.accepted.map((entry) => [entry.msn, entry.part, entry.gap])).toEqual([
      [0, 0, false],
      [0, 1, false],
      [1, 0, true],
    ]);
    expect(closed).toEqual(['1.0']);
  });

  test('remembers what stands at a place that was taken', async () => {
    begin();
    addAll(0, [0]);
    await publisher.settle();
    const [first] = world.accepted;
    if (first === undefined) throw new Error('nothing is named');
    // The answer of the next append is lost: it stands there, and the next try is a step back.
    world.accepted.push({ ...first, part: 1 });
    world.refusals = ['STEP_BACK'];
    addAll(0, [1]);
    await publisher.settle();
    expect(history.head).toMatchObject({ msn: 0, part: 1 });
    expect(world.accepted).toHaveLength(2);
  });

  test('leaves out what the timeline has already', async () => {
    begin();
    world.refusals = ['STEP_BACK'];
    addAll(0, [0, 1]);
    await publisher.settle();
    expect(world.accepted.map((entry) => entry.part)).toEqual([1]);
    expect(failure).toBeNull();
  });

  test('writes nothing more when its term is over', async () => {
    begin();
    world.refusals = ['STALE_TERM'];
    addAll(0);
    await publisher.settle();
    expect(failure).toBeInstanceOf(LiveSuperseded);
    expect(world.accepted).toEqual([]);
    const before = world.events.length;
    addAll(1);
    expect(world.events.length).toBe(before);
  });

  test('encodes an open segment again but names only what is new', async () => {
    begin();
    addAll(0, [0, 1]);
    await publisher.settle();
    publisher = makePublisher(2);
    begin();
    addAll(0);
    await publisher.settle();
    expect(world.accepted.map((entry) => [entry.term, entry.part])).toEqual([
      [1, 0],
      [1, 1],
      [2, 2],
      [2, 3],
    ]);
    expect(world.accepted[3]?.renditions[V]?.segment?.bytes).toBe(32);
  });

  test('closes what another worker left open, from the parts in the store', async () => {
    begin();
    addAll(0, [0, 1]);
    await publisher.settle();
    await publisher.closeDangling();
    expect(world.accepted.at(-1)).toMatchObject({ msn: 0, part: 2, last: true, gap: false });
    expect(world.accepted.at(-1)?.renditions[V]).toMatchObject({
      bytes: 0,
      duration: 0,
      segment: { bytes: 16, duration: 90_000 },
    });
    await publisher.closeDangling();
    expect(world.accepted).toHaveLength(3);
  });

  test('an init part may be stored twice, but not another one', async () => {
    await publisher.storeInits(0, [{ name: V, bytes: Buffer.from('moov') }]);
    await publisher.storeInits(0, [{ name: V, bytes: Buffer.from('moov') }]);
    await expect(publisher.storeInits(0, [{ name: V, bytes: Buffer.from('other') }])).rejects.toThrow(LiveInitDiffers);
  });

  test('asks for a pause when the store cannot follow', async () => {
    begin();
    world.hold('media/');
    publisher.add({ ...part(V, 0, 0), bytes: Buffer.alloc(65 * 1024 * 1024) });
    publisher.add(part(A, 0, 0));
    let isFree = false;
    const room = publisher.room().then(() => {
      isFree = true;
    });
    await new Promise(setImmediate);
    expect(isFree).toBe(false);
    world.gate?.open();
    await room;
    expect(world.accepted).toHaveLength(1);
  });
});
