// Who carries a live broadcast: what each costs, whether this node has room, and whether another one should rather take it. A job that
// is not for this node ends at once; the ingest enqueues it anew, with a growing pause.
import type { Records } from '../platform/adapters/records.ts';
import type { Registry } from '../platform/adapters/registry.ts';
import type { BroadcastId, NodeId } from '../platform/contract/ids.ts';
import type { LiveJob } from '../platform/contract/jobs.ts';
import type { NodeInfo } from '../platform/contract/nodes.ts';
import type { BroadcastRecord, TranscodeMode } from '../platform/contract/records.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { CounterMetric } from '../platform/runtime/metrics.ts';

/** Pass-through broadcasts that cost as much as an encoded one. */
export const COPIES_PER_JOB = 20;
/** What a broadcast costs. Unit: jobs (TRANSCODER_LIVE_JOBS). */
const costOf = (transcode: TranscodeMode): number => (transcode === 'passthrough' ? 1 / COPIES_PER_JOB : 1);

/** Another node is clearly less loaded when its share, with the broadcast, would be smaller by this. */
const CLEARLY = 0.3;
/** So often a job is left to a less loaded node, within FORGET_MS; then it is taken, for the other did not come. */
const MAX_BOUNCES = 2;
const FORGET_MS = 30_000;
/** Sums of twentieths are not exact. */
const EPSILON = 1e-6;

export type CapacityDeps = {
  registry: Pick<Registry, 'nodes'>;
  records: Pick<Records, 'get'>;
  log: Logger;
  /** reason: full, elsewhere. */
  refused: CounterMetric;
  /** Steady clock, ms. */
  now?: () => number;
};
/** `taken`: the work was done; else why the job was given back. */
export type Placement = 'taken' | 'full' | 'elsewhere';

/** Load of a transcoder as its heartbeat says it (service.ts). */
const shareOf = (node: NodeInfo, cost: number): number =>
  ((node.load['live_cost'] ?? 0) + cost) / Math.max(EPSILON, node.load['live_capacity'] ?? 0);

export class LiveCapacity {
  readonly #node: NodeId;
  readonly #jobs: number;
  readonly #deps: CapacityDeps;
  readonly #taken = new Map<LiveJob, { broadcast: BroadcastId; cost: number }>();
  readonly #bounces = new Map<BroadcastId, { count: number; at: number }>();

  /** @param jobs TRANSCODER_LIVE_JOBS; 0 where the pool takes no live */
  constructor(node: NodeId, jobs: number, deps: CapacityDeps) {
    this.#node = node;
    this.#jobs = jobs;
    this.#deps = deps;
  }

  /** What can be carried. Unit: jobs. */
  get capacity(): number {
    return this.#jobs;
  }
  /** What is carried. Unit: jobs. */
  get cost(): number {
    return [...this.#taken.values()].reduce((sum, { cost }) => sum + cost, 0);
  }
  /** Share of the node that a broadcast takes; 1 is the whole. */
  share(broadcast: string): number {
    const mine = [...this.#taken.values()].filter((taken) => taken.broadcast === broadcast);
    return this.#jobs === 0 ? 0 : mine.reduce((sum, { cost }) => sum + cost, 0) / this.#jobs;
  }

  /** Does the work when the broadcast fits here. What `work` throws is thrown. */
  async run(job: LiveJob, work: () => Promise<void>): Promise<Placement> {
    const record = await this.#record(job.broadcast_id);
    const cost = costOf(record?.transcode ?? 'ladder');
    const isNew = job.place === 'hot' || (record?.term ?? 0) === 0;
    const placement = this.#place(job.broadcast_id, cost, isNew);
    if (placement !== 'taken') {
      this.#deps.refused.add({ reason: placement });
      this.#deps.log.info('live job given back', { broadcast: job.broadcast_id, reason: placement, cost: this.cost });
      return placement;
    }
    this.#taken.set(job, { broadcast: job.broadcast_id, cost });
    try {
      await work();
      return 'taken';
    } finally {
      this.#taken.delete(job);
    }
  }

  /** Without the record the worker finds out for itself what the job is worth. */
  async #record(id: BroadcastId): Promise<BroadcastRecord | null> {
    try {
      return (await this.#deps.records.get('broadcast', id))?.value ?? null;
    } catch (thrown) {
      this.#deps.log.debug('broadcast record not read', { err: thrown });
      return null;
    }
  }

  /** @param isNew nobody waits for it to go on: it may be left to another node */
  #place(broadcast: BroadcastId, cost: number, isNew: boolean): Placement {
    if (this.cost + cost > this.#jobs + EPSILON) return 'full';
    if (!isNew || !this.#isForAnother(cost) || !this.#bounce(broadcast)) return 'taken';
    return 'elsewhere';
  }

  #isForAnother(cost: number): boolean {
    const own = (this.cost + cost) / this.#jobs;
    return this.#deps.registry
      .nodes('transcoder')
      .filter((node) => node.id !== this.#node && node.state === 'healthy' && node.pool !== 'vod')
      .some((node) => shareOf(node, cost) <= 1 + EPSILON && own - shareOf(node, cost) > CLEARLY);
  }

  /** Whether it may be given back once more. */
  #bounce(broadcast: BroadcastId): boolean {
    const now = (this.#deps.now ?? (() => performance.now()))();
    for (const [id, { at }] of this.#bounces) if (now - at > FORGET_MS) this.#bounces.delete(id);
    const count = (this.#bounces.get(broadcast)?.count ?? 0) + 1;
    if (count > MAX_BOUNCES) return false;
    this.#bounces.set(broadcast, { count, at: now });
    return true;
  }
}
