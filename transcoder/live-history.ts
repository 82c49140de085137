// What a live worker remembers of its broadcast's timeline: the entries that are in no stored index block, at least the last two minutes
// (to seed an emptied Redis), and the head. The rest of the broadcast is in the blocks, so memory does not grow with its length.
import type { RedisClient } from '../platform/adapters/redis.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { parseEntries, type TimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { indexBlockKey, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo } from '../platform/contract/records.ts';
import { timelineKey } from '../platform/contract/redis-keys.ts';
import {
  INDEX_BLOCK_SEGMENTS,
  type IndexBlock,
  type Position,
  type TimelineEntry,
} from '../platform/contract/timeline.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { segmentsOf } from './live-history-blocks.ts';
import { readBack } from './live-history-read-back.ts';
import type { MediaStore } from './live-media-store.ts';

export type HistoryDeps = {
  content: ContentId;
  storage: Pick<ObjectStorage, 'list' | 'read'>;
  /** Where blocks go: on the worker's disk while the store is away, after the media that they name. */
  media: Pick<MediaStore, 'put' | 'isWaiting'>;
  timeline: TimelineWriter;
  redis: Pick<RedisClient, 'xRange'>;
  log: Logger;
};

/** Entries are kept at least this long. Unit: ms. */
const KEPT_MS = 120_000;

/** A block that was accepted; `end`: the segment after its last. */
type AcceptedBlock = { key: ObjectKey; epoch: number; end: number };

export class LiveHistory {
  readonly #deps: HistoryDeps;
  #entries: TimelineEntry[] = [];
  /** First segment of each epoch's next block. */
  readonly #nextBlock = new Map<number, number>();
  /** First segment of each epoch that is in no stored block. */
  readonly #storedUpTo = new Map<number, number>();
  #accepted: AcceptedBlock[] = [];
  #head: Position | null = null;
  /** Largest segment number that storage holds, when the timeline does not say. */
  #storedMsn = -1;
  #isReadBack = false;

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
  }

  /** Redis had forgotten the timeline: what neither blocks nor objects tell was shown to viewers and is known no more. */
  get isReadBack(): boolean {
    return this.#isReadBack;
  }
  /** Highest accepted position. */
  get head(): Position | null {
    return this.#head;
  }
  /** Ascending; at least what is in no stored block. */
  entries(): TimelineEntry[] {
    return [...this.#entries];
  }
  lastEntry(): TimelineEntry | null {
    return this.#entries.at(-1) ?? null;
  }
  /** Number of the segment after all that were ever begun. */
  get nextMsn(): number {
    return Math.max(this.#storedMsn, this.#head?.msn ?? -1) + 1;
  }
  /** Entries of a segment that was begun and not closed. */
  openEntries(): TimelineEntry[] {
    const last = this.lastEntry();
    if (last === null || last.last) return [];
    return this.#entries.filter((entry) => entry.epoch === last.epoch && entry.msn === last.msn);
  }

  add(entry: TimelineEntry): void {
    this.#entries.push(entry);
    this.#head = { epoch: entry.epoch, msn: entry.msn, part: entry.part };
  }

  /**
   * Reads what earlier workers left, and fences them off: from here on their terms are refused.
   * @throws TimelineRefused RedisUnavailable StorageUnavailable
   */
  async restore(record: BroadcastRecord, term: number): Promise<void> {
    const { content, redis, timeline, log } = this.#deps;
    // An entry that cannot be read is left out: it must not keep a broadcast from going on.
    this.#entries = parseEntries(await redis.xRange(timelineKey(content), '-', '+')).entries;
    this.#head = await timeline.head(content);
    if (record.epochs.length > 0 && (this.#head === null || this.#entries.length === 0)) {
      this.#isReadBack = true;
      const { entries, storedMsn } = await readBack(record, this.#deps);
      this.#entries = entries;
      this.#storedMsn = storedMsn;
      const last = entries.at(-1);
      this.#head = last === undefined ? null : { epoch: last.epoch, msn: last.msn, part: last.part };
      log.warn('timeline read back from the store', { segments: entries.length, msn: storedMsn });
    }
    for (const epoch of record.epochs) {
      this.#nextBlock.set(epoch.epoch, firstBlockOf(epoch, this.#entries));
      this.#storedUpTo.set(epoch.epoch, firstBlockOf(epoch, this.#entries));
    }
    await timeline.seed(content, term, this.#entries);
  }

  /**
   * Stores the index blocks that are complete, then forgets and trims what is in one and old. A failure is logged and tried again with
   * the next segment.
   * @param isOver the broadcast has ended: also the last, shorter block. Not where an epoch ends: gaps may follow in it
   */
  async storeBlocks(isOver: boolean): Promise<void> {
    try {
      const newest = this.#head?.epoch ?? 0;
      for (const epoch of [...new Set(this.#entries.map((entry) => entry.epoch))]) {
        await this.#storeBlocksOf(epoch, epoch < newest || isOver);
      }
      await this.#trim();
    } catch (thrown) {
      this.#deps.log.warn('index block not stored yet', { err: thrown });
    }
  }

  async #storeBlocksOf(epoch: number, isOver: boolean): Promise<void> {
    let first = this.#nextBlock.get(epoch) ?? this.#entries.find((entry) => entry.epoch === epoch)?.msn ?? 0;
    if (!isOver && (this.#head?.msn ?? 0) - first + 1 < INDEX_BLOCK_SEGMENTS) return;
    const rows = segmentsOf(this.#entries.filter((entry) => entry.epoch === epoch && entry.msn >= first));
    const closed = rows.at(-1)?.msn ?? -1;
    while (first <= closed) {
      const last = Math.min(first + INDEX_BLOCK_SEGMENTS - 1, closed);
      if (last - first + 1 < INDEX_BLOCK_SEGMENTS && !isOver) break;
      const from = first;
      const segments = rows.filter((row) => row.msn >= from && row.msn <= last);
      await this.#storeBlock({ version: 2, epoch, first_msn: first, last_msn: last, segments });
      first = last + 1;
      this.#nextBlock.set(epoch, first);
    }
  }

  /** An earlier worker may have got this far: the rows of a closed block are the same for all, so a taken key is as good. */
  async #storeBlock(block: IndexBlock): Promise<void> {
    const { content, media } = this.#deps;
    const key = indexBlockKey(content, block.epoch, block.first_msn);
    await media.put(key, Buffer.from(JSON.stringify(block)));
    this.#accepted.push({ key, epoch: block.epoch, end: block.last_msn + 1 });
  }

  /** Blocks on the worker's disk do not count: a fresh origin cannot read them. */
  #noteStored(): void {
    while (this.#accepted[0] !== undefined && !this.#deps.media.isWaiting(this.#accepted[0].key)) {
      const { epoch, end } = this.#accepted[0];
      this.#storedUpTo.set(epoch, end);
      this.#accepted.shift();
    }
  }

  async #trim(): Promise<void> {
    this.#noteStored();
    const newest = this.#entries.at(-1);
    if (newest === undefined) return;
    const oldest = newest.pdt - KEPT_MS;
    const isDone = (entry: TimelineEntry) =>
      entry.pdt < oldest && entry.msn < (this.#storedUpTo.get(entry.epoch) ?? Number.NEGATIVE_INFINITY);
    let kept = this.#entries.findIndex((entry) => !isDone(entry));
    // A segment is dropped whole.
    while (kept > 0 && this.#entries[kept]?.msn === this.#entries[kept - 1]?.msn) kept -= 1;
    const first = this.#entries[kept];
    if (kept <= 0 || first === undefined) return;
    this.#entries = this.#entries.slice(kept);
    await this.#deps.timeline.trimBefore(this.#deps.content, { epoch: first.epoch, msn: first.msn, part: first.part });
  }
}

/** Blocks stand at fixed places in an epoch; the oldest entry still held is never past the first one not stored. */
function firstBlockOf(epoch: EpochInfo, entries: readonly TimelineEntry[]): number {
  const first = entries.find((entry) => entry.epoch === epoch.epoch);
  if (first === undefined) return epoch.msn0;
  const blocks = Math.ceil((first.msn - epoch.msn0) / INDEX_BLOCK_SEGMENTS);
  return epoch.msn0 + blocks * INDEX_BLOCK_SEGMENTS;
}
