// One connected publisher of a stream: its connection, what it sends, what the doctor says of it.
import { newId, type SessionId } from '../platform/contract/ids.ts';
import type { LatencyMode } from '../platform/contract/latency.ts';
import type { StreamSignal } from '../platform/contract/nodes.ts';
import type { KeyKind } from '../platform/contract/records.ts';
import type { ClassifiedTag } from './flv-tag.ts';
import { RateMeter } from './rate-meter.ts';
import type { PublisherConnection } from './rtmp-protocol.ts';
import { SignalDoctor } from './signal-doctor.ts';
import { StandbyBuffer } from './standby-buffer.ts';
import type { FoundKey } from './stream-keys.ts';

/** Two clocks. `wall`: ms since the epoch; `steady`: ms, never set back. */
export type Clock = { wall(): number; steady(): number };
export const systemClock: Clock = { wall: () => Date.now(), steady: () => performance.now() };

/** A publisher without media for this long is replaced by the one that stands by. Unit: ms. */
export const SILENT_MS = 2_000;
/** The bit rate limit is meant over this long. Unit: s. */
const LIMIT_WINDOW_S = 10;

/** As StreamSignal takes it. */
const ADVICE_AT_MOST = 10;

/** Why a publisher goes on air: it has just come; the other one is gone; somebody wants it. */
export type Claim = 'new' | 'standby' | 'command';

export class Publisher {
  readonly connection: PublisherConnection;
  readonly key: KeyKind;
  readonly keyHash: string;
  readonly doctor: SignalDoctor;
  readonly buffer = new StandbyBuffer();
  /** Session that it has on air, or will have: a new one each time it steps down. */
  session: SessionId = newId<SessionId>();
  /** When it connected or went on air, ms since the epoch. */
  since: number;
  claim: Claim = 'new';
  /** Until it was weighed against the publisher on air once. */
  isNewcomer = true;
  /** Of its last media, or of its arrival. Unit: ms since the epoch. */
  lastArrival: number;
  private lastAt: number;
  private readonly meter: RateMeter;
  private readonly limitMeter: RateMeter;
  private readonly clock: Clock;

  constructor(connection: PublisherConnection, found: Pick<FoundKey, 'key' | 'hash'>, clock: Clock) {
    this.connection = connection;
    this.key = found.key;
    this.keyHash = found.hash;
    this.clock = clock;
    this.since = clock.wall();
    this.lastArrival = this.since;
    this.lastAt = clock.steady();
    this.meter = new RateMeter(this.lastAt);
    this.limitMeter = new RateMeter(this.lastAt, LIMIT_WINDOW_S);
    this.doctor = new SignalDoctor(this.lastAt);
  }

  /** Notes media that came now. */
  note(bytes: number, tag: ClassifiedTag | null): void {
    this.lastAt = this.clock.steady();
    this.lastArrival = this.clock.wall();
    this.meter.add(bytes, this.lastAt);
    this.limitMeter.add(bytes, this.lastAt);
    if (tag !== null) this.doctor.add(tag, this.lastAt);
  }

  isSilent(): boolean {
    return this.clock.steady() - this.lastAt > SILENT_MS;
  }

  /** Over the last seconds. Unit: bit/s. */
  get bitrateBps(): number {
    return this.meter.bitsPerSecond(this.clock.steady());
  }

  /** Whether it sent more than `bps` over ten seconds. */
  isOver(bps: number): boolean {
    return this.limitMeter.bitsPerWindow(this.clock.steady()) > bps;
  }

  /** @param mode of the broadcast. @param more advice on other things than the signal */
  signal(mode: LatencyMode, hasStandby: boolean, more: string[]): StreamSignal {
    const found = this.doctor.report(this.clock.steady(), mode);
    const advice = [...found.advice, ...more].slice(0, ADVICE_AT_MOST);
    return { ...found, advice, key: this.key, has_standby: hasStandby, bitrate_bps: this.bitrateBps };
  }

  /** No longer on air: what it sends from now on would be another session. */
  stepDown(): void {
    this.session = newId<SessionId>();
    this.buffer.clear();
  }
}
