// All broadcasts of this node: admits publishers by key, finds rings for readers, obeys hints and changes of the key set.
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { BroadcastId, StreamId } from '../platform/contract/ids.ts';
import type { StreamSignal } from '../platform/contract/nodes.ts';
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
  /** Bit rate of each publisher on air, by stream id. Unit: bit/s. */
  bitrates(): Record<string, number>;
  /** What the doctor says of each publisher's signal, by stream id. */
  signals(): Record<string, StreamSignal>;
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
    if (running?.hasKey(found.key) !== true && this.publishers() >= this.deps.maxPublishers) return 'full';
    return (running ?? this.add(found.stream)).attach(connection, found);
  }

  turnedAway(reason: Parameters<PublisherGate['turnedAway']>[0]): void {
    this.deps.metrics.refused.add({ reason });
  }

  ring(id: BroadcastId): Ring | null {
    for (const broadcast of this.all) {
      const ring = broadcast.ringOf(id);
      if (ring !== null) return ring;
    }
    return null;
  }

  publishers(): number {
    let count = 0;
    for (const broadcast of this.all) count += broadcast.publishers.length;
    return count;
  }

  count(): number {
    return this.all.size;
  }

  ringBytes(): number {
    let bytes = 0;
    for (const broadcast of this.all) bytes += broadcast.ringBytes;
    return bytes;
  }

  bitrates(): Record<string, number> {
    const rates: Record<string, number> = {};
    for (const { stream, bitrateBps } of this.all) if (bitrateBps !== null) rates[stream] = bitrateBps;
    return rates;
  }

  signals(): Record<string, StreamSignal> {
    const signals: Record<string, StreamSignal> = {};
    for (const broadcast of this.all) {
      const signal = broadcast.signal();
      if (signal !== null) signals[broadcast.stream] = signal;
    }
    return signals;
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

  /** Publishers whose key was reset, removed or has expired; also when the event was lost. */
  private dropStrangers(): void {
    const { keys } = this.deps;
    for (const broadcast of this.all) {
      const isStranger = ({ keyHash }: { keyHash: string }) => !keys.holds(keyHash, broadcast.stream);
      if (!broadcast.publishers.some(isStranger)) continue;
      broadcast.dropPublishers('key-removed', isStranger);
      broadcast.requestCheck();
    }
  }

  private async obey(event: PlatformEvent): Promise<void> {
    if (event.type === 'stream-keys') await this.deps.keys.reload();
    // The new keys first, or a quick encoder would come back with the old one.
    if (event.type === 'kick') await this.deps.keys.reload();
    for (const broadcast of this.all) {
      if (event.type === 'broadcast' && broadcast.id === event.id) broadcast.requestCheck();
      if ('id' in event && broadcast.stream === event.id) obeyFor(broadcast, event);
    }
  }
}

function obeyFor(broadcast: LiveBroadcast, event: PlatformEvent): void {
  if (event.type === 'kick') broadcast.dropPublishers('kicked');
  if (event.type === 'kick' || event.type === 'stream') broadcast.requestCheck();
  if (event.type === 'complete') broadcast.complete();
  if (event.type === 'switch') broadcast.switchTo(event.to);
}

/** Free of effects until start(). */
export const createBroadcasts = (deps: BroadcastsDeps): Broadcasts => new BroadcastSet(deps);
