// Publishes the parts of a broadcast: stored first, then named in the timeline, in order (live-append.ts).
import { createHash } from 'node:crypto';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, NodeId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import { initKey, partKey, segmentKey } from '../platform/contract/object-keys.ts';
import type { EpochInfo } from '../platform/contract/records.ts';
import {
  comparePositions,
  type Position,
  type RenditionPart,
  type TimelineEntry,
} from '../platform/contract/timeline.ts';
import { concatBytes } from '../platform/hls/boxes.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { putImmutable } from './immutable-put.ts';
import type { LiveAppender, UnsignedEntry } from './live-append.ts';
import { LiveInitDiffers } from './live-errors.ts';
import { pdtOf } from './live-grid.ts';
import type { LiveHistory } from './live-history.ts';
import type { MediaStore, PlacedAt } from './live-media-store.ts';
import type { LiveMetrics } from './live-metrics.ts';
import type { CutPart } from './live-video-cutter.ts';

/** Parts waiting for the store or Redis hold at most this much; then the ring is read no further. Unit: bytes. */
const HELD_LIMIT_BYTES = 64 * 1024 * 1024;

export type PublisherOptions = { content: ContentId; node: NodeId; writer: WriterTag };
export type PublisherDeps = {
  /** Init parts go here: an epoch is written only while the store answers. */
  storage: ObjectStorage;
  media: MediaStore;
  appender: LiveAppender;
  history: LiveHistory;
  metrics: LiveMetrics;
  log: Logger;
  /** Aborted: write nothing more. */
  signal: AbortSignal;
  /** Called once with what makes going on impossible. */
  fail(thrown: unknown): void;
  /** A segment of this worker was closed and named. */
  onClosed(entry: UnsignedEntry): Promise<void>;
};

/** All renditions of one (msn, part) on their way. */
type Slot = {
  position: Position;
  parts: Map<RenditionName, { part: CutPart; sha256: string; stored: Promise<PlacedAt> }>;
};
/** Segment objects of one segment, and where they are. */
type Segments = { placed: PlacedAt[]; byName: Map<RenditionName, RenditionPart['segment']> };
/** The epoch being written. */
type OpenEpoch = {
  info: EpochInfo;
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
    const { storage, appender } = this.#deps;
    const store = async ({ name, bytes }: { name: RenditionName; bytes: Uint8Array }) => {
      const key = initKey({ content: this.#options.content, rendition: name, epoch });
      const isNew = await appender.persist('store an init part', () => putImmutable(storage, key, bytes));
      if (isNew) return;
      const present = await appender.persist('read an init part', () => storage.read(key));
      if (Buffer.compare(present.body, bytes) !== 0) throw new LiveInitDiffers(key);
    };
    await Promise.all(inits.map(store));
  }

  /** Parts added from now on belong to this epoch. */
  beginEpoch(info: EpochInfo): void {
    const names = info.renditions.map((rendition) => rendition.name);
    this.#epoch = { info, names, slots: new Map(), pieces: new Map() };
  }

  /** Takes a part and begins to store it. Parts up to the timeline's head only make up their segment. */
  add(part: CutPart): void {
    const epoch = this.#epoch;
    if (epoch === null || this.#deps.signal.aborted) return;
    const position = { epoch: epoch.info.epoch, msn: part.msn, part: part.part };
    const segment = `${part.msn}/${part.rendition}`;
    const pieces = epoch.pieces.get(segment) ?? [];
    epoch.pieces.set(segment, [...pieces, part]);
    const head = this.#deps.history.head;
    const name = `${part.msn}.${part.part}`;
    if (head !== null && comparePositions(position, head) <= 0 && !epoch.slots.has(name)) {
      if (part.last) epoch.pieces.delete(segment);
      return;
    }
    const slot = epoch.slots.get(name) ?? { position, parts: new Map() };
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

  /** Resolves when there is room for more: read the ring no further until then. @returns whether that took a wait */
  async room(): Promise<boolean> {
    const isFull = this.#heldBytes > HELD_LIMIT_BYTES;
    while (this.#heldBytes > HELD_LIMIT_BYTES && !this.#deps.signal.aborted) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
    return isFull;
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

  /** Like settle(), and no more parts of this epoch follow. */
  async closeEpoch(): Promise<void> {
    await this.settle();
    this.#epoch = null;
  }

  /** Names a gap entry after all that is on its way. */
  addGap(entry: UnsignedEntry): void {
    this.#chain(async () => {
      await this.#deps.appender.append(entry);
      if (entry.last) await this.#closed(entry);
    });
  }

  /**
   * Closes a segment that was left open and that cannot be encoded again: its parts become the segment object, and an entry without media
   * says so.
   */
  async closeDangling(): Promise<void> {
    const { history, appender, log } = this.#deps;
    await this.#appending;
    const open = history.openEntries();
    const last = open.at(-1);
    if (last === undefined || last.gap) return;
    const placed: PlacedAt[] = [];
    const renditions: Record<RenditionName, RenditionPart> = {};
    for (const name of Object.keys(last.renditions) as RenditionName[]) {
      renditions[name] = await this.#joinStored(name, open, placed);
    }
    const entry = { ...last, part: last.part + 1, gap: false, last: true, src: this.#sourceOf(placed), renditions };
    await appender.append(entry);
    await this.#closed(entry);
    log.info('open segment closed', { epoch: last.epoch, msn: last.msn });
  }

  async #joinStored(name: RenditionName, open: TimelineEntry[], placed: PlacedAt[]): Promise<RenditionPart> {
    const { content, writer } = this.#options;
    const { media, appender } = this.#deps;
    const pieces: Buffer[] = [];
    let duration = 0;
    let tfdt = 0;
    for (const entry of open) {
      const part = entry.renditions[name];
      if (part === undefined || part.bytes === 0) continue;
      const key = partKey({ content, rendition: name, ...entry, writer: part.writer });
      pieces.push(await appender.persist('read a part', () => media.read(key)));
      duration += part.duration;
      tfdt = part.tfdt + part.duration;
    }
    const bytes = Buffer.concat(pieces);
    const { epoch = 0, msn = 0 } = open[0] ?? {};
    const key = segmentKey({ content, rendition: name, epoch, msn, writer });
    placed.push(await appender.persist('store a segment', () => media.put(key, bytes)));
    const segment = { writer, bytes: bytes.length, sha256: hash(bytes), duration };
    return { writer, bytes: 0, sha256: hash(new Uint8Array(0)), duration: 0, tfdt, independent: false, segment };
  }

  async #storePart(position: Position, part: CutPart): Promise<PlacedAt> {
    const { content, writer } = this.#options;
    const { media, appender, metrics } = this.#deps;
    const began = performance.now();
    const key = partKey({ content, rendition: part.rendition, ...position, writer });
    const placed = await appender.persist('store a part', () => media.put(key, part.bytes));
    metrics.partStore.observe((performance.now() - began) / 1_000);
    return placed;
  }

  #enqueue(epoch: OpenEpoch, slot: Slot): void {
    const isLast = [...slot.parts.values()].some(({ part }) => part.last);
    const segments = isLast ? this.#storeSegments(epoch, slot.position.msn) : null;
    const bytes = [...slot.parts.values()].reduce((sum, { part }) => sum + part.bytes.length, 0);
    segments?.catch(() => undefined);
    this.#chain(async () => {
      try {
        const placed = await Promise.all([...slot.parts.values()].map(({ stored }) => stored));
        const closing = await segments;
        const src = this.#sourceOf([...placed, ...(closing?.placed ?? [])]);
        const entry = entryOf(epoch, slot, this.#options.writer, src, closing?.byName ?? null);
        await this.#deps.appender.append(entry);
        if (isLast) await this.#closed(entry);
      } finally {
        this.#release(bytes);
      }
    });
  }

  #chain(step: () => Promise<void>): void {
    this.#appending = this.#appending.then(async () => {
      try {
        if (!this.#deps.signal.aborted) await step();
      } catch (thrown) {
        if (!this.#deps.signal.aborted) this.#deps.fail(thrown);
      }
    });
  }

  #sourceOf(placed: readonly PlacedAt[]): string {
    return placed.includes('worker') ? `worker:${this.#options.node}` : 'store';
  }

  async #closed(entry: UnsignedEntry): Promise<void> {
    const waiters = this.#closeWaiters;
    this.#closeWaiters = [];
    for (const waiter of waiters) waiter();
    await this.#deps.onClosed(entry);
  }

  async #storeSegments(epoch: OpenEpoch, msn: number): Promise<Segments> {
    const { content, writer } = this.#options;
    const { media, appender } = this.#deps;
    const stored: Segments = { placed: [], byName: new Map() };
    await Promise.all(
      epoch.names.map(async (name) => {
        const pieces = epoch.pieces.get(`${msn}/${name}`) ?? [];
        epoch.pieces.delete(`${msn}/${name}`);
        const bytes = concatBytes(pieces.map((piece) => piece.bytes));
        const key = segmentKey({ content, rendition: name, epoch: epoch.info.epoch, msn, writer });
        stored.placed.push(await appender.persist('store a segment', () => media.put(key, bytes)));
        const duration = pieces.reduce((sum, piece) => sum + piece.duration, 0);
        stored.byName.set(name, { writer, bytes: bytes.length, sha256: hash(bytes), duration });
      }),
    );
    return stored;
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
  writer: WriterTag,
  src: string,
  segments: Segments['byName'] | null,
): UnsignedEntry {
  const renditions: Record<RenditionName, RenditionPart> = {};
  let pdt = 0;
  for (const [i, name] of epoch.names.entries()) {
    const held = slot.parts.get(name);
    if (held === undefined) continue;
    const { part, sha256 } = held;
    if (i === 0) pdt = pdtOf(epoch.info, part);
    const { duration, tfdt, independent } = part;
    const segment = segments?.get(name);
    const base = { writer, bytes: part.bytes.length, sha256, duration, tfdt, independent };
    renditions[name] = segment ? { ...base, segment } : base;
  }
  return { version: 1, ...slot.position, pdt, gap: false, last: segments !== null, src, renditions };
}
