// The order of a publish: stored, then named, one place after another; and what stops or delays it.
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { ObjectConflict, ObjectMissing, type ObjectStorage, StorageUnavailable } from '../platform/adapters/storage.ts';
import { TimelineRefused, type TimelineWriter } from '../platform/adapters/timeline-store.ts';
import {
  type BroadcastId,
  type ContentId,
  newId,
  type RenditionName,
  type SessionId,
  type WriterTag,
} from '../platform/contract/ids.ts';
import { indexBlockKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo, RenditionInfo } from '../platform/contract/records.ts';
import { IndexBlock, type TimelineEntry } from '../platform/contract/timeline.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { createMetrics } from '../platform/runtime/metrics.ts';
import { LiveInitDiffers, LiveSuperseded } from './live-errors.ts';
import { gridOf } from './live-grid.ts';
import { LiveHistory } from './live-history.ts';
import { createLiveMetrics } from './live-metrics.ts';
import { LivePublisher } from './live-publisher.ts';
import type { CutPart } from './live-video-cutter.ts';

const CONTENT = 'contentcontentcontent1' as ContentId;
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;
const WRITER = 'writer0001' as WriterTag;

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

const makeHistory = (windowS = 120) => {
  const xRange = async () => world.accepted.map((entry) => ({ id: '', fields: { e: JSON.stringify(entry) } }));
  const { storage, timeline } = world;
  return new LiveHistory({ content: CONTENT, storage, timeline, redis: { xRange }, windowS, log: silentLogger });
};
const makePublisher = (term = 1) => {
  const { storage, timeline } = world;
  const metrics = createLiveMetrics(createMetrics(false));
  const fail = (thrown: unknown) => {
    failure = thrown;
    stop.abort(thrown);
  };
  const options = { content: CONTENT, term, writer: WRITER };
  return new LivePublisher(options, {
    storage,
    timeline,
    history,
    metrics,
    log: silentLogger,
    signal: stop.signal,
    fail,
  });
};
const begin = (info: EpochInfo = epochOf(0, 0)) => publisher.beginEpoch(info, gridOf(info));
const addAll = (msn: number, parts = [0, 1, 2, 3]) => {
  for (const number of parts) for (const name of [V, A]) publisher.add(part(name, msn, number));
};

beforeEach(() => {
  world = new World();
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

describe('LiveHistory', () => {
  const record = (...epochs: EpochInfo[]) => ({ id: newId<BroadcastId>(), epochs }) as unknown as BroadcastRecord;
  const block = (epoch: number, msn: number) => {
    const body = world.objects.get(indexBlockKey(CONTENT, epoch, msn));
    return body === undefined ? null : IndexBlock.parse(JSON.parse(body.toString()));
  };
  const publish = async (from: number, to: number) => {
    for (let msn = from; msn < to; msn += 1) addAll(msn);
    await publisher.settle();
  };

  test('stores a block each 30 segments and trims only behind block and window', async () => {
    history = makeHistory(20);
    publisher = makePublisher();
    begin();
    await publish(0, 29);
    expect([block(0, 0), world.trims]).toEqual([null, []]);
    await publish(29, 45);
    expect(block(0, 0)).toMatchObject({ first_msn: 0, last_msn: 29 });
    expect(block(0, 0)?.entries).toHaveLength(120);
    expect(block(0, 30)).toBeNull();
    expect(world.trims.at(-1)).toBe('0.30.0');
    expect(history.entries()[0]).toMatchObject({ msn: 30, part: 0 });
    await publisher.closeEpoch();
    expect(block(0, 30)).toMatchObject({ first_msn: 30, last_msn: 44 });
  });

  test('keeps the window however many blocks there are', async () => {
    begin();
    await publish(0, 65);
    expect(block(0, 30)).not.toBeNull();
    expect(history.entries()[0]?.msn).toBe(65 - 61);
  });

  test('a second worker continues the blocks where they stand', async () => {
    begin();
    await publish(0, 32);
    history = makeHistory();
    await history.restore(record(epochOf(0, 0)), 2);
    expect(history.head).toMatchObject({ epoch: 0, msn: 31, part: 3 });
    publisher = makePublisher(2);
    begin();
    await publish(32, 60);
    expect(block(0, 30)).toMatchObject({ first_msn: 30, last_msn: 59 });
    expect(block(0, 30)?.entries).toHaveLength(120);
    expect(history.nextMsn).toBe(60);
  });

  test('reads the timeline back from the store when Redis has nothing', async () => {
    begin();
    await publish(0, 33);
    world.accepted.length = 0;
    history = makeHistory();
    await history.restore(record(epochOf(0, 0)), 2);
    expect(history.isReadBack).toBe(true);
    expect(history.lastEntry()).toMatchObject({ msn: 29, last: true });
    expect(history.nextMsn).toBe(33);
    expect(world.events.at(-1)).toBe('seed 2 with 120');
  });
});
