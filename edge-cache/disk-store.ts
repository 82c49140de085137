// The level below memory: complete media objects on disk, limited by bytes. Written behind the viewers' backs by one writer, read when a fill
// would ask an origin. Whatever the disk does, the worst a viewer meets is a request to an origin.
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf, TimedOut } from '../platform/runtime/errors.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Metrics } from '../platform/runtime/metrics.ts';
import { delay, within } from '../platform/runtime/waits.ts';
import type { FoundFile, ObjectFiles } from './disk-folder.ts';
import { CHECKSUM_BYTES, type Clocks, decodeObject, encodeHead, endingOf, nameOf } from './disk-format.ts';
import { createDiskMetrics, type DiskMetrics } from './disk-metrics.ts';
import { DiskRest } from './disk-rest.ts';
import { DiskFileBroken, PurgeIncomplete } from './errors.ts';
import { EvictionOrder } from './eviction.ts';
import type { FailureLog } from './failure-log.ts';
import type { CachedObject, MemoryStore } from './memory-store.ts';

export type DiskStoreParts = {
  files: ObjectFiles;
  /** Limit over all files, counted in blocks. */
  limitBytes: number;
  /** Limit over their number; default 262,144. */
  maxObjects?: number;
  /** Memory that objects take on their way to and from the disk. */
  room: Pick<MemoryStore, 'reserve' | 'release'>;
  clocks: Clocks;
  metrics: Metrics;
  log: Logger;
  failures: FailureLog;
};

/** `isWanted`: it was read from here before, so it belongs into memory. */
export type FoundOnDisk = { object: CachedObject; isWanted: boolean };

type Kept = { fileBytes: number; reads: number };
type Pending = {
  name: string;
  key: string;
  object: CachedObject;
  bytes: number;
  isUnwanted: boolean;
  /** Settles when the file is there, or is not going to be. */
  written: Promise<void>;
};

const BLOCK_BYTES = 4_096;
/** Some 60 MB of index. */
const MAX_OBJECTS = 262_144;
/** An object over this share of the disk is not kept. */
const LARGEST_SHARE = 0.25;
/** Bodies that wait for the writer; what a slow disk does not take is left out. Unit: bytes. */
const MAX_QUEUED_BYTES = 64 * 1024 ** 2;
const MAX_READS = 64;
/** Then an origin is asked, as if nothing were held. Unit: ms. */
const READ_LIMIT_MS = 1_000;
/** Between two tries of a disk that failed. Unit: ms. */
const REST_MS = 10_000;
/** A disk that was full is believed to be that small for so long. Unit: ms. */
const FULL_MS = 600_000;
/** The start of the edge waits this long for the index; longer scans go on beside the first viewers. Unit: ms. */
const START_WAIT_MS = 1_000;
/** What waits for the writer at the end has this long. Unit: ms. */
const CLOSE_MS = 2_000;
/** Unit: ms. */
const PURGE_MS = 30_000;
/** Then viewers get a turn. */
const INDEXED_AT_A_TIME = 2_000;
const HOUR_MS = 3_600_000;
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];

const blocksOf = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

/** Oldest hour first. Finer order is not worth the pause that a sort of so many files takes. */
function* byAge(files: FoundFile[]): Generator<FoundFile> {
  const hours = new Map<number, FoundFile[]>();
  for (const file of files) {
    const hour = Math.floor(file.modifiedAt / HOUR_MS);
    const sameHour = hours.get(hour);
    if (sameHour === undefined) hours.set(hour, [file]);
    else sameHour.push(file);
  }
  for (const hour of [...hours.keys()].sort((a, b) => a - b)) yield* hours.get(hour) ?? [];
}

export class DiskStore implements Component {
  readonly #parts: DiskStoreParts;
  readonly #metrics: DiskMetrics;
  readonly #order: EvictionOrder<Kept>;
  readonly #maxObjects: number;
  readonly #queue = new Map<string, Pending>();
  readonly #readRest: DiskRest;
  readonly #writeRest: DiskRest;
  readonly #ending = new AbortController();
  #queuedBytes = 0;
  #writing: Pending | null = null;
  #writer: Promise<void> | null = null;
  #opening: Promise<void> | null = null;
  #isOpen = false;
  #reads = 0;
  /** What a full disk turned out to hold. */
  #ceiling = { bytes: 0, untilMs: Number.NEGATIVE_INFINITY };

  constructor(parts: DiskStoreParts) {
    const { limitBytes, log, clocks } = parts;
    this.#parts = parts;
    this.#order = new EvictionOrder(limitBytes);
    this.#maxObjects = parts.maxObjects ?? MAX_OBJECTS;
    this.#readRest = new DiskRest('reads', log, clocks.now);
    this.#writeRest = new DiskRest('writes', log, clocks.now);
    this.#metrics = createDiskMetrics(parts.metrics, {
      bytes: () => this.bytes,
      objects: () => this.#order.count,
      isWriting: () => this.#isOpen && !this.#writeRest.isOn,
    });
  }

  /** Held on disk, in blocks. Unit: bytes. */
  get bytes(): number {
    return this.#order.bytes;
  }

  /** Reads the index from the folder. Never fails: a folder that cannot be read is tried again and again. */
  async start(): Promise<void> {
    this.#opening = this.#open();
    await this.#atMost(START_WAIT_MS, this.#opening);
  }

  /** Finishes what waits for the writer, within a limit. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#ending.abort();
    await this.#atMost(CLOSE_MS, Promise.all([this.#opening, this.#writer]));
    for (const pending of [...this.#queue.values()]) this.#unqueue(pending);
  }

  /**
   * Looks the object up; a look counts as a use.
   * @returns null: not here. The promise never rejects; null: it could not be read in time, or is no longer good
   */
  find(key: string): Promise<FoundOnDisk | null> | null {
    const name = nameOf(key);
    const kept = this.#order.get(name);
    return kept === null ? null : this.#find(key, name, kept);
  }

  /** Keeps the object if the disk takes it: written later, or never. */
  offer(key: string, object: CachedObject): void {
    const name = nameOf(key);
    const isKnown = this.#order.has(name) || this.#queue.has(name) || this.#writing?.name === name;
    if (!this.#isOpen || isKnown) return;
    const bytes = object.body.length;
    const isTooMuch = this.#queue.size > 0 && this.#queuedBytes + bytes > MAX_QUEUED_BYTES;
    const isLarge = blocksOf(bytes) > this.#parts.limitBytes * LARGEST_SHARE;
    if (isTooMuch || isLarge || this.#writeRest.isOn || !this.#parts.room.reserve(bytes, 'disk')) {
      this.#metrics.writes.add({ outcome: 'skipped' });
      return;
    }
    this.#queue.set(name, { name, key, object, bytes, isUnwanted: false, written: Promise.resolve() });
    this.#queuedBytes += bytes;
    this.#writer ??= this.#writeAll();
  }

  /** Forgets the object, also while it is being written. */
  delete(key: string): void {
    const name = nameOf(key);
    const queued = this.#queue.get(name);
    if (queued !== undefined) this.#unqueue(queued);
    if (this.#writing?.name === name) this.#writing.isUnwanted = true;
    this.#drop(name);
  }

  /**
   * Removes all files of a content.
   * @returns how many objects were forgotten
   * @throws PurgeIncomplete when the index is not read yet, or a file cannot be removed in time
   */
  async purge(content: string): Promise<number> {
    if (!this.#isOpen) throw new PurgeIncomplete('the disk cache is not open yet');
    const ending = endingOf(content);
    const queued = [...this.#queue.values()].filter(({ name }) => name.endsWith(ending));
    for (const pending of queued) this.#unqueue(pending);
    const writing = this.#writing?.name.endsWith(ending) ? this.#writing : null;
    if (writing !== null) writing.isUnwanted = true;
    const names = [...this.#order.keys()].filter((name) => name.endsWith(ending));
    for (const name of names) this.#order.delete(name);
    try {
      await within(this.#removeAll(names, writing), PURGE_MS, 'the purge of the disk cache');
    } catch (thrown) {
      throw new PurgeIncomplete('a file of the disk cache cannot be removed', { cause: thrown });
    }
    return names.length + queued.length + (writing === null ? 0 : 1);
  }

  /** Also waits until what is being written is gone again: a process that is killed now must leave none of it. */
  async #removeAll(names: string[], writing: Pending | null): Promise<void> {
    for (const name of names) await this.#parts.files.remove(name);
    if (writing === null) return;
    // Whether it could be written or not.
    await writing.written.catch(() => undefined);
    await this.#parts.files.remove(writing.name);
  }

  async #open(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#readIndex(signal);
        this.#writeRest.worked();
        this.#isOpen = !signal.aborted;
        return;
      } catch (thrown) {
        this.#writeRest.begin(REST_MS, thrown);
        await delay(REST_MS, signal);
      }
    }
  }

  /** Everything that was here before counts as wanted, the oldest goes first. */
  async #readIndex(signal: AbortSignal): Promise<void> {
    const { files, log } = this.#parts;
    const found: FoundFile[] = [];
    await files.scan(async (file) => {
      if (found.length < this.#maxObjects) found.push(file);
      else await files.remove(file.name);
    }, signal);
    if (signal.aborted) return;
    let count = 0;
    for (const { name, bytes } of byAge(found)) {
      this.#order.add(name, { fileBytes: bytes, reads: 0 }, blocksOf(bytes), true);
      count += 1;
      if (count % INDEXED_AT_A_TIME === 0) await turn();
    }
    await this.#makeRoom(0);
    log.info('disk cache opened', { objects: this.#order.count, bytes: this.bytes });
  }

  async #find(key: string, name: string, kept: Kept): Promise<FoundOnDisk | null> {
    const { room, clocks } = this.#parts;
    const outcome = (text: string): null => {
      this.#metrics.reads.add({ outcome: text });
      return null;
    };
    if (this.#readRest.isOn || this.#reads >= MAX_READS || !room.reserve(kept.fileBytes)) return outcome('refused');
    try {
      const file = await within(this.#readFile(name, kept.fileBytes), READ_LIMIT_MS, 'a read of the disk cache');
      const object = decodeObject(key, file, clocks);
      this.#readRest.worked();
      if (object.freshUntilMs <= clocks.now()) {
        this.#drop(name);
        return outcome('expired');
      }
      outcome('found');
      kept.reads += 1;
      return { object, isWanted: kept.reads > 1 };
    } catch (thrown) {
      return outcome(this.#readFailed(name, thrown));
    }
  }

  /** The memory is taken until the file system has let go of it, which may be long after the viewer gave up. */
  async #readFile(name: string, bytes: number): Promise<Buffer> {
    this.#reads += 1;
    try {
      return await this.#parts.files.read(name, bytes);
    } finally {
      this.#reads -= 1;
      this.#parts.room.release(bytes);
    }
  }

  #readFailed(name: string, thrown: unknown): string {
    if (thrown instanceof DiskFileBroken) {
      this.#parts.failures.warn('file of the disk cache dropped', { err: thrown });
      this.#drop(name);
      return 'broken';
    }
    const code = codeOf(thrown);
    if (code === 'ENOENT') {
      this.#order.delete(name);
      return 'gone';
    }
    this.#readRest.begin(REST_MS, thrown);
    if (code === 'EIO') this.#drop(name);
    return thrown instanceof TimedOut ? 'slow' : 'failed';
  }

  /** The writer: one file at a time until nothing waits. */
  async #writeAll(): Promise<void> {
    for (const pending of this.#queue.values()) {
      this.#queue.delete(pending.name);
      this.#queuedBytes -= pending.bytes;
      this.#writing = pending;
      try {
        pending.written = this.#write(pending);
        await pending.written;
        this.#writeRest.worked();
        this.#metrics.writes.add({ outcome: 'stored' });
      } catch (thrown) {
        this.#metrics.writes.add({ outcome: 'failed' });
        this.#writeFailed(pending, thrown);
      } finally {
        this.#writing = null;
        this.#parts.room.release(pending.bytes, 'disk');
      }
    }
    this.#writer = null;
  }

  async #write(pending: Pending): Promise<void> {
    const { files, clocks } = this.#parts;
    const { name, key, object } = pending;
    const head = encodeHead(key, object, clocks);
    const blocks = blocksOf(head.length + object.body.length + CHECKSUM_BYTES);
    await this.#makeRoom(blocks);
    const fileBytes = await files.write(name, head, object.body);
    if (pending.isUnwanted) await files.remove(name);
    else this.#order.add(name, { fileBytes, reads: 0 }, blocks);
  }

  #writeFailed(pending: Pending, thrown: unknown): void {
    const { now } = this.#parts.clocks;
    if (FULL_CODES.includes(codeOf(thrown) ?? '')) {
      // Others may need the room more: the cache gives one object back at each try, and goes on within what is left.
      const blocks = blocksOf(pending.bytes);
      this.#ceiling = { bytes: Math.max(2 * blocks, this.bytes - blocks), untilMs: now() + FULL_MS };
    }
    this.#writeRest.begin(REST_MS, thrown);
    for (const waiting of [...this.#queue.values()]) {
      this.#unqueue(waiting);
      this.#metrics.writes.add({ outcome: 'skipped' });
    }
  }

  #unqueue(pending: Pending): void {
    if (!this.#queue.delete(pending.name)) return;
    this.#queuedBytes -= pending.bytes;
    this.#parts.room.release(pending.bytes, 'disk');
  }

  /** Objects give way until so many bytes more fit. */
  async #makeRoom(bytes: number): Promise<void> {
    const { limitBytes, clocks, files } = this.#parts;
    const isFull = clocks.now() < this.#ceiling.untilMs;
    const mostBytes = isFull ? Math.min(limitBytes, this.#ceiling.bytes) : limitBytes;
    while (this.bytes + bytes > mostBytes || this.#order.count + (bytes > 0 ? 1 : 0) > this.#maxObjects) {
      const gone = this.#order.evict();
      if (gone === null) return;
      this.#metrics.evictions.add();
      await files.remove(gone.key);
    }
  }

  #drop(name: string): void {
    if (!this.#order.delete(name)) return;
    this.#parts.files.remove(name).catch((thrown: unknown) => {
      this.#parts.failures.warn('file of the disk cache not removed', { err: thrown });
    });
  }

  /** Goes on without the work when it takes longer. */
  async #atMost(ms: number, work: Promise<unknown>): Promise<void> {
    try {
      await within(work, ms, 'the disk cache');
    } catch (thrown) {
      if (!(thrown instanceof TimedOut)) throw thrown;
    }
  }
}
