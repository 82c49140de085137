// The last phase of a broadcast: the record says `ending`, readers get the end frame, and the ring stays until its worker has read it out.
import type { BroadcastId, NodeId, StreamId } from '../platform/contract/ids.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type BroadcastRecords, noteEnding } from './broadcast-records.ts';
import type { Ring } from './ring.ts';

export type EndingDeps = {
  node: NodeId;
  records: BroadcastRecords;
  announce(broadcast: BroadcastId, stream: StreamId): Promise<void>;
};

/** How often the record is read, and how long the ring waits for the worker. Unit: ms. */
const CHECK_MS = 1_000;
const LIMIT_MS = 120_000;

export class BroadcastEnding {
  private readonly id: BroadcastId;
  private readonly stream: StreamId;
  private readonly ring: Ring;
  private readonly deps: EndingDeps;
  private readonly log: Logger;
  private isWritten = false;
  private readonly since = performance.now();
  private checkAt = Number.NEGATIVE_INFINITY;

  constructor(id: BroadcastId, stream: StreamId, ring: Ring, deps: EndingDeps, log: Logger) {
    this.id = id;
    this.stream = stream;
    this.ring = ring;
    this.deps = deps;
    this.log = log;
  }

  /** `over`: nothing more is to be done here. */
  async step(): Promise<'again' | 'over'> {
    const { deps, id } = this;
    if (!this.isWritten) {
      if ((await noteEnding(deps.records, id, deps.node)).standing === 'elsewhere') return 'over';
      this.isWritten = true;
      this.ring.end();
      this.log.info('broadcast ends');
      await deps.announce(id, this.stream);
    }
    const now = performance.now();
    if (now < this.checkAt) return 'again';
    this.checkAt = now + CHECK_MS;
    const record = (await deps.records.get('broadcast', id))?.value;
    return record === undefined || record.status === 'ended' || now - this.since > LIMIT_MS ? 'over' : 'again';
  }
}
