// Keeps a worker on a broadcast: while nobody holds its lease, a live job for the next term is in the queue.
import type { BroadcastId } from '../platform/contract/ids.ts';
import { type JobState, type LiveJob, liveJobId } from '../platform/contract/jobs.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import type { Logger } from '../platform/runtime/log.ts';

/** What the watch asks of leases, queue, index and records. */
export interface TermSource {
  holder(lease: string): Promise<string | null>;
  jobState(jobId: string): Promise<JobState | null>;
  enqueue(jobId: string, payload: LiveJob): Promise<'added' | 'present'>;
  /** The index marker is there: Redis was not emptied a moment ago. */
  isIndexed(): Promise<boolean>;
  /** The record's term; null when the broadcast is over. */
  term(id: BroadcastId): Promise<number | null>;
}

/** Without a holder for this long: the worker is gone. A lease lives 3 s and is renewed each second. Unit: ms. */
const LAPSE_MS = 300;
/** The same after Redis was emptied: the worker takes its lease again by itself. Unit: ms. */
const LAPSE_AFTER_FLUSH_MS = 1_500;
/** A job taken by a worker that does not take the lease in this time died with its worker. Unit: ms. */
const TAKE_MS = 3_000;
const BACKOFF_CAP_MS = 10_000;

export class TermWatch {
  private readonly id: BroadcastId;
  private readonly source: TermSource;
  private readonly log: Logger;
  private lapsedAt: number | null;
  private sawFlush = false;
  private term = 0;
  private round = 0;
  private activeSince: number | null = null;
  private attempts = 0;
  /** Since the last job went out. */
  private sawHolder = false;
  private notBefore = Number.NEGATIVE_INFINITY;

  /** @param isNew no worker can hold it yet: the first job goes out at once */
  constructor(id: BroadcastId, isNew: boolean, source: TermSource, log: Logger) {
    this.id = id;
    this.source = source;
    this.log = log;
    this.lapsedAt = isNew ? Number.NEGATIVE_INFINITY : null;
  }

  /** @param now steady clock, ms. @returns whether a job was added */
  async step(now: number): Promise<boolean> {
    if ((await this.source.holder(leaseNames.live(this.id))) !== null) {
      this.lapsedAt = null;
      this.sawFlush = false;
      this.sawHolder = true;
      this.attempts = 0;
      this.notBefore = Number.NEGATIVE_INFINITY;
      return false;
    }
    this.lapsedAt ??= now;
    if (this.lapsedAt !== Number.NEGATIVE_INFINITY && !this.sawFlush && !(await this.source.isIndexed()))
      this.sawFlush = true;
    if (now - this.lapsedAt < (this.sawFlush ? LAPSE_AFTER_FLUSH_MS : LAPSE_MS) || now < this.notBefore) return false;
    const term = await this.source.term(this.id);
    return term === null ? false : this.ensureJob(term + 1, now);
  }

  private async ensureJob(term: number, now: number): Promise<boolean> {
    if (term !== this.term) {
      const isTaken = this.term !== 0 && !this.sawHolder;
      this.term = term;
      this.round = 0;
      this.activeSince = null;
      if (isTaken) {
        // A worker took the last job between two looks at the lease: its time counts from now.
        this.lapsedAt = now;
        this.sawHolder = true;
        return false;
      }
    }
    const jobId = this.round === 0 ? liveJobId(this.id, term) : `${liveJobId(this.id, term)}:${this.round}`;
    const state = await this.source.jobState(jobId);
    if (state === 'waiting' || state === 'delayed') return false;
    if (state === 'active') {
      this.activeSince ??= now;
      if (now - this.activeSince >= TAKE_MS) this.nextRound();
      return false;
    }
    if (state !== null) {
      // Done with, yet nobody holds the lease: the same term once more, under a new name. The record admits one taker.
      this.nextRound();
      return false;
    }
    const answer = await this.source.enqueue(jobId, { version: 1, broadcast_id: this.id, term, place: 'leader' });
    this.notBefore = now + Math.min(BACKOFF_CAP_MS, 500 * 2 ** this.attempts);
    this.attempts += 1;
    this.sawHolder = false;
    if (answer === 'added') this.log.info('live job enqueued', { term, round: this.round });
    return answer === 'added';
  }

  private nextRound(): void {
    this.round += 1;
    this.activeSince = null;
  }
}
