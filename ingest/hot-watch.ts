// Keeps a second worker on a broadcast with hot redundancy: while the first one is there and nobody holds `live-hot`, a `hot` job is in the queue.
import type { BroadcastId } from '../platform/contract/ids.ts';
import { hotJobId } from '../platform/contract/jobs.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { TermSource } from './term-watch.ts';

/** One worker for each place. */
export const HOT_NODES = 2;

/** Without a holder for this long: nobody is coming by himself. Unit: ms. */
const LAPSE_MS = 1_200;
/** A job taken by a worker that does not take the lease in this time died with its worker. Unit: ms. */
const TAKE_MS = 3_000;
const BACKOFF_CAP_MS = 10_000;
/** How often it looks. Unit: ms. */
const LOOK_MS = 500;

export class HotWatch {
  private readonly id: BroadcastId;
  private readonly source: Pick<TermSource, 'holder' | 'jobState' | 'enqueue'>;
  private readonly log: Logger;
  private lookAt = Number.NEGATIVE_INFINITY;
  private lapsedAt: number | null = null;
  private round = 0;
  private activeSince: number | null = null;
  private attempts = 0;
  private notBefore = Number.NEGATIVE_INFINITY;

  constructor(id: BroadcastId, source: Pick<TermSource, 'holder' | 'jobState' | 'enqueue'>, log: Logger) {
    this.id = id;
    this.source = source;
    this.log = log;
  }

  /** @param now steady clock, ms. @param nodes workers that take live jobs. @returns whether a job was added */
  async step(now: number, nodes: number): Promise<boolean> {
    if (now < this.lookAt) return false;
    this.lookAt = now + LOOK_MS;
    if (nodes < HOT_NODES || (await this.source.holder(leaseNames.live(this.id))) === null) {
      this.lapsedAt = null;
      return false;
    }
    if ((await this.source.holder(leaseNames.liveHot(this.id))) !== null) {
      this.lapsedAt = null;
      this.attempts = 0;
      this.notBefore = Number.NEGATIVE_INFINITY;
      return false;
    }
    this.lapsedAt ??= now;
    if (now - this.lapsedAt < LAPSE_MS || now < this.notBefore) return false;
    return this.ensureJob(now);
  }

  private async ensureJob(now: number): Promise<boolean> {
    const jobId = hotJobId(this.id, this.round);
    const state = await this.source.jobState(jobId);
    if (state === 'waiting' || state === 'delayed') return false;
    if (state === 'active') {
      this.activeSince ??= now;
      if (now - this.activeSince >= TAKE_MS) this.nextRound();
      return false;
    }
    if (state !== null) {
      this.nextRound();
      return false;
    }
    const payload = { version: 1, broadcast_id: this.id, term: 0, place: 'hot' } as const;
    const answer = await this.source.enqueue(jobId, payload);
    this.notBefore = now + Math.min(BACKOFF_CAP_MS, 500 * 2 ** this.attempts);
    this.attempts += 1;
    if (answer === 'added') this.log.info('hot job enqueued', { round: this.round });
    return answer === 'added';
  }

  private nextRound(): void {
    this.round += 1;
    this.activeSince = null;
  }
}
