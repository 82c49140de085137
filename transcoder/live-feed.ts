// Turns ring frames into what an encoder can take: media that begins at a key frame and is continuous, and a `break` wherever it is not.
import type { SessionId } from '../platform/contract/ids.ts';
import { RING_KINDS, type RingFrame } from '../platform/contract/ring.ts';
import { FLV_AVC, metadataFrameRate, readAudioTag, readVideoTag } from './flv-tags.ts';
import { LiveSourceUnsupported } from './live-errors.ts';

/** Decoder configurations in force, as whole FLV payloads. */
export type FeedHeaders = { video: Uint8Array | null; audio: Uint8Array | null };

/** A frame of media. `pts` and `dts` in ms of the FLV clock, `arrival` in ms since the epoch. */
export type FeedMedia = {
  type: 'video' | 'audio';
  payload: Uint8Array;
  dts: number;
  pts: number;
  isKey: boolean;
  arrival: number;
};
export type FeedItem =
  | FeedMedia
  /** Timestamps, codec or source changed: what follows begins at a key frame and belongs to a new epoch. */
  | { type: 'break'; reason: BreakReason }
  /** `left`: the publisher's session is over. `silent`: nothing came for the time that next() was given. */
  | { type: 'away'; reason: 'left' | 'silent' }
  | { type: 'end' };
type BreakReason = 'session' | 'jump' | 'headers' | 'lost';

/** Without a frame for so long a broadcast counts as left, and gaps are named. Unit: ms. */
export const SILENCE_MS = 2_000;
/** A timer that fires so late stood still together with what it watches. Unit: ms. */
const HELD_UP_MS = 250;
/** Timestamps further apart than this are no longer one timeline. Unit: ms. */
export const JUMP_MS = 1_000;

const equal = (a: Uint8Array | null, b: Uint8Array): boolean => a !== null && Buffer.compare(a, b) === 0;

export class LiveFeed {
  readonly headers: FeedHeaders = { video: null, audio: null };
  session: SessionId | null = null;
  /** What the publisher claims, frames per second. */
  claimedFps: number | null = null;
  /** What the broadcast is made of; `any` until its first epoch decides: with video as soon as there is any, else sound alone. */
  kind: 'any' | 'video' | 'audio' = 'any';
  readonly #frames: AsyncIterator<RingFrame | 'lost', void>;
  #waiting: FeedItem[] = [];
  #pending: Promise<IteratorResult<RingFrame | 'lost', void>> | null = null;
  /** Timestamp of the newest frame of the track that leads: video, or audio alone. */
  #last: number | null = null;
  #needsKey = true;
  /** Something was handed out since the last break. */
  #isRunning = false;
  #isAway = false;

  constructor(frames: AsyncIterator<RingFrame | 'lost', void>) {
    this.#frames = frames;
  }

  /**
   * @param limitMs after so long without an item it is `away` (silent); the feed goes on all the same
   * @throws LiveSourceUnsupported at video that is not H.264
   */
  async next(limitMs = Number.POSITIVE_INFINITY): Promise<FeedItem> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const waiting = this.#waiting.shift();
      if (waiting !== undefined) return waiting;
      let result = await this.#frame(deadline);
      // This process was frozen or starved, and what came meanwhile is still to be read: the wait begins anew, once.
      if (result === 'late' && performance.now() - deadline > HELD_UP_MS) {
        result = await this.#frame(performance.now() + limitMs);
      }
      if (result === 'late') return { type: 'away', reason: 'silent' };
      const { done, value } = result;
      if (done || value === undefined) return { type: 'end' };
      if (value === 'lost') this.#break('lost');
      else this.#take(value);
    }
  }

  /** Frames come many times a second: a plain timer costs little, an aborted wait is an error object each time. */
  async #frame(deadline: number): Promise<IteratorResult<RingFrame | 'lost', void> | 'late'> {
    this.#pending ??= this.#frames.next();
    const pending = this.#pending;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      if (deadline === Number.POSITIVE_INFINITY) return;
      timer = setTimeout(() => resolve('late'), Math.max(0, deadline - performance.now()));
    });
    try {
      const result = await Promise.race([pending, late]);
      if (result !== 'late') this.#pending = null;
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Puts items back to the front, in their order. */
  unread(items: FeedItem[]): void {
    this.#waiting = [...items, ...this.#waiting];
  }

  async close(): Promise<void> {
    await this.#frames.return?.();
  }

  #break(reason: BreakReason): void {
    if (this.#isRunning) this.#waiting.push({ type: 'break', reason });
    this.#isRunning = false;
    this.#needsKey = true;
    this.#last = null;
  }

  #take(frame: RingFrame): void {
    if (frame.kind === RING_KINDS.session) this.#takeSession(frame);
    else if (frame.kind === RING_KINDS.away) this.#leave();
    else if (frame.kind === RING_KINDS.script) this.claimedFps = metadataFrameRate(frame.payload) ?? this.claimedFps;
    else if (frame.kind === RING_KINDS.video) this.#takeVideo(frame);
    else if (frame.kind === RING_KINDS.audio) this.#takeAudio(frame);
  }

  /** The ring repeats session and headers on each connection: only a change means something. */
  #takeSession(frame: RingFrame): void {
    const session = Buffer.from(frame.payload).toString('utf8') as SessionId;
    if (session === this.session) return;
    this.#isAway = false;
    if (this.session !== null) this.#break('session');
    this.session = session;
    this.headers.video = null;
    this.headers.audio = null;
    this.claimedFps = null;
  }

  /** Repeated by a ring that is asked again meanwhile: one is enough. */
  #leave(): void {
    if (!this.#isAway) this.#waiting.push({ type: 'away', reason: 'left' });
    this.#isAway = true;
    this.#isRunning = false;
    this.#needsKey = true;
    this.#last = null;
  }

  #takeVideo(frame: RingFrame): void {
    if (this.kind === 'audio') return;
    const tag = readVideoTag(frame.payload);
    if (tag === null) return;
    if (tag.codec !== FLV_AVC) {
      throw new LiveSourceUnsupported(tag.codec < 0 ? 'an enhanced codec' : `FLV video codec ${tag.codec}`);
    }
    if (tag.isConfig) {
      if (this.headers.video === null ? this.#isRunning : !equal(this.headers.video, frame.payload)) {
        this.#break('headers');
      }
      this.headers.video = frame.payload;
      return;
    }
    if (tag.data.length === 0) return;
    const dts = frame.timestamp;
    if (this.#last !== null && Math.abs(dts - this.#last) > JUMP_MS) this.#break('jump');
    if (this.#needsKey && !(tag.isKey && this.headers.video !== null)) return;
    this.#needsKey = false;
    this.#isRunning = true;
    this.#last = dts;
    const pts = dts + tag.ctsMs;
    this.#waiting.push({ type: 'video', payload: frame.payload, dts, pts, isKey: tag.isKey, arrival: frame.arrival });
  }

  #takeAudio(frame: RingFrame): void {
    const tag = readAudioTag(frame.payload);
    if (tag === null) return;
    if (tag.isConfig) {
      if (this.headers.audio !== null && !equal(this.headers.audio, frame.payload)) this.#break('headers');
      this.headers.audio = frame.payload;
      return;
    }
    if (tag.data.length === 0) return;
    const dts = frame.timestamp;
    if (this.#isAlone) this.#goOnAlone(dts);
    else if (this.#needsKey) return;
    this.#waiting.push({ type: 'audio', payload: frame.payload, dts, pts: dts, isKey: true, arrival: frame.arrival });
  }

  /** Sound leads where there is no picture. */
  get #isAlone(): boolean {
    return this.kind === 'audio' || (this.kind === 'any' && this.headers.video === null);
  }

  #goOnAlone(dts: number): void {
    if (this.#last !== null && Math.abs(dts - this.#last) > JUMP_MS) this.#break('jump');
    this.#isRunning = true;
    this.#last = dts;
  }
}
