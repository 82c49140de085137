// One broadcast at an ingest: publishers come and go, the ring stays; a loop keeps record, queue and window in step with them. While another
// node's publisher is on air this one waits: it stands by, watches the record, and takes over when its time comes.
import type { BroadcastId, NodeId, SessionId, StreamId } from '../platform/contract/ids.ts';
import type { StreamSignal } from '../platform/contract/nodes.ts';
import type { BroadcastRecord, KeyKind } from '../platform/contract/records.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { within } from '../platform/runtime/waits.ts';
import { BroadcastEnding } from './broadcast-ending.ts';
import {
  type Bid,
  type BroadcastRecords,
  type Noted,
  noteArrival,
  noteDeparture,
  openBroadcast,
  resumeBroadcast,
  standingOf,
} from './broadcast-records.ts';
import { classifyTag, type FlvTag } from './flv-tag.ts';
import type { IngestMetrics } from './metrics.ts';
import type { OtherNodes } from './other-nodes.ts';
import { type Claim, Publisher, systemClock } from './publisher.ts';
import { PublisherPair } from './publisher-pair.ts';
import { Ring, type RingLimits } from './ring.ts';
import type { EndReason, Publication, PublisherConnection } from './rtmp-protocol.ts';
import { STANDBY_KEEP_MS } from './standby-buffer.ts';
import { StepLoop } from './step-loop.ts';
import type { FoundKey } from './stream-keys.ts';
import type { TermSource } from './term-watch.ts';
import { hotAdvice, WorkerWatch } from './worker-watch.ts';

export type BroadcastDeps = {
  node: NodeId;
  records: BroadcastRecords;
  terms: TermSource;
  nodes: OtherNodes;
  /** Puts a running broadcast into the live index. */
  index: { add(broadcast: BroadcastId, stream: StreamId): Promise<void> };
  /** Hints to other roles that broadcast and stream changed. Never throws. */
  announce(broadcast: BroadcastId, stream: StreamId): Promise<void>;
  metrics: IngestMetrics;
  log: Logger;
  ringLimits: RingLimits;
  /** A publisher that sends more over ten seconds is cut off. Unit: bit/s. */
  maxBitrateBps: number;
};

const STEP_MS = 250;
/** How often record and stream are read without a hint, on air and while waiting. Unit: ms. */
const CHECK_MS = 10_000;
const WAITING_CHECK_MS = 1_000;
/** A publisher that stands by at another node has this long to take over before viewers are told that nobody publishes. Unit: ms. */
const HANDOVER_MS = 3_000;

type Phase = 'opening' | 'waiting' | 'live' | 'ending' | 'over';

export class LiveBroadcast {
  readonly stream: StreamId;
  private readonly deps: BroadcastDeps;
  private readonly onOver: () => void;
  private readonly pair: PublisherPair;
  private ring: Ring;
  private log: Logger;
  private phase: Phase = 'opening';
  private record: BroadcastRecord | null = null;
  private disconnectedAt = Date.now();
  /** Session that the record names; null: none. */
  private written: SessionId | null = null;
  private isIndexed = false;
  private shallEnd = false;
  private checkAt = performance.now() + CHECK_MS;
  private ending: BroadcastEnding | null = null;
  private watch: WorkerWatch | null = null;
  private readonly loop: StepLoop;

  constructor(stream: StreamId, deps: BroadcastDeps, onOver: () => void) {
    this.stream = stream;
    this.deps = deps;
    this.onOver = onOver;
    this.ring = new Ring(deps.ringLimits);
    this.log = deps.log.child({ stream });
    this.loop = new StepLoop(
      () => this.step(),
      STEP_MS,
      () => this.log,
    );
    this.pair = new PublisherPair(
      () => this.ring,
      systemClock,
      () => this.loop.nudge(),
    );
  }

  /** Known once the record was read or written. */
  get id(): BroadcastId | null {
    return this.record?.id ?? null;
  }
  get publishers(): Publisher[] {
    return this.pair.all;
  }
  /** A publisher may join; otherwise a new broadcast begins. */
  get isOpen(): boolean {
    return ['opening', 'waiting', 'live'].includes(this.phase) && !this.shallEnd;
  }
  /** Of the publisher on air, last seconds. Unit: bit/s. Null: nobody is on air here. */
  get bitrateBps(): number | null {
    return this.pair.onAir?.bitrateBps ?? null;
  }
  get ringBytes(): number {
    return this.ring.bytes;
  }

  /** What readers of `id` get; null while this node has nothing of it. */
  ringOf(id: BroadcastId): Ring | null {
    return this.id === id && (this.phase === 'live' || this.phase === 'ending') ? this.ring : null;
  }

  hasKey(key: KeyKind): boolean {
    return this.pair.with(key) !== null;
  }

  /** What is told of the publisher on air, else of one that stands by; null without any. */
  signal(): StreamSignal | null {
    const { pair, record, deps } = this;
    const mode = record?.latency_mode ?? 'default';
    if (pair.onAir === null) return pair.all[0]?.signal(mode, false, []) ?? null;
    const hasStandby = pair.hasStandby || deps.nodes.hasPublisher(this.stream, pair.onAir.key);
    const advice = record?.redundancy === 'hot' ? hotAdvice(deps.nodes.liveWorkers()) : [];
    return pair.onAir.signal(mode, hasStandby, advice);
  }

  /** A newly admitted publisher: on air, or standing by beside the other key's. */
  attach(connection: PublisherConnection, found: FoundKey): Publication {
    const publisher = new Publisher(connection, found, systemClock);
    this.pair.join(publisher);
    this.log.info('publisher connected', { session: publisher.session, key: found.key, remote: connection.remote });
    this.loop.start();
    return {
      onTag: (tag) => this.receive(publisher, tag),
      onEnd: (reason) => this.detach(publisher, reason),
    };
  }

  /** Cuts publishers off; the broadcast waits its window for the next. */
  dropPublishers(reason: EndReason, isMeant?: (publisher: Publisher) => boolean): void {
    this.pair.drop(reason, isMeant);
  }

  /** Ends the broadcast without waiting for anybody. */
  complete(): void {
    this.shallEnd = true;
    this.dropPublishers('completed');
    this.requestCheck();
  }

  /** The publisher of `key` goes on air at its next key frame, when it is here. */
  switchTo(key: KeyKind): void {
    if (this.pair.switchTo(key)) this.log.info('publisher wanted', { key });
  }

  /** Reads record and stream again soon. */
  requestCheck(): void {
    this.checkAt = performance.now();
    this.loop.nudge();
  }

  /** Stops the loop, notes the departure, cuts readers off. */
  async close(): Promise<void> {
    const closed = this.loop.close();
    this.dropPublishers('shutdown');
    await closed;
    if (this.phase === 'live' && this.id !== null && this.written !== null) {
      const { records, node } = this.deps;
      await within(noteDeparture(records, this.id, node, this.disconnectedAt), 3_000, 'leaving');
      await this.deps.announce(this.id, this.stream);
    }
    this.ring.close();
  }

  private receive(publisher: Publisher, tag: FlvTag): void {
    this.deps.metrics.received.add({}, tag.body.length);
    const classified = classifyTag(tag);
    publisher.note(tag.body.length, classified);
    if (publisher.isOver(this.deps.maxBitrateBps)) publisher.connection.close('bitrate');
    else if (classified !== null) this.pair.receive(publisher, classified);
  }

  private detach(publisher: Publisher, reason: EndReason): void {
    this.deps.metrics.dropped.add({ reason });
    this.log.info('publisher left', { session: publisher.session, key: publisher.key, reason });
    if (this.pair.onAir === publisher) this.disconnectedAt = Date.now();
    this.pair.leave(publisher);
  }

  private async step(): Promise<'again' | 'done'> {
    if (this.phase === 'opening') await this.open();
    if (this.phase === 'waiting') await this.standBy();
    if (this.phase === 'live') await this.goOn();
    if (this.phase === 'ending') await this.finish();
    if (this.phase !== 'over') return 'again';
    this.onOver();
    return 'done';
  }

  private bidOf(publisher: Publisher, claim: Claim): Bid {
    const { session, since, key } = publisher;
    const { node, nodes } = this.deps;
    return { publisher: { node, session, since, key }, claim, isThere: (id) => nodes.isThere(id) };
  }

  private async open(): Promise<void> {
    this.pair.tick();
    const publisher = this.pair.onAir;
    if (publisher === null) {
      if (this.pair.all.length === 0) this.leave();
      return;
    }
    const bid = this.bidOf(publisher, 'new');
    const opening = await openBroadcast(this.deps.records, this.stream, bid);
    publisher.isNewcomer = false;
    if (opening.state === 'refused') {
      this.dropPublishers('disabled');
      this.leave();
    } else if (opening.state === 'standby') this.beginWaiting(opening.record);
    else {
      this.goLive(opening.record, opening.isNew, bid);
      await this.deps.announce(opening.record.id, this.stream);
    }
  }

  private goLive(record: BroadcastRecord, isNew: boolean, bid: Bid): void {
    this.record = record;
    this.written = bid.publisher.session;
    this.log = this.deps.log.child({ stream: this.stream, broadcast: record.id });
    this.watch = new WorkerWatch(record, isNew, this.deps, this.log);
    this.checkAt = performance.now() + CHECK_MS;
    this.isIndexed = false;
    this.phase = 'live';
    const { session, key } = bid.publisher;
    this.log.info(isNew ? 'broadcast opened' : 'broadcast resumed', { session, key, term: record.term });
  }

  /** Another node's publisher is on air: its readers go there, ours stand by. */
  private beginWaiting(record: BroadcastRecord): void {
    this.record = record;
    this.pair.hold();
    this.pair.drop('elsewhere', ({ isNewcomer, key }) => !isNewcomer && key === record.ingest?.key);
    this.ring.close();
    this.ring = new Ring(this.deps.ringLimits);
    this.watch = null;
    this.written = null;
    this.checkAt = performance.now() + WAITING_CHECK_MS;
    if (this.pair.all.length === 0) this.leave();
    else {
      this.phase = 'waiting';
      this.log.info('standing by', { broadcast: record.id, node: record.ingest?.node, key: record.ingest?.key });
    }
  }

  private async standBy(): Promise<void> {
    const { pair } = this;
    if (pair.all.length === 0 || this.shallEnd) {
      this.dropPublishers('over');
      this.leave();
      return;
    }
    const newcomer = pair.all.find((publisher) => publisher.isNewcomer);
    const wanted = pair.dueByCommand();
    if (newcomer !== undefined) await this.claim(newcomer, 'new');
    else if (wanted !== null) await this.claim(wanted, 'command');
    else if (this.isTimeToLook()) {
      this.checkAt = performance.now() + WAITING_CHECK_MS;
      const ready = pair.all.find((publisher) => !publisher.isSilent());
      if (ready !== undefined) await this.claim(ready, 'standby');
    }
  }

  private isTimeToLook(): boolean {
    const node = this.record?.ingest?.node;
    return performance.now() >= this.checkAt || (node !== undefined && !this.deps.nodes.isThere(node));
  }

  private async claim(publisher: Publisher, claim: Claim): Promise<void> {
    const { record, deps } = this;
    if (record === null) return;
    const bid = this.bidOf(publisher, claim);
    const opening = await resumeBroadcast(deps.records, record.id, {
      ...bid,
      publisher: { ...bid.publisher, since: Date.now() },
    });
    publisher.isNewcomer = false;
    if (opening.state === 'refused') {
      this.dropPublishers('over');
      this.leave();
    } else if (opening.state === 'standby') this.record = opening.record;
    else {
      this.goLive(opening.record, false, bid);
      // Where nobody knows when the other one left, its node was noticed to be gone within this time.
      const standby = opening.leftAt ?? Date.now() - STANDBY_KEEP_MS;
      const after = { new: -1, standby, command: (publisher.buffer.newestCut ?? 0) - 1 }[claim];
      this.pair.release(publisher, claim, after);
      await deps.announce(record.id, this.stream);
    }
  }

  private async goOn(): Promise<void> {
    const { record, deps, pair } = this;
    if (record === null) return;
    pair.tick();
    this.yieldToOtherNode();
    if (pair.onAir === null) this.tellAbsence();
    await this.syncPublisher(record.id);
    if (this.phase === 'live' && performance.now() >= this.checkAt) await this.check(record.id);
    if (this.phase !== 'live') return;
    const windowMs = Math.max(record.reconnect_window_s * 1_000, this.isHandover() ? HANDOVER_MS : 0);
    if (this.shallEnd || (pair.onAir === null && Date.now() - this.disconnectedAt > windowMs)) {
      this.beginEnding();
      return;
    }
    if (!this.isIndexed) {
      await deps.index.add(record.id, this.stream);
      this.isIndexed = true;
    }
    await this.watchWorkers();
  }

  /** Silence here, and a publisher of the other key that sends to another node: its turn. */
  private yieldToOtherNode(): void {
    const { onAir } = this.pair;
    if (onAir === null || !onAir.isSilent() || !this.deps.nodes.hasPublisher(this.stream, onAir.key)) return;
    if (this.pair.yieldSilent()) this.disconnectedAt = onAir.lastArrival;
  }

  /** Nobody is on air, and a publisher at another node is expected to take over in a moment. */
  private isHandover(): boolean {
    return Date.now() - this.disconnectedAt < HANDOVER_MS && this.deps.nodes.hasPublisher(this.stream, null);
  }

  private tellAbsence(): void {
    if (!this.shallEnd && !this.isHandover()) this.ring.leave(this.disconnectedAt);
  }

  private async syncPublisher(broadcast: BroadcastId): Promise<void> {
    const { deps } = this;
    const publisher = this.pair.onAir;
    if (this.written === (publisher?.session ?? null)) return;
    const noted = publisher
      ? await noteArrival(deps.records, broadcast, this.bidOf(publisher, publisher.claim))
      : await noteDeparture(deps.records, broadcast, deps.node, this.disconnectedAt);
    if (publisher !== null) publisher.isNewcomer = false;
    this.written = publisher?.session ?? null;
    this.follow(noted);
    await deps.announce(broadcast, this.stream);
  }

  /** What others did meanwhile: ended or took over the broadcast, disabled or removed the stream. */
  private async check(broadcast: BroadcastId): Promise<void> {
    this.checkAt = performance.now() + CHECK_MS;
    this.isIndexed = false;
    const record = (await this.deps.records.get('broadcast', broadcast))?.value ?? null;
    this.follow({ standing: standingOf(record, this.deps.node), record });
    if (this.phase !== 'live') return;
    const stream = (await this.deps.records.get('stream', this.stream))?.value;
    if (stream?.status === 'enabled') return;
    this.shallEnd = true;
    this.dropPublishers('disabled');
  }

  private follow({ standing, record }: Noted): void {
    if (standing === 'ours' || this.phase !== 'live') return;
    if (standing === 'elsewhere' && record !== null) this.beginWaiting(record);
    else this.beginEnding();
  }

  private beginEnding(): void {
    if (this.id === null) return;
    this.phase = 'ending';
    this.dropPublishers('over');
    this.ending = new BroadcastEnding(this.id, this.stream, this.ring, this.deps, this.log);
    this.loop.nudge();
  }

  private async finish(): Promise<void> {
    if ((await this.ending?.step()) === 'again') await this.watchWorkers();
    else this.leave();
  }

  private async watchWorkers(): Promise<void> {
    const jobs = (await this.watch?.step(performance.now(), this.phase === 'ending')) ?? 0;
    if (jobs > 0) this.deps.metrics.jobs.add({}, jobs);
  }

  /** This node has nothing more to do with the broadcast. An ended ring still hands out what it holds to its readers. */
  private leave(): void {
    this.phase = 'over';
    if (this.ring.over === 'open') this.ring.close();
  }
}
