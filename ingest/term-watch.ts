// Keeps a worker on a broadcast: while nobody holds its lease, a live job for the next term is in the queue.
import type { BroadcastId } from '../platform/contract/ids.ts';
import { liveJobId } from '../platform/contract/jobs.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { JobRounds, type JobSource } from './job-rounds.ts';

/** What the watch asks of leases, queue, index and records. */
export interface TermSource extends JobSource {
  holder(lease: string): Promise<string | null>;
  /** The index marker is there: Redis was not emptied a moment ago. */
  isIndexed(): Promise<boolean>;
  /** The record's term; null when the broadcast is over. */
  term(id: BroadcastId): Promise<number | null>;
}

/** Without a holder for this long: the worker is gone. A lease lives 3 s and is renewed each second. Unit: ms. */
const LAPSE_MS = 300;
/** The same after Redis was emptied: the worker takes its lease again by itself. Unit: ms. */
const LAPSE_AFTER_FLUSH_MS = 1_500;

export class TermWatch {
  private readonly id: BroadcastId;
  private readonly source: TermSource;
  private readonly log: Logger;
  private readonly rounds: JobRounds;
  private lapsedAt: number | null;
  private sawFlush = false;
  private term = 0;
  /** Since the last job went out. */
  private sawHolder = false;

  /** @param isNew no worker can hold it yet: the first job goes out at once */
  constructor(id: BroadcastId, isNew: boolean, source: TermSource, log: Logger) {
    this.id = id;
    this.source = source;
    this.log = log;
    this.rounds = new JobRounds(source);
    this.lapsedAt = isNew ? Number.NEGATIVE_INFINITY : null;
  }

  /** Somebody held the lease at the last step. */
  get isHeld(): boolean {
    return this.lapsedAt === null;
  }

  /** @param now steady clock, ms. @returns whether a job was added */
  async step(now: number): Promise<boolean> {
    if ((await this.source.holder(leaseNames.live(this.id))) !== null) {
      this.lapsedAt = null;
      this.sawFlush = false;
      this.sawHolder = true;
      this.rounds.forgive();
      return false;
    }
    this.lapsedAt ??= now;
    if (this.lapsedAt !== Number.NEGATIVE_INFINITY && !this.sawFlush && !(await this.source.isIndexed()))
      this.sawFlush = true;
    if (now - this.lapsedAt < (this.sawFlush ? LAPSE_AFTER_FLUSH_MS : LAPSE_MS) || this.rounds.isBackedOff(now))
      return false;
    const term = await this.source.term(this.id);
    return term === null ? false : this.ensureJob(term + 1, now);
  }

  private async ensureJob(term: number, now: number): Promise<boolean> {
    if (term !== this.term) {
      const isTaken = this.term !== 0 && !this.sawHolder;
      this.term = term;
      this.rounds.startOver();
      if (isTaken) {
        // A worker took the last job between two looks at the lease: its time counts from now.
        this.lapsedAt = now;
        this.sawHolder = true;
        return false;
      }
    }
    // The same term under a new name is harmless: the record admits one taker.
    const idOf = (round: number) => (round === 0 ? liveJobId(this.id, term) : `${liveJobId(this.id, term)}:${round}`);
    const payload = { version: 1, broadcast_id: this.id, term, place: 'leader' } as const;
    const answer = await this.rounds.ensure(idOf, payload, now);
    if (answer !== null) this.sawHolder = false;
    if (answer === 'added') this.log.info('live job enqueued', { term, round: this.rounds.round });
    return answer === 'added';
  }
}
