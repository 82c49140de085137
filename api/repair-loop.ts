// The reconciler as a part of the role: a pass each 2 s while this process holds the lease, and recordings made at once, by any process.
import type { EventBus } from '../platform/adapters/event-bus.ts';
import type { Lease, Leases } from '../platform/adapters/leases.ts';
import type { Records } from '../platform/adapters/records.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { BroadcastId } from '../platform/contract/ids.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { NamedComponent } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type Loop, repeat } from '../platform/runtime/waits.ts';
import type { Reconciler } from './reconciler.ts';
import type { Recordings } from './recordings.ts';
import type { UploadLocks } from './upload-locks.ts';

export type RepairLoopParts = {
  reconciler: Reconciler;
  leases: Pick<Leases, 'acquire'>;
  events: Pick<EventBus, 'on'>;
  records: Pick<Records, 'get'>;
  recordings: Pick<Recordings, 'record'>;
  locks: Pick<UploadLocks, 'release'>;
  log: Logger;
};

const RECONCILE_MS = 2_000;
const RECONCILER_LEASE_MS = 6_000;

class RepairLoop {
  private readonly parts: RepairLoopParts;
  private readonly recording = new Set<Promise<void>>();
  private loop: Loop | null = null;
  private lease: Lease | null = null;
  private unlisten: () => void = () => undefined;

  constructor(parts: RepairLoopParts) {
    this.parts = parts;
  }

  private hear(event: PlatformEvent): void {
    const { reconciler, locks } = this.parts;
    if (event.type === 'asset') reconciler.touch({ kind: 'asset', id: event.id });
    if (event.type === 'stream') reconciler.touch({ kind: 'stream', id: event.id });
    if (event.type === 'release-upload') locks.release(event.id);
    if (event.type !== 'broadcast') return;
    reconciler.touch({ kind: 'broadcast', id: event.id });
    const work = this.recordSoon(event.id);
    this.recording.add(work);
    void work.finally(() => this.recording.delete(work));
  }

  /** Without waiting for a pass, or for the lease of a process that died: the end of a broadcast is when people look for its recording. */
  private async recordSoon(id: BroadcastId): Promise<void> {
    try {
      const broadcast = await this.parts.records.get('broadcast', id);
      if (broadcast !== null) await this.parts.recordings.record(broadcast.value);
    } catch (thrown) {
      this.parts.log.warn('recording left to the reconciler', { broadcast: id, reason: messageOf(thrown) });
    }
  }

  private async step(signal: AbortSignal): Promise<void> {
    if (this.lease === null || this.lease.lost.aborted)
      this.lease = await this.parts.leases.acquire(leaseNames.reconciler, RECONCILER_LEASE_MS);
    if (this.lease !== null) await this.parts.reconciler.pass(AbortSignal.any([signal, this.lease.lost]));
  }

  async start(): Promise<void> {
    this.unlisten = this.parts.events.on((event) => this.hear(event));
    this.loop = repeat(
      RECONCILE_MS,
      (signal) => this.step(signal),
      (thrown) => this.parts.log.warn('reconciler pass failed', { reason: messageOf(thrown) }),
    );
  }

  async close(): Promise<void> {
    this.unlisten();
    await this.loop?.close();
    await Promise.all(this.recording);
    await this.lease?.release();
    this.loop = null;
    this.lease = null;
  }
}

/** Repairs while this process holds the lease; other api processes wait for it to lapse. */
export const createRepairLoop = (parts: RepairLoopParts): NamedComponent => ({
  name: 'reconciler',
  component: new RepairLoop(parts),
});
