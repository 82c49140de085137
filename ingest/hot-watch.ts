// Keeps a second worker on a broadcast with hot redundancy: while the first one is there and nobody holds `live-hot`, a `hot` job is in the queue.
import type { BroadcastId } from '../platform/contract/ids.ts';
import { hotJobId } from '../platform/contract/jobs.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { JobRounds } from './job-rounds.ts';
import type { TermSource } from './term-watch.ts';

/** One worker for each place. */
export const HOT_NODES = 2;

/** Without a holder for this long: nobody is coming by himself. Unit: ms. */
const LAPSE_MS = 1_200;
/** How often it looks. Unit: ms. */
const LOOK_MS = 500;

export class HotWatch {
  private readonly id: BroadcastId;
  private readonly source: Pick<TermSource, 'holder' | 'jobState' | 'enqueue'>;
  private readonly log: Logger;
  private readonly rounds: JobRounds;
  private lookAt = Number.NEGATIVE_INFINITY;
  private lapsedAt: number | null = null;

  constructor(id: BroadcastId, source: Pick<TermSource, 'holder' | 'jobState' | 'enqueue'>, log: Logger) {
    this.id = id;
    this.source = source;
    this.log = log;
    this.rounds = new JobRounds(source);
  }

  /**
   * @param now steady clock, ms
   * @param there a leader; and how many workers take live jobs
   * @returns whether a job was added
   */
  async step(now: number, there: { hasLeader: boolean; nodes: number }): Promise<boolean> {
    if (now < this.lookAt) return false;
    this.lookAt = now + LOOK_MS;
    if (!there.hasLeader || there.nodes < HOT_NODES) {
      this.lapsedAt = null;
      return false;
    }
    if ((await this.source.holder(leaseNames.liveHot(this.id))) !== null) {
      this.lapsedAt = null;
      this.rounds.forgive();
      return false;
    }
    this.lapsedAt ??= now;
    if (now - this.lapsedAt < LAPSE_MS || this.rounds.isBackedOff(now)) return false;
    return this.ensureJob(now);
  }

  private async ensureJob(now: number): Promise<boolean> {
    const payload = { version: 1, broadcast_id: this.id, term: 0, place: 'hot' } as const;
    const answer = await this.rounds.ensure((round) => hotJobId(this.id, round), payload, now);
    if (answer === 'added') this.log.info('hot job enqueued', { round: this.rounds.round });
    return answer === 'added';
  }
}
