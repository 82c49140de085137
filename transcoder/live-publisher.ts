// Publishes the parts of a broadcast: stored first, then named in the timeline, in order. Survives a store or a Redis that is away for a
// while by holding back; ends at once when another worker has the term.
import { createHash } from 'node:crypto';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { ObjectConflict } from '../platform/adapters/storage.ts';
import type { TimelineWriter } from '../platform/adapters/timeline-store.ts';
import { TimelineRefused } from '../platform/adapters/timeline-store.ts';
import type { ContentId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import { initKey, type ObjectKey, partKey, segmentKey } from '../platform/contract/object-keys.ts';
import type { EpochInfo } from '../platform/contract/records.ts';
import {
  comparePositions,
  type Position,
  type RenditionPart,
  type TimelineEntry,
} from '../platform/contract/timeline.ts';
import { concatBytes } from '../platform/hls/boxes.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { backoffMs, delay } from '../platform/runtime/waits.ts';
import { LiveInitDiffers, LiveSuperseded } from './live-errors.ts';
import { clockOf, indexOfSegment, type LiveGrid } from './live-grid.ts';
import type { LiveHistory } from './live-history.ts';
import type { LiveMetrics } from './live-metrics.ts';
import type { CutPart } from './live-video-cutter.ts';

/** Parts waiting for the store or Redis hold at most this much; then the ring is read no further. Unit: bytes. */
const HELD_LIMIT_BYTES = 64 * 1024 * 1024;
const VIDEO_TYPE = 'video/mp4';

export type PublisherOptions = { content: ContentId; term: number; writer: WriterTag };
export type PublisherDeps = {
  storage: ObjectStorage;
  timeline: TimelineWriter;
  history: LiveHistory;
  metrics: LiveMetrics;
  log: Logger;
  /** Aborted: write nothing more. */
  signal: AbortSignal;
  /** Called once with what makes going on impossible. */
  fail(thrown: unknown): void;
};

/** All renditions of one (msn, part) on their way. */
type Slot = {
  position: Position;
  parts: Map<RenditionName, { part: CutPart; sha256: string; stored: Promise<void> }>;
  cutAt: number;
};
/** The epoch being written. */
type OpenEpoch = {
  info: EpochInfo;
  grid: LiveGrid;
  names: RenditionName[];
  slots: Map<string, Slot>;
  /** Parts of the segments that are open, for their segment objects. */
  pieces: Map<string, CutPart[]>;
};

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export class LivePublisher {
  readonly #options: PublisherOptions;
  readonly #deps: PublisherDeps;
  #epoch: OpenEpoch | null = null;
  #appending: Promise<void> = Promise.resolve();
  #heldBytes = 0;
  #isSlow = false;
  #roomWaiters: (() => void)[] = [];
  #closeWaiters: (() => void)[] = [];

  constructor(options: PublisherOptions, deps: PublisherDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * Stores the init parts.
   * @throws LiveInitDiffers when the epoch has other ones already
   */
  async storeInits(epoch: number, inits: { name: RenditionName; bytes: Uint8Array }[]): Promise<void> {
    for (const { name, bytes } of inits) {
      const key = initKey({ content: this.#options.content, rendition: name, epoch });
      if ((await this.#put(key, bytes)) === 'stored') continue;
      const present = await this.persist('read an init part', () => this.#deps.storage.read(key));
      if (Buffer.compare(present.body, bytes) !== 0) throw new LiveInitDiffers(key);
    }
  }

  /** Parts added from now on belong to this epoch. */
  beginEpoch(info: EpochInfo, grid: LiveGrid): void {
    const names = info.renditions.map((rendition) => rendition.name);
    this.#epoch = { info, grid, names, slots: new Map(), pieces: new Map() };
  }

  /** Takes a part and begins to store it. Parts up to the timeline's head only make up their segment. */
  add(part: CutPart): void {
    const epoch = this.#epoch;
    if (epoch === null || this.#deps.signal.aborted) return;
    const position = { epoch: epoch.info.epoch, msn: part.msn, part: part.part };
    const pieces = epoch.pieces.get(`${part.msn}/${part.rendition}`) ?? [];
    epoch.pieces.set(`${part.msn}/${part.rendition}`, [...pieces, part]);
    const head = this.#deps.history.head;
    if (head !== null && comparePositions(position, head) <= 0) return;
    const name = `${part.msn}.${part.part}`;
    const slot = epoch.slots.get(name) ?? { position, parts: new Map(), cutAt: performance.now() };
    epoch.slots.set(name, slot);
    this.#hold(part.bytes.length);
    const stored = this.#storePart(position, part);
    // Awaited when its turn comes; until then a rejection must not count as unhandled.
    stored.catch(() => undefined);
    slot.parts.set(part.rendition, { part, sha256: hash(part.bytes), stored });
    if (slot.parts.size < epoch.names.length) return;
    epoch.slots.delete(name);
    this.#enqueue(epoch, slot);
  }

  /** Resolves when there is room for more: read the ring no further until then. */
  async room(): Promise<void> {
    while (this.#heldBytes > HELD_LIMIT_BYTES && !this.#deps.signal.aborted) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** Resolves when the next segment is closed and named. */
  segmentClosed(): Promise<void> {
    return new Promise((resolve) => this.#closeWaiters.push(resolve));
  }

  /** Waits for every complete part to be named; parts that lack a rendition are dropped. */
  async settle(): Promise<void> {
    for (const slot of this.#epoch?.slots.values() ?? []) {
      for (const { part } of slot.parts.values()) this.#release(part.bytes.length);
      this.#deps.metrics.parts.add({ outcome: 'discarded' });
    }
    this.#epoch?.slots.clear();
    this.#epoch?.pieces.clear();
    await this.#appending;
  }

  /** The epoch is over: its last index block is stored too. */
  async closeEpoch(): Promise<void> {
    await this.settle();
    await this.#deps.history.storeBlocks(true);
    this.#epoch = null;
  }

  /**
   * Closes a segment that an earlier worker left open and that cannot be encoded again: its parts become the segment object, and an
   * entry without media says so.
   */
  async closeDangling(): Promise<void> {
    const open = this.#deps.history.openEntries();
    const last = open.at(-1);
    if (last === undefined) return;
    const renditions: Record<RenditionName, RenditionPart> = {};
    for (const name of Object.keys(last.renditions) as RenditionName[]) {
      renditions[name] = await this.#joinStored(name, open);
    }
    await this.#append({ ...last, term: this.#options.term, part: last.part + 1, gap: false, last: true, renditions });
    this.#deps.log.info('open segment closed', { epoch: last.epoch, msn: last.msn });
  }

  async #joinStored(name: RenditionName, open: TimelineEntry[]): Promise<RenditionPart> {
    const { content, writer } = this.#options;
    const pieces: Buffer[] = [];
    let duration = 0;
    let tfdt = 0;
    for (const entry of open) {
      const part = entry.renditions[name];
      if (part === undefined || part.bytes === 0) continue;
      const ref = { content, rendition: name, epoch: entry.epoch, msn: entry.msn, part: entry.part };
      pieces.push(
        (await this.persist('read a part', () => this.#deps.storage.read(partKey({ ...ref, writer: part.writer }))))
          .body,
      );
      duration += part.duration;
      tfdt = part.tfdt + part.duration;
    }
    const bytes = Buffer.concat(pieces);
    const { epoch = 0, msn = 0 } = open[0] ?? {};
    await this.#put(segmentKey({ content, rendition: name, epoch, msn, writer }), bytes);
    const segment = { writer, bytes: bytes.length, sha256: hash(bytes), duration };
    return { writer, bytes: 0, sha256: hash(new Uint8Array(0)), duration: 0, tfdt, independent: false, segment };
  }

  async #storePart(position: Position, part: CutPart): Promise<void> {
    const { content, writer } = this.#options;
    const began = performance.now();
    await this.#put(partKey({ content, rendition: part.rendition, ...position, writer }), part.bytes);
    this.#deps.metrics.partStore.observe((performance.now() - began) / 1_000);
  }

  #enqueue(epoch: OpenEpoch, slot: Slot): void {
    const isLast = [...slot.parts.values()].some(({ part }) => part.last);
    const segments = isLast ? this.#storeSegments(epoch, slot.position.msn) : null;
    const bytes = [...slot.parts.values()].reduce((sum, { part }) => sum + part.bytes.length, 0);
    segments?.catch(() => undefined);
    this.#appending = this.#appending.then(async () => {
      try {
        await Promise.all([...slot.parts.values()].map(({ stored }) => stored));
        await this.#append(entryOf(epoch, slot, this.#options, await segments));
        if (isLast) await this.#closed();
      } catch (thrown) {
        if (!this.#deps.signal.aborted) this.#deps.fail(thrown);
      } finally {
        this.#release(bytes);
      }
    });
  }

  async #closed(): Promise<void> {
    const waiters = this.#closeWaiters;
    this.#closeWaiters = [];
    for (const waiter of waiters) waiter();
    await this.#deps.history.storeBlocks(false);
  }

  async #storeSegments(epoch: OpenEpoch, msn: number): Promise<Map<RenditionName, RenditionPart['segment']>> {
    const { content, writer } = this.#options;
    const stored = new Map<RenditionName, RenditionPart['segment']>();
    await Promise.all(
      epoch.names.map(async (name) => {
        const pieces = epoch.pieces.get(`${msn}/${name}`) ?? [];
        epoch.pieces.delete(`${msn}/${name}`);
        const bytes = concatBytes(pieces.map((piece) => piece.bytes));
        await this.#put(segmentKey({ content, rendition: name, epoch: epoch.info.epoch, msn, writer }), bytes);
        const duration = pieces.reduce((sum, piece) => sum + piece.duration, 0);
        stored.set(name, { writer, bytes: bytes.length, sha256: hash(bytes), duration });
      }),
    );
    return stored;
  }

  /** Conditional: the key is this worker's own, so a taken one is this very object, stored by a try whose answer was lost. */
  async #put(key: ObjectKey, bytes: Uint8Array): Promise<'stored' | 'present'> {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const condition = { ifNoneMatch: '*' } as const;
    return this.persist('store media', async () => {
      try {
        await this.#deps.storage.put(key, body, { bytes: body.length, contentType: VIDEO_TYPE, condition });
        return 'stored';
      } catch (thrown) {
        if (thrown instanceof ObjectConflict) return 'present';
        throw thrown;
      }
    });
  }

  async #append(entry: TimelineEntry): Promise<void> {
    const { content, term } = this.#options;
    const { history, metrics, timeline } = this.#deps;
    const outcome = await this.persist('append to the timeline', async () => {
      try {
        await timeline.append(content, entry);
        return 'stored';
      } catch (thrown) {
        if (!(thrown instanceof TimelineRefused)) throw thrown;
        if (thrown.reason === 'STALE_TERM') throw new LiveSuperseded(content, { cause: thrown });
        if (thrown.reason === 'STEP_BACK') return 'step_back';
        await timeline.seed(content, term, history.entries());
        throw thrown;
      }
    });
    metrics.parts.add({ outcome });
    if (outcome === 'stored') history.add(entry);
  }

  /** Does something with the store or Redis again and again until it works; only the end of the job stops it. @throws LiveSuperseded */
  async persist<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { log, signal } = this.#deps;
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (thrown) {
        const isStale = thrown instanceof TimelineRefused && thrown.reason === 'STALE_TERM';
        if (thrown instanceof LiveSuperseded || isStale)
          throw new LiveSuperseded(this.#options.content, { cause: thrown });
        if (attempt === 2) log.warn('publishing waits', { what, err: thrown });
        await delay(thrown instanceof TimelineRefused ? 5 : backoffMs(attempt, 50, 1_000), signal);
      }
    }
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    const isSlow = this.#heldBytes > HELD_LIMIT_BYTES;
    if (isSlow && !this.#isSlow) this.#deps.log.warn('store is slower than the broadcast', { bytes: this.#heldBytes });
    this.#isSlow = isSlow;
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const waiter of waiters) waiter();
  }
}

function entryOf(
  epoch: OpenEpoch,
  slot: Slot,
  options: PublisherOptions,
  segments: Map<RenditionName, RenditionPart['segment']> | null,
): TimelineEntry {
  const renditions: Record<RenditionName, RenditionPart> = {};
  for (const name of epoch.names) {
    const held = slot.parts.get(name);
    if (held === undefined) continue;
    const { part, sha256 } = held;
    const { duration, tfdt, independent } = part;
    const segment = segments?.get(name);
    const bytes = part.bytes.length;
    renditions[name] = {
      writer: options.writer,
      bytes,
      sha256,
      duration,
      tfdt,
      independent,
      ...(segment ? { segment } : {}),
    };
  }
  const { msn, part } = slot.position;
  const index = indexOfSegment(epoch.grid, msn) + part * epoch.grid.partFrames;
  const pdt = clockOf(epoch.info, index);
  const base = { version: 1, term: options.term, ...slot.position, pdt, gap: false, src: 'store' } as const;
  return { ...base, last: segments !== null, renditions };
}
