// One broadcast at its ingest: publishers come and go, the ring stays; a loop keeps record, queue and window in step with them.
import { type BroadcastId, type NodeId, newId, type SessionId, type StreamId } from '../platform/contract/ids.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay, within } from '../platform/runtime/waits.ts';
import {
  type BroadcastRecords,
  noteArrival,
  noteDeparture,
  noteEnding,
  openBroadcast,
  type Standing,
  standingOf,
} from './broadcast-records.ts';
import { classifyTag, type FlvTag } from './flv-tag.ts';
import type { IngestMetrics } from './metrics.ts';
import { RateMeter } from './rate-meter.ts';
import { Ring, type RingLimits } from './ring.ts';
import type { EndReason, Publication, PublisherConnection } from './rtmp-protocol.ts';
import { type TermSource, TermWatch } from './term-watch.ts';

export type BroadcastDeps = {
  node: NodeId;
  records: BroadcastRecords;
  terms: TermSource;
  /** Puts a running broadcast into the live index; takes it out. */
  index: { add(broadcast: BroadcastId, stream: StreamId): Promise<void> };
  /** Hints to other roles that broadcast and stream changed. Never throws. */
  announce(broadcast: BroadcastId, stream: StreamId): Promise<void>;
  metrics: IngestMetrics;
  log: Logger;
  ringLimits: RingLimits;
};

type Attached = {
  session: SessionId;
  since: number;
  connection: PublisherConnection;
  keyHash: string;
  meter: RateMeter;
};

const STEP_MS = 500;
/** How often record and stream are read without a hint. Unit: ms. */
const CHECK_MS = 10_000;
/** How often an ending broadcast's record is read, and how long its ring waits for the worker. Unit: ms. */
const ENDING_CHECK_MS = 1_000;
const ENDING_LIMIT_MS = 120_000;
const REPORT_EVERY_MS = 10_000;

export class LiveBroadcast {
  readonly stream: StreamId;
  readonly ring: Ring;
  private readonly deps: BroadcastDeps;
  private readonly onOver: () => void;
  private log: Logger;
  private phase: 'opening' | 'live' | 'ending' | 'over' = 'opening';
  private broadcast: BroadcastId | null = null;
  private windowMs = 0;
  private publisher: Attached | null = null;
  private disconnectedAt = Date.now();
  /** Session that the record names; null: none. */
  private written: SessionId | null = null;
  private isIndexed = false;
  private isEndingWritten = false;
  private shallEnd = false;
  private checkAt = performance.now() + CHECK_MS;
  private endingSince = 0;
  private watch: TermWatch | null = null;
  private wake = new AbortController();
  private isClosing = false;
  private running: Promise<void> | null = null;
  private failures = 0;
  private reportedAt = Number.NEGATIVE_INFINITY;

  constructor(stream: StreamId, deps: BroadcastDeps, onOver: () => void) {
    this.stream = stream;
    this.deps = deps;
    this.onOver = onOver;
    this.ring = new Ring(deps.ringLimits);
    this.log = deps.log.child({ stream });
  }

  /** Known once the record is written. */
  get id(): BroadcastId | null {
    return this.broadcast;
  }
  get hasPublisher(): boolean {
    return this.publisher !== null;
  }
  /** Hash of the key the publisher came with. */
  get keyHash(): string | null {
    return this.publisher?.keyHash ?? null;
  }
  /** A publisher may join; otherwise a new broadcast begins. */
  get isOpen(): boolean {
    return (this.phase === 'opening' || this.phase === 'live') && !this.shallEnd;
  }
  /** Of the publisher, last seconds. Unit: bit/s. */
  get bitrateBps(): number {
    return this.publisher?.meter.bitsPerSecond(performance.now()) ?? 0;
  }

  /** A newly admitted publisher takes the broadcast over; an older one is cut off. */
  attach(connection: PublisherConnection, keyHash: string): Publication {
    this.publisher?.connection.close('replaced');
    const now = performance.now();
    const attached: Attached = {
      session: newId<SessionId>(),
      since: Date.now(),
      connection,
      keyHash,
      meter: new RateMeter(now),
    };
    this.publisher = attached;
    this.ring.beginSession(attached.session, attached.since);
    this.log.info('publisher connected', { session: attached.session, remote: connection.remote });
    this.running ??= this.run();
    this.nudge();
    return {
      onTag: (tag) => this.receive(attached, tag),
      onEnd: (reason) => this.detach(attached, reason),
    };
  }

  /** Cuts the publisher off; the broadcast waits its window for the next. */
  dropPublisher(reason: EndReason): void {
    this.publisher?.connection.close(reason);
  }

  /** Reads record and stream again soon. */
  requestCheck(): void {
    this.checkAt = performance.now();
    this.nudge();
  }

  /** Stops the loop, notes the departure, cuts readers off. */
  async close(): Promise<void> {
    this.isClosing = true;
    this.dropPublisher('shutdown');
    this.nudge();
    await this.running;
    if (this.phase === 'live' && this.broadcast !== null && this.written !== null)
      await within(
        noteDeparture(this.deps.records, this.broadcast, this.deps.node, this.disconnectedAt),
        3_000,
        'leaving',
      );
    this.ring.close();
  }

  private receive(attached: Attached, tag: FlvTag): void {
    if (this.publisher !== attached) return;
    this.deps.metrics.received.add({}, tag.body.length);
    attached.meter.add(tag.body.length, performance.now());
    const classified = classifyTag(tag);
    if (classified !== null) this.ring.push(classified, Date.now());
  }

  private detach(attached: Attached, reason: EndReason): void {
    this.deps.metrics.dropped.add({ reason });
    this.log.info('publisher left', { session: attached.session, reason });
    if (this.publisher !== attached) return;
    this.publisher = null;
    this.disconnectedAt = Date.now();
    this.nudge();
  }

  private nudge(): void {
    this.wake.abort();
  }

  private async run(): Promise<void> {
    while (!this.isStopped()) {
      this.wake = new AbortController();
      try {
        await this.step();
        this.failures = 0;
      } catch (thrown) {
        this.report(thrown);
      }
      if (!this.isStopped()) await delay(STEP_MS, this.wake.signal);
    }
    if (this.phase === 'over') this.onOver();
  }

  private isStopped(): boolean {
    return this.isClosing || this.phase === 'over';
  }

  private report(thrown: unknown): void {
    this.failures += 1;
    const now = performance.now();
    if (now - this.reportedAt < REPORT_EVERY_MS) return;
    this.reportedAt = now;
    this.log.warn('broadcast step failed', { reason: messageOf(thrown), failures: this.failures });
  }

  private async step(): Promise<void> {
    if (this.phase === 'opening') await this.open();
    if (this.phase === 'live') await this.goOn();
    if (this.phase === 'ending') await this.finish();
  }

  private async open(): Promise<void> {
    const { publisher, deps } = this;
    if (publisher === null) {
      this.leave();
      return;
    }
    const { session, since } = publisher;
    const opened = await openBroadcast(deps.records, this.stream, { node: deps.node, session, since });
    if (opened === null) {
      this.dropPublisher('disabled');
      this.leave();
      return;
    }
    this.adopt(opened.record, opened.isNew, session);
    await deps.announce(opened.record.id, this.stream);
  }

  private adopt(record: BroadcastRecord, isNew: boolean, session: SessionId): void {
    this.broadcast = record.id;
    this.windowMs = record.reconnect_window_s * 1_000;
    this.written = session;
    this.log = this.log.child({ broadcast: record.id });
    this.watch = new TermWatch(record.id, isNew, this.deps.terms, this.log);
    this.phase = 'live';
    this.log.info(isNew ? 'broadcast opened' : 'broadcast resumed', { session, term: record.term });
  }

  private async goOn(): Promise<void> {
    const { broadcast, deps } = this;
    if (broadcast === null) return;
    await this.syncPublisher(broadcast);
    if (this.phase === 'live' && performance.now() >= this.checkAt) await this.check(broadcast);
    if (this.phase !== 'live') return;
    const isGone = this.publisher === null && Date.now() - this.disconnectedAt > this.windowMs;
    if (isGone || this.shallEnd) {
      this.beginEnding();
      return;
    }
    if (!this.isIndexed) {
      await deps.index.add(broadcast, this.stream);
      this.isIndexed = true;
    }
    await this.watchTerm();
  }

  private async syncPublisher(broadcast: BroadcastId): Promise<void> {
    const { publisher, deps } = this;
    if (this.written === (publisher?.session ?? null)) return;
    const standing = publisher
      ? await noteArrival(deps.records, broadcast, {
          node: deps.node,
          session: publisher.session,
          since: publisher.since,
        })
      : await noteDeparture(deps.records, broadcast, deps.node, this.disconnectedAt);
    this.written = publisher?.session ?? null;
    this.follow(standing);
    await deps.announce(broadcast, this.stream);
  }

  /** What others did meanwhile: ended or took over the broadcast, disabled or removed the stream. */
  private async check(broadcast: BroadcastId): Promise<void> {
    this.checkAt = performance.now() + CHECK_MS;
    this.isIndexed = false;
    const record = (await this.deps.records.get('broadcast', broadcast))?.value ?? null;
    this.follow(standingOf(record, this.deps.node));
    if (this.phase !== 'live') return;
    const stream = (await this.deps.records.get('stream', this.stream))?.value;
    if (stream?.status === 'enabled') return;
    this.shallEnd = true;
    this.dropPublisher('disabled');
  }

  private follow(standing: Standing): void {
    if (standing === 'ours' || this.phase !== 'live') return;
    this.dropPublisher(standing === 'over' ? 'over' : 'elsewhere');
    if (standing === 'elsewhere') this.leave();
    else this.beginEnding();
  }

  private beginEnding(): void {
    this.phase = 'ending';
    this.endingSince = performance.now();
    this.checkAt = Number.NEGATIVE_INFINITY;
    this.nudge();
  }

  private async finish(): Promise<void> {
    const { broadcast, deps } = this;
    if (broadcast === null) return;
    if (!this.isEndingWritten) {
      if ((await noteEnding(deps.records, broadcast, deps.node)) === 'elsewhere') {
        this.leave();
        return;
      }
      this.isEndingWritten = true;
      this.ring.end();
      this.log.info('broadcast ends');
      await deps.announce(broadcast, this.stream);
    }
    const now = performance.now();
    if (now >= this.checkAt) {
      this.checkAt = now + ENDING_CHECK_MS;
      const record = (await deps.records.get('broadcast', broadcast))?.value;
      if (record === undefined || record.status === 'ended' || now - this.endingSince > ENDING_LIMIT_MS) {
        this.leave();
        return;
      }
    }
    await this.watchTerm();
  }

  private async watchTerm(): Promise<void> {
    if (await this.watch?.step(performance.now())) this.deps.metrics.jobs.add();
  }

  /** This node has nothing more to do with the broadcast. An ended ring still hands out what it holds to its readers. */
  private leave(): void {
    this.phase = 'over';
    if (this.ring.over === 'open') this.ring.close();
  }
}
