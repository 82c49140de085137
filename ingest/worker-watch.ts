// The workers of one broadcast: one that leads, and with hot redundancy a second one beside it.
import type { BroadcastRecord } from '../platform/contract/records.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { HOT_NODES, HotWatch } from './hot-watch.ts';
import type { OtherNodes } from './other-nodes.ts';
import { type TermSource, TermWatch } from './term-watch.ts';

export class WorkerWatch {
  private readonly term: TermWatch;
  private readonly hot: HotWatch | null;
  private readonly nodes: Pick<OtherNodes, 'liveWorkers'>;

  /** @param isNew no worker can hold it yet */
  constructor(
    record: BroadcastRecord,
    isNew: boolean,
    deps: { terms: TermSource; nodes: Pick<OtherNodes, 'liveWorkers'> },
    log: Logger,
  ) {
    this.term = new TermWatch(record.id, isNew, deps.terms, log);
    this.hot = record.redundancy === 'hot' ? new HotWatch(record.id, deps.terms, log) : null;
    this.nodes = deps.nodes;
  }

  /** @param now steady clock, ms. @param isEnding a second worker is of no use any more. @returns jobs added */
  async step(now: number, isEnding: boolean): Promise<number> {
    let jobs = (await this.term.step(now)) ? 1 : 0;
    if (isEnding) return jobs;
    if (await this.hot?.step(now, { hasLeader: this.term.isHeld, nodes: this.nodes.liveWorkers() })) jobs += 1;
    return jobs;
  }
}

/** What the broadcaster is told when hot redundancy has too few workers. */
export const hotAdvice = (workers: number): string[] =>
  workers >= HOT_NODES
    ? []
    : [
        `Hot redundancy needs ${HOT_NODES} workers that take live jobs; ${workers === 1 ? 'one is' : `${workers} are`} running. Start another transcoder.`,
      ];
