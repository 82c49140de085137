// First or second worker of a broadcast. The second one encodes the same ring on the same grid, watches the timeline, and names a part only
// when the first is late with it by half a part; when the first is gone it goes on in its place, in the same epoch.
import { type TimelineFollower, TimelineRefused } from '../platform/adapters/timeline-store.ts';
import type { ContentId, WriterTag } from '../platform/contract/ids.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { comparePositions, type Position, type TimelineEntry } from '../platform/contract/timeline.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Standing, UnsignedEntry } from './live-append.ts';
import { gapGridOf } from './live-grid.ts';
import type { LiveHistory } from './live-history.ts';

export type StandingDeps = {
  content: ContentId;
  /** Of this worker: its own entries say nothing of the other one's pace. */
  writer: WriterTag;
  follower: Pick<TimelineFollower, 'follow'>;
  history: LiveHistory;
  /** Entries after a place, ascending. @throws RedisUnavailable */
  entriesAfter(place: Position | null): Promise<TimelineEntry[]>;
  /** Fences earlier terms off. @throws TimelineRefused RedisUnavailable */
  seed(term: number): Promise<void>;
  /** Null: it is gone. @throws StorageUnavailable */
  readRecord(): Promise<BroadcastRecord | null>;
  /** As runtime/waits.ts `delay`. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  log: Logger;
  signal: AbortSignal;
};

/** What the second worker does next: join the newest epoch, go on as the first worker, or nothing more. */
export type NextStep = 'join' | 'promoted' | 'over';

const RECORD_MS = 300;
/** Weight of the newest part in the leader's usual delay. */
const WEIGHT = 0.1;
/** A second worker that lost the ring joins the epoch again when the leader is so many segments on. */
const REJOIN_SEGMENTS = 2;

export class LiveStanding implements Standing {
  record: BroadcastRecord;
  readonly #deps: StandingDeps;
  #place: 'leader' | 'hot';
  #term: number;
  /** From a part's first frame to the leader's naming it. Unit: ms; null: none was seen. */
  #leaderDelayMs: number | null = null;
  #wake = new AbortController();
  #changing: Promise<void> = Promise.resolve();
  #following: { stop(): void } | null = null;

  constructor(record: BroadcastRecord, place: 'leader' | 'hot', deps: StandingDeps) {
    this.record = record;
    this.#place = place;
    this.#term = record.term;
    this.#deps = deps;
  }

  get place(): 'leader' | 'hot' {
    return this.#place;
  }
  get term(): number {
    return this.#term;
  }
  settled(): Promise<void> {
    return this.#changing;
  }
  /** The leader writes another epoch already. */
  hasLeft(epoch: number): boolean {
    return this.#place === 'hot' && (this.#deps.history.head?.epoch ?? epoch) > epoch;
  }

  /** Second worker: reads the timeline from now on. Resolves when what it holds is known. */
  async follow(): Promise<void> {
    const { follower, history, content, writer } = this.#deps;
    let isCaughtUp = false;
    const following = follower.follow(content, (entries) => {
      for (const entry of entries) {
        if (history.head !== null && comparePositions(entry, history.head) <= 0) continue;
        history.add(entry);
        this.#term = Math.max(this.#term, entry.term);
        const isOwn = Object.values(entry.renditions).some((part) => part.writer === writer);
        if (isCaughtUp && !isOwn && !entry.gap) this.#learn(Date.now() - entry.pdt);
      }
      // Never rejects. Stores nothing that the leader has not stored; forgets what is older than the window.
      if (entries.some((entry) => entry.last)) void history.storeBlocks(false);
      this.#stir();
    });
    this.#following = following;
    await following.caughtUp;
    isCaughtUp = true;
  }

  stop(): void {
    this.#following?.stop();
    this.#stir();
  }

  #learn(delayMs: number): void {
    const known = this.#leaderDelayMs;
    this.#leaderDelayMs = known === null ? delayMs : known + WEIGHT * (delayMs - known);
  }

  #stir(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  async #pause(ms: number): Promise<void> {
    const { signal, wait } = this.#deps;
    signal.throwIfAborted();
    await wait(ms, AbortSignal.any([signal, this.#wake.signal]));
    signal.throwIfAborted();
  }

  async turn(entry: UnsignedEntry): Promise<boolean> {
    while (this.#place === 'hot') {
      const { head } = this.#deps.history;
      if (head !== null && (comparePositions(head, entry) >= 0 || this.#isClosed(entry.epoch))) return false;
      const waitMs = this.#dueAt(entry) - Date.now();
      if (waitMs <= 0) return true;
      await this.#pause(Math.min(waitMs, 1_000));
    }
    return true;
  }

  /** The leader closed a segment before its time: it begins another epoch, whatever this worker still has of this one. */
  #isClosed(epoch: number): boolean {
    const last = this.#deps.history.lastEntry();
    const info = this.record.epochs.find((known) => known.epoch === epoch);
    if (last === null || info === undefined || last.epoch !== epoch || info.grid === 'copy') return false;
    return last.gap || (last.last && last.part < gapGridOf(info).partsPerSegment - 1);
  }

  /** Half a part after the leader would have named it. */
  #dueAt(entry: UnsignedEntry): number {
    const info = this.record.epochs.find((epoch) => epoch.epoch === entry.epoch);
    if (this.#leaderDelayMs === null || info === undefined) return Number.POSITIVE_INFINITY;
    return entry.pdt + this.#leaderDelayMs + gapGridOf(info).partMs / 2;
  }

  /**
   * Second worker, nothing to encode: waits for what the leader does.
   * @param known newest epoch that was joined; null: none
   */
  async next(known: number | null): Promise<NextStep> {
    const { history, readRecord, log } = this.#deps;
    const since = history.head?.msn ?? 0;
    for (;;) {
      if (this.#place === 'leader') return 'promoted';
      try {
        const record = await readRecord();
        if (record === null || record.status === 'ended') return 'over';
        if (this.#place === 'hot') this.record = record;
      } catch (thrown) {
        log.debug('broadcast record not read', { err: thrown });
      }
      const newest = this.record.epochs.at(-1)?.epoch ?? null;
      const last = history.lastEntry();
      const isOn = last !== null && !last.gap && last.epoch === newest && last.msn >= since + REJOIN_SEGMENTS;
      const isNew = newest !== null && (known === null || newest > known);
      if (this.#place === 'hot' && (isNew || isOn)) return 'join';
      await this.#pause(RECORD_MS);
    }
  }

  /** This worker has the lease and the term: it is the first one from here on. @throws TimelineRefused when another has a later term */
  promote(record: BroadcastRecord): Promise<void> {
    this.#changing = this.#change(record);
    return this.#changing;
  }

  async #change(record: BroadcastRecord): Promise<void> {
    const { history, entriesAfter, seed, wait, log, signal } = this.#deps;
    this.#following?.stop();
    for (;;) {
      signal.throwIfAborted();
      try {
        // Raised first: what the old leader names after that is refused, so that what is read next is all there is.
        await seed(record.term);
        for (const entry of await entriesAfter(history.head)) history.add(entry);
        break;
      } catch (thrown) {
        if (thrown instanceof TimelineRefused && thrown.reason === 'STALE_TERM') throw thrown;
        log.warn('timeline not taken over yet', { err: thrown });
        await wait(50, signal);
      }
    }
    this.record = record;
    this.#term = record.term;
    this.#place = 'leader';
    this.#stir();
  }
}
