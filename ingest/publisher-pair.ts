// The two publishers a stream may have, primary and backup: which of them is on air, and when they change places. No clock, socket or record
// of its own: the broadcast tells it what happens, the ring gets what it decides.
import type { SessionId } from '../platform/contract/ids.ts';
import type { KeyKind } from '../platform/contract/records.ts';
import type { ClassifiedTag } from './flv-tag.ts';
import type { Claim, Clock, Publisher } from './publisher.ts';
import type { EndReason } from './rtmp-protocol.ts';

/** Where the media of whoever is on air goes: the ring. */
export interface OnAirSink {
  beginSession(session: SessionId, at: number): void;
  push(tag: ClassifiedTag, arrival: number): void;
}

export class PublisherPair {
  private readonly sink: () => OnAirSink;
  private readonly clock: Clock;
  private readonly onChange: () => void;
  private readonly byKey: Record<KeyKind, Publisher | null> = { primary: null, backup: null };
  private chosen: Publisher | null = null;
  /** The one on air waits for its first key frame. */
  private isWaiting = false;
  /** What arrived up to here is not sent when it begins. Unit: ms since the epoch. */
  private waitsAfter = Number.NEGATIVE_INFINITY;
  private wanted: KeyKind | null = null;
  private wantedAt = 0;
  /** Another node's publisher is on air: both of ours stand by. */
  private isHeld = false;
  /** Arrival of the last tag that went out. Unit: ms since the epoch. */
  private lastOut = Number.NEGATIVE_INFINITY;

  /**
   * @param sink asked each time
   * @param onChange called when somebody else, or nobody, is on air, and when a wanted change is due while another node is on air
   */
  constructor(sink: () => OnAirSink, clock: Clock, onChange: () => void) {
    this.sink = sink;
    this.clock = clock;
    this.onChange = onChange;
  }

  /** Whose media goes out, or will from its next key frame on. */
  get onAir(): Publisher | null {
    return this.chosen;
  }
  /** Connected publishers, on air or standing by. */
  get all(): Publisher[] {
    return [this.byKey.primary, this.byKey.backup].filter((publisher) => publisher !== null);
  }
  /** The other one is connected and sends. */
  get hasStandby(): boolean {
    return this.all.some((publisher) => publisher !== this.chosen && !publisher.isSilent());
  }
  /** While another node is on air: the publisher that shall take over and has sent a key frame since it was wanted. */
  dueByCommand(): Publisher | null {
    const publisher = this.wanted === null ? null : this.byKey[this.wanted];
    return (publisher?.buffer.newestCut ?? Number.NEGATIVE_INFINITY) > this.wantedAt ? publisher : null;
  }
  with(key: KeyKind): Publisher | null {
    return this.byKey[key];
  }

  /** A newer publisher of the same key replaces the older one; of the other key it stands by, unless nobody is on air. */
  join(publisher: Publisher): void {
    const before = this.byKey[publisher.key];
    this.byKey[publisher.key] = publisher;
    if (!this.isHeld && (this.chosen === null || this.chosen === before)) {
      this.chosen = publisher;
      this.isWaiting = false;
      this.sink().beginSession(publisher.session, publisher.since);
    } else publisher.isNewcomer = this.isHeld;
    before?.connection.close('replaced');
    this.onChange();
  }

  receive(publisher: Publisher, tag: ClassifiedTag): void {
    const arrival = this.clock.wall();
    if (publisher === this.chosen && !this.isWaiting) {
      publisher.buffer.observe(tag);
      this.send(tag, arrival);
      return;
    }
    if (this.byKey[publisher.key] !== publisher || !publisher.buffer.push(tag, arrival)) return;
    if (this.isHeld) {
      if (this.wanted === publisher.key) this.onChange();
    } else if (publisher === this.chosen) this.sendHeld(publisher);
    else if (this.wanted === publisher.key) this.takeOver(publisher, 'command', arrival - 1);
    else if (this.chosen === null || this.chosen.isSilent()) this.takeOver(publisher, 'standby', this.lastOut);
  }

  /** Its connection ended. The other one, when it sends, takes over. */
  leave(publisher: Publisher): void {
    if (this.byKey[publisher.key] === publisher) this.byKey[publisher.key] = null;
    if (this.chosen === publisher) {
      this.chosen = null;
      this.replaceSilent();
    }
    this.onChange();
  }

  /** Looks for silence; to be called often. */
  tick(): void {
    if (!this.isHeld && (this.chosen === null || this.chosen.isSilent())) this.replaceSilent();
  }

  /** @returns whether a change is to come: that publisher is connected here and not on air */
  switchTo(key: KeyKind): boolean {
    const target = this.byKey[key];
    if (target === null || target === this.chosen) return false;
    this.wanted = key;
    this.wantedAt = this.clock.wall();
    return true;
  }

  /** The one on air is silent and steps down for a publisher at another node. */
  yieldSilent(): boolean {
    if (this.chosen === null || !this.chosen.isSilent()) return false;
    this.stepDown();
    return true;
  }

  /** Another node's publisher is on air. */
  hold(): void {
    this.isHeld = true;
    this.stepDown();
  }

  /** This node is on air again, with `publisher`. @param after of what it holds, only what arrived later is sent; ms since the epoch */
  release(publisher: Publisher, claim: Claim, after: number): void {
    this.isHeld = false;
    this.takeOver(publisher, claim, after);
  }

  drop(reason: EndReason, isMeant: (publisher: Publisher) => boolean = () => true): void {
    for (const publisher of this.all.filter(isMeant)) publisher.connection.close(reason);
  }

  private replaceSilent(): void {
    const other = this.all.find((publisher) => publisher !== this.chosen && !publisher.isSilent());
    if (other !== undefined) this.takeOver(other, 'standby', this.lastOut);
  }

  private takeOver(publisher: Publisher, claim: Claim, after: number): void {
    if (publisher !== this.chosen) this.stepDown();
    this.wanted = null;
    this.chosen = publisher;
    publisher.claim = claim;
    publisher.since = this.clock.wall();
    publisher.isNewcomer = false;
    this.isWaiting = true;
    this.waitsAfter = after;
    this.sendHeld(publisher);
    this.onChange();
  }

  /** No picture is sent twice: what was held counts from the last one that went out. */
  private sendHeld(publisher: Publisher): void {
    const held = publisher.buffer.takeAfter(this.waitsAfter);
    if (held === null) return;
    this.isWaiting = false;
    this.sink().beginSession(publisher.session, publisher.since);
    for (const { tag, arrival } of held) this.send(tag, arrival);
  }

  private stepDown(): void {
    const { chosen } = this;
    this.chosen = null;
    if (chosen !== null && this.byKey[chosen.key] === chosen) chosen.stepDown();
  }

  private send(tag: ClassifiedTag, arrival: number): void {
    this.lastOut = arrival;
    this.sink().push(tag, arrival);
  }
}
