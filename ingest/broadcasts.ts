// All broadcasts of this node: admits publishers by key, finds rings for readers, obeys hints and changes of the key set.
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { BroadcastId, StreamId } from '../platform/contract/ids.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { RefusalReason } from './errors.ts';
import { type BroadcastDeps, LiveBroadcast } from './live-broadcast.ts';
import type { Ring } from './ring.ts';
import type { Publication, PublisherConnection, PublisherGate } from './rtmp-protocol.ts';
import type { StreamKeys } from './stream-keys.ts';

export interface Broadcasts extends Component, PublisherGate {
  /** The ring of a broadcast that this node holds, or null. */
  ring(id: BroadcastId): Ring | null;
  publishers(): number;
  count(): number;
  ringBytes(): number;
  /** Bit rate of each publisher by stream id. Unit: bit/s. */
  bitrates(): Record<string, number>;
}

export type BroadcastsDeps = BroadcastDeps & {
  keys: Pick<StreamKeys, 'find' | 'holds' | 'reload' | 'onChange'>;
  /** Platform events. @returns remover */
  onEvent(listener: (event: PlatformEvent) => void): () => void;
  maxPublishers: number;
};

class BroadcastSet implements Broadcasts {
  private readonly deps: BroadcastsDeps;
  private readonly all = new Set<LiveBroadcast>();
  private isDraining = false;
  private stopListening: (() => void) | null = null;
  private hints = new Set<Promise<void>>();

  constructor(deps: BroadcastsDeps) {
    this.deps = deps;
  }

  async start(): Promise<void> {
    this.deps.keys.onChange(() => this.dropStrangers());
    this.stopListening = this.deps.onEvent((event) => {
      const work = this.obey(event).catch((thrown: unknown) =>
        this.deps.log.warn('event not obeyed', { event: event.type, err: thrown }),
      );
      this.hints.add(work);
      void work.finally(() => this.hints.delete(work));
    });
  }

  async drain(): Promise<void> {
    this.isDraining = true;
  }

  async close(): Promise<void> {
    this.isDraining = true;
    this.stopListening?.();
    this.stopListening = null;
    await Promise.all(this.hints);
    const endings = await Promise.allSettled([...this.all].map((broadcast) => broadcast.close()));
    this.all.clear();
    for (const ending of endings) {
      // The reconciler ends what could not be noted here.
      if (ending.status === 'rejected') this.deps.log.warn('departure not noted', { err: ending.reason });
    }
  }

  admit(key: string, connection: PublisherConnection): Publication | RefusalReason {
    if (this.isDraining) return 'draining';
    const found = this.deps.keys.find(key);
    if (found === null) return 'key';
    const running = this.openOf(found.stream);
    if (running?.hasPublisher !== true && this.publishers() >= this.deps.maxPublishers) return 'full';
    return (running ?? this.add(found.stream)).attach(connection, found.hash);
  }

  turnedAway(reason: Parameters<PublisherGate['turnedAway']>[0]): void {
    this.deps.metrics.refused.add({ reason });
  }

  ring(id: BroadcastId): Ring | null {
    for (const broadcast of this.all) if (broadcast.id === id) return broadcast.ring;
    return null;
  }

  publishers(): number {
    let count = 0;
    for (const broadcast of this.all) if (broadcast.hasPublisher) count += 1;
    return count;
  }

  count(): number {
    return this.all.size;
  }

  ringBytes(): number {
    let bytes = 0;
    for (const broadcast of this.all) bytes += broadcast.ring.bytes;
    return bytes;
  }

  bitrates(): Record<string, number> {
    const rates: Record<string, number> = {};
    for (const broadcast of this.all) if (broadcast.hasPublisher) rates[broadcast.stream] = broadcast.bitrateBps;
    return rates;
  }

  private add(stream: StreamId): LiveBroadcast {
    const broadcast: LiveBroadcast = new LiveBroadcast(stream, this.deps, () => this.all.delete(broadcast));
    this.all.add(broadcast);
    return broadcast;
  }

  private openOf(stream: StreamId): LiveBroadcast | null {
    for (const broadcast of this.all) if (broadcast.stream === stream && broadcast.isOpen) return broadcast;
    return null;
  }

  /** Publishers whose key was reset or removed; also when the event was lost. */
  private dropStrangers(): void {
    for (const broadcast of this.all) {
      const { keyHash } = broadcast;
      if (keyHash === null || this.deps.keys.holds(keyHash, broadcast.stream)) continue;
      broadcast.dropPublisher('key-removed');
      broadcast.requestCheck();
    }
  }

  private async obey(event: PlatformEvent): Promise<void> {
    if (event.type === 'stream-keys') await this.deps.keys.reload();
    if (event.type === 'kick') {
      // The new keys first, or a quick encoder would come back with the old one.
      await this.deps.keys.reload();
      this.openOf(event.id)?.dropPublisher('key-removed');
    }
    for (const broadcast of this.all) {
      const isMeant =
        (event.type === 'kick' && broadcast.stream === event.id) ||
        (event.type === 'stream' && broadcast.stream === event.id) ||
        (event.type === 'broadcast' && broadcast.id === event.id);
      if (isMeant) broadcast.requestCheck();
    }
  }
}

/** Free of effects until start(). */
export const createBroadcasts = (deps: BroadcastsDeps): Broadcasts => new BroadcastSet(deps);
