// Names parts in the timeline, one after another. Waits for a Redis that is away and fills an emptied one; ends at once when another worker
// has the term.
import { TimelineRefused, type TimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { ContentId, WriterTag } from '../platform/contract/ids.ts';
import { comparePositions, type Position, type TimelineEntry } from '../platform/contract/timeline.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { backoffMs, delay } from '../platform/runtime/waits.ts';
import { LiveSuperseded } from './live-errors.ts';
import type { LiveHistory } from './live-history.ts';
import type { LiveMetrics } from './live-metrics.ts';

/** An entry whose term is known when it is appended. */
export type UnsignedEntry = Omit<TimelineEntry, 'term'>;

/** What this worker is to the broadcast at the moment; it may change from second to first (live-hot.ts). */
export interface Standing {
  /** `leader`: holds the term and names each part. `hot`: names only what the leader is late with. */
  readonly place: 'leader' | 'hot';
  readonly term: number;
  /** Resolves when this worker shall name the entry (true), or when another has (false). */
  turn(entry: UnsignedEntry): Promise<boolean>;
  /** Resolves when no change of place is under way. */
  settled(): Promise<void>;
}

export type AppenderDeps = {
  content: ContentId;
  writer: WriterTag;
  timeline: TimelineWriter;
  history: LiveHistory;
  standing: Standing;
  /** The accepted entry at a place; null: there is none. */
  accepted(position: Position): Promise<TimelineEntry | null>;
  /** An entry of this worker was accepted. */
  onNamed(entry: TimelineEntry): void;
  metrics: LiveMetrics;
  log: Logger;
  /** Aborted: write nothing more. */
  signal: AbortSignal;
};

/** Longest pause between two tries: what waits is named this soon after Redis is back. Unit: ms. */
const RETRY_CAP_MS = 200;

/** A part that the other worker named counts for so long. Unit: ms. */
const OVERTAKEN_MS = 3_000;

export class LiveAppender {
  readonly #deps: AppenderDeps;
  #overtakenAt = Number.NEGATIVE_INFINITY;

  constructor(deps: AppenderDeps) {
    this.#deps = deps;
  }

  /** Another worker named a part before this one lately: viewers do not wait for this one. */
  get isOvertaken(): boolean {
    return performance.now() - this.#overtakenAt < OVERTAKEN_MS;
  }

  /** Returns when the entry stands in the timeline, or another one does in its place. @throws LiveSuperseded */
  async append(unsigned: UnsignedEntry): Promise<void> {
    const { standing, metrics, onNamed } = this.#deps;
    const leads = () => standing.place === 'leader';
    for (;;) {
      const wasLeader = leads();
      const isMine = await standing.turn(unsigned);
      const entry: TimelineEntry = { ...unsigned, term: standing.term };
      const isLeader = leads();
      const outcome = isMine
        ? await this.persist('append to the timeline', () => this.#try(entry, isLeader))
        : ('left' as const);
      await standing.settled();
      const isPromoted = !wasLeader && leads();
      // Refused while this worker was becoming the leader: nobody else names it now.
      if (outcome === 'left' && isPromoted && !this.#isNamed(unsigned)) continue;
      metrics.parts.add({ outcome });
      // The second worker's history follows the timeline itself.
      if (outcome === 'stored' && leads()) this.#remember(entry);
      if (outcome === 'step_back' && leads()) await this.#adopt(entry);
      if (outcome === 'stored') onNamed(entry);
      return;
    }
  }

  #isNamed(place: Position): boolean {
    const { head } = this.#deps.history;
    return head !== null && comparePositions(head, place) >= 0;
  }

  #remember(entry: TimelineEntry): void {
    if (!this.#isNamed(entry)) this.#deps.history.add(entry);
  }

  async #try(entry: TimelineEntry, isLeader: boolean): Promise<'stored' | 'step_back' | 'left'> {
    const { content, timeline, history } = this.#deps;
    try {
      await timeline.append(content, entry, history.lastEntry());
      return 'stored';
    } catch (thrown) {
      if (!(thrown instanceof TimelineRefused)) throw thrown;
      if (thrown.reason === 'STEP_BACK') return 'step_back';
      if (!isLeader) return 'left';
      if (thrown.reason === 'STALE_TERM') throw new LiveSuperseded(content, { cause: thrown });
      await timeline.seed(content, entry.term, history.entries());
      throw thrown;
    }
  }

  /** The place is taken: by the other worker, or by a try of this one whose answer was lost. What stands there is remembered. */
  async #adopt({ epoch, msn, part }: TimelineEntry): Promise<void> {
    const present = await this.persist('read the timeline', () => this.#deps.accepted({ epoch, msn, part }));
    if (present === null) return;
    this.#remember(present);
    if (Object.values(present.renditions).some((part) => part.writer !== this.#deps.writer)) {
      this.#overtakenAt = performance.now();
    }
  }

  /** Does something with the store or Redis again and again until it works; only the end of the job stops it. @throws LiveSuperseded */
  async persist<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { log, signal, content } = this.#deps;
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (thrown) {
        const isStale = thrown instanceof TimelineRefused && thrown.reason === 'STALE_TERM';
        if (thrown instanceof LiveSuperseded || isStale) throw new LiveSuperseded(content, { cause: thrown });
        if (attempt === 4) log.warn('publishing waits', { what, err: thrown });
        await delay(thrown instanceof TimelineRefused ? 5 : backoffMs(attempt, 25, RETRY_CAP_MS), signal);
      }
    }
  }
}
