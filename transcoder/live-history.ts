// What a live worker remembers of its broadcast's timeline: the window (to seed an emptied Redis), the head, and the entries that are not
// yet in a stored index block.
import type { RedisClient } from '../platform/adapters/redis.ts';
import { ObjectConflict, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { TimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { indexBlockKey, indexPrefix, mediaPrefix } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo } from '../platform/contract/records.ts';
import { timelineKey } from '../platform/contract/redis-keys.ts';
import {
  comparePositions,
  INDEX_BLOCK_SEGMENTS,
  IndexBlock,
  type Position,
  TimelineEntry,
} from '../platform/contract/timeline.ts';
import type { Logger } from '../platform/runtime/log.ts';

export type HistoryDeps = {
  content: ContentId;
  storage: ObjectStorage;
  timeline: TimelineWriter;
  redis: Pick<RedisClient, 'xRange'>;
  windowS: number;
  log: Logger;
};

/** Blocks read back after Redis was emptied together with the worker. */
const BLOCKS_READ_BACK = 4;

export class LiveHistory {
  readonly #deps: HistoryDeps;
  #entries: TimelineEntry[] = [];
  /** First segment of each epoch's next block. */
  #nextBlock = new Map<number, number>();
  #head: Position | null = null;
  /** Largest segment number that storage holds, when the timeline does not say. */
  #storedMsn = -1;
  #isReadBack = false;

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
  }

  /** Redis had forgotten the timeline: what the last block does not hold was shown to viewers and is known no more. */
  get isReadBack(): boolean {
    return this.#isReadBack;
  }
  /** Highest accepted position. */
  get head(): Position | null {
    return this.#head;
  }
  /** Ascending, at least the window. */
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
    const { content, redis, timeline } = this.#deps;
    const held = await redis.xRange(timelineKey(content), '-', '+');
    this.#entries = held.flatMap(({ fields }) => parseEntry(fields['e'] ?? ''));
    this.#head = await timeline.head(content);
    for (const epoch of record.epochs) this.#nextBlock.set(epoch.epoch, firstBlockOf(epoch, this.#entries));
    if (record.epochs.length > 0 && (this.#head === null || this.#entries.length === 0)) await this.#readBack(record);
    await timeline.seed(content, term, this.#entries);
  }

  /** Redis was emptied with nobody to fill it again: the store knows how far the broadcast got. */
  async #readBack(record: BroadcastRecord): Promise<void> {
    const { content, storage, log } = this.#deps;
    this.#isReadBack = true;
    const blocks: { key: string; epoch: number; msn: number }[] = [];
    for await (const { key } of storage.list(indexPrefix(content))) {
      const match = /\/(\d+)-(\d+)\.json$/.exec(key);
      if (match) blocks.push({ key, epoch: Number(match[1]), msn: Number(match[2]) });
    }
    blocks.sort((a, b) => a.epoch - b.epoch || a.msn - b.msn);
    for (const { epoch, msn } of blocks.slice(-BLOCKS_READ_BACK)) {
      const { body } = await storage.read(indexBlockKey(content, epoch, msn));
      this.#entries.push(...IndexBlock.parse(JSON.parse(body.toString('utf8'))).entries);
    }
    this.#entries.sort(comparePositions);
    for (const epoch of record.epochs) {
      const last = this.#entries.findLast((entry) => entry.epoch === epoch.epoch);
      this.#nextBlock.set(epoch.epoch, last === undefined ? epoch.msn0 : last.msn + 1);
    }
    const top = record.epochs.at(-1);
    const rendition = top?.renditions[0]?.name;
    for await (const { key } of storage.list(`${mediaPrefix(content)}${rendition ?? ''}/${top?.epoch ?? 0}/`)) {
      const match = /\/[sp](\d+)\.[^/]*$/.exec(key);
      if (match) this.#storedMsn = Math.max(this.#storedMsn, Number(match[1]));
    }
    const last = this.#entries.at(-1);
    this.#head = last === undefined ? null : { epoch: last.epoch, msn: last.msn, part: last.part };
    log.warn('timeline read back from the store', { entries: this.#entries.length, msn: this.#storedMsn });
  }

  /**
   * Stores the index blocks that are complete, then forgets and trims what is in one and older than the window. A failure is logged and
   * tried again with the next segment.
   * @param isEpochOver also store the last, shorter block of the newest epoch
   */
  async storeBlocks(isEpochOver: boolean): Promise<void> {
    try {
      const newest = this.#head?.epoch ?? 0;
      for (const epoch of [...new Set(this.#entries.map((entry) => entry.epoch))]) {
        await this.#storeBlocksOf(epoch, epoch < newest || isEpochOver);
      }
      await this.#trim();
    } catch (thrown) {
      this.#deps.log.warn('index block not stored yet', { err: thrown });
    }
  }

  async #storeBlocksOf(epoch: number, isOver: boolean): Promise<void> {
    const all = this.#entries.filter((entry) => entry.epoch === epoch);
    const closed = all.findLast((entry) => entry.last);
    if (closed === undefined) return;
    let first = this.#nextBlock.get(epoch) ?? all[0]?.msn ?? 0;
    while (first <= closed.msn) {
      const last = Math.min(first + INDEX_BLOCK_SEGMENTS - 1, closed.msn);
      if (last - first + 1 < INDEX_BLOCK_SEGMENTS && !isOver) break;
      const entries = all.filter((entry) => entry.msn >= first && entry.msn <= last);
      await this.#storeBlock({ version: 1, epoch, first_msn: first, last_msn: last, entries });
      first = last + 1;
      this.#nextBlock.set(epoch, first);
    }
  }

  async #storeBlock(block: IndexBlock): Promise<void> {
    const body = Buffer.from(JSON.stringify(block));
    const options = { bytes: body.length, contentType: 'application/json', condition: { ifNoneMatch: '*' } as const };
    try {
      await this.#deps.storage.put(indexBlockKey(this.#deps.content, block.epoch, block.first_msn), body, options);
    } catch (thrown) {
      // An earlier worker got this far: the entries of a closed block are the same for all.
      if (!(thrown instanceof ObjectConflict)) throw thrown;
    }
  }

  async #trim(): Promise<void> {
    const newest = this.#entries.at(-1);
    if (newest === undefined) return;
    const oldest = newest.pdt - this.#deps.windowS * 1_000;
    const isDone = (entry: TimelineEntry) =>
      entry.pdt < oldest && entry.msn < (this.#nextBlock.get(entry.epoch) ?? Number.NEGATIVE_INFINITY);
    let kept = this.#entries.findIndex((entry) => !isDone(entry));
    // A segment is dropped whole.
    while (kept > 0 && this.#entries[kept]?.part !== 0) kept -= 1;
    const first = this.#entries[kept];
    if (kept <= 0 || first === undefined) return;
    this.#entries = this.#entries.slice(kept);
    await this.#deps.timeline.trimBefore(this.#deps.content, { epoch: first.epoch, msn: first.msn, part: first.part });
  }
}

/** An entry that cannot be read is left out: it must not keep a broadcast from going on. */
function parseEntry(text: string): TimelineEntry[] {
  try {
    return [TimelineEntry.parse(JSON.parse(text))];
  } catch {
    return [];
  }
}

/** Blocks stand at fixed places in an epoch; the oldest entry still held is never past the first one not stored. */
function firstBlockOf(epoch: EpochInfo, entries: TimelineEntry[]): number {
  const first = entries.find((entry) => entry.epoch === epoch.epoch);
  if (first === undefined) return epoch.msn0;
  const blocks = Math.ceil((first.msn - epoch.msn0) / INDEX_BLOCK_SEGMENTS);
  return epoch.msn0 + blocks * INDEX_BLOCK_SEGMENTS;
}
