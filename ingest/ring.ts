// The ring of one broadcast: the last half minute of FLV tags with their arrival times, ready to send. Worker readers follow it by number.
import type { SessionId } from '../platform/contract/ids.ts';
import { encodeRingHeader, RING_HEADER_BYTES, RING_KINDS } from '../platform/contract/ring.ts';
import { RingGone } from './errors.ts';
import { type ClassifiedTag, headerSlotOf, isCut } from './flv-tag.ts';

/** `ms`: what is kept at least (and back to a key frame); `bytes`: what is kept at most. */
export type RingLimits = { ms: number; bytes: number };

/** Where a reader begins (platform/contract/ring.ts). */
export type RingStart =
  | { from: 'start' | 'live' }
  | { session: SessionId; tag: number }
  | { session: SessionId; timestamp: number };

type Session = { id: SessionId; since: number; frame: Buffer; hasVideo: boolean; nextTag: number };
/** Sequence headers in force at a place of the ring. A new object at each change, so that entries can share it. */
type Headers = { metadata: Buffer | null; video: Buffer | null; audio: Buffer | null };
type Entry = {
  session: Session;
  /** In force before this entry. */
  headers: Headers;
  tag: number;
  timestamp: number;
  arrival: number;
  /** A reader may begin here: a key frame; any audio while the session has no video. */
  isCut: boolean;
  frame: Buffer;
};

const NO_BYTES = Buffer.alloc(0);
const NO_HEADERS: Headers = { metadata: null, video: null, audio: null };
/** Entries dropped at the front before the array is cut. */
const COMPACT_AT = 4_096;

export class Ring {
  private readonly limits: RingLimits;
  private entries: Entry[] = [];
  /** Entries before this index are dropped. */
  private head = 0;
  /** Number of entries[0], counted over the life of the ring. */
  private base = 0;
  private heldBytes = 0;
  /** Numbers of the held entries where a reader may begin, ascending. */
  private cuts: number[] = [];
  private session: Session | null = null;
  private headers: Headers = NO_HEADERS;
  private wakers = new Set<() => void>();
  private state: 'open' | 'ended' | 'closed' = 'open';
  private isAway = false;

  constructor(limits: RingLimits) {
    this.limits = limits;
  }

  /** Payload and header bytes held. */
  get bytes(): number {
    return this.heldBytes;
  }

  /** A publisher connected: timestamps start anew, the old headers are void. */
  beginSession(id: SessionId, now: number): void {
    const frame = frameOf(RING_KINDS.session, 0, 0, now, 0, Buffer.from(id));
    this.session = { id, since: now, frame, hasVideo: false, nextTag: 0 };
    this.headers = NO_HEADERS;
    this.isAway = false;
  }

  /**
   * The publisher left and nobody stands by: readers get the `away` frame, also those that come later, until a session begins.
   * @param at when it left, ms since the epoch
   */
  leave(at: number): void {
    const { session } = this;
    if (session === null || this.state !== 'open' || this.isAway) return;
    this.isAway = true;
    const frame = frameOf(RING_KINDS.away, 0, 0, at, session.nextTag, NO_BYTES);
    this.append(session, { tag: session.nextTag, timestamp: 0, arrival: at, isCut: false, frame });
    this.wake();
  }

  /** Appends a copy of the tag's body. Ignored before the first session and after the end. */
  push(tag: ClassifiedTag, now: number): void {
    const { session } = this;
    if (session === null || this.state !== 'open') return;
    if (tag.kind === RING_KINDS.video) session.hasVideo = true;
    const frame = frameOf(tag.kind, tag.flags, tag.timestamp, now, session.nextTag, tag.body);
    const place = { tag: session.nextTag, timestamp: tag.timestamp, arrival: now };
    this.append(session, { ...place, isCut: isCut(tag, session.hasVideo), frame });
    const slot = headerSlotOf(tag);
    if (slot !== null) this.headers = { ...this.headers, [slot]: frame };
    this.trim(now);
    this.wake();
  }

  private append(session: Session, entry: Omit<Entry, 'session' | 'headers'>): void {
    session.nextTag += 1;
    if (entry.isCut) this.cuts.push(this.base + this.entries.length);
    this.entries.push({ session, headers: this.headers, ...entry });
    this.heldBytes += entry.frame.length;
  }

  /** The broadcast is over: readers get what is held, then the `end` frame. */
  end(): void {
    if (this.state === 'open') this.state = 'ended';
    this.wake();
  }

  /** The broadcast goes on elsewhere, or this node stops: readers are cut off without an `end` frame. */
  close(): void {
    this.state = 'closed';
    this.base += this.entries.length;
    this.entries = [];
    this.cuts = [];
    this.head = 0;
    this.heldBytes = 0;
    this.wake();
  }

  /** @throws RingGone when the place is not held any more, or never was */
  open(start: RingStart): RingReader {
    return new RingReader(this, this.locate(start));
  }

  /** For RingReader: frames from entry `number` on, at most about `maxBytes`. */
  read(number: number, maxBytes: number): { entries: Entry[]; lagged: boolean } {
    const index = number - this.base;
    if (index < this.head) return { entries: [], lagged: true };
    const entries: Entry[] = [];
    let bytes = 0;
    for (let i = index; i < this.entries.length && bytes < maxBytes; i++) {
      const entry = this.entries[i];
      if (entry === undefined) break;
      entries.push(entry);
      bytes += entry.frame.length;
    }
    return { entries, lagged: false };
  }

  /** For RingReader. */
  get over(): 'open' | 'ended' | 'closed' {
    return this.state;
  }

  /** For RingReader: session and headers in force where no entry is held yet. */
  get current(): { session: Session | null; headers: Headers } {
    return { session: this.session, headers: this.headers };
  }

  /** Resolves at the next change, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.wakers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.wakers.add(done);
      signal.addEventListener('abort', done);
    });
  }

  private wake(): void {
    for (const waker of [...this.wakers]) waker();
  }

  private locate(start: RingStart): number {
    if (this.state === 'closed') throw new RingGone();
    const index = 'from' in start ? this.cutFrom(start.from) : this.inSession(start);
    return this.base + index;
  }

  /** Oldest or newest place to begin; the end of the ring while there is none. */
  private cutFrom(from: 'start' | 'live'): number {
    const cut = from === 'start' ? this.cuts[0] : this.cuts.at(-1);
    return cut === undefined ? this.endIndex() : cut - this.base;
  }

  /** What comes next is read from here: the `away` frame again while nobody publishes. */
  private endIndex(): number {
    return this.isAway && this.entries.length > this.head ? this.entries.length - 1 : this.entries.length;
  }

  private inSession(start: Exclude<RingStart, { from: 'start' | 'live' }>): number {
    const { entries } = this;
    let last: { index: number; entry: Entry } | null = null;
    let first: number | null = null;
    let cut: number | null = null;
    for (let i = this.head; i < entries.length; i++) {
      const entry = entries[i];
      if (entry === undefined || entry.session.id !== start.session) continue;
      last = { index: i, entry };
      if ('tag' in start && entry.tag === start.tag) return i;
      if (!('tag' in start) && entry.isCut) {
        first ??= i;
        if (entry.timestamp <= start.timestamp) cut = i;
      }
    }
    if (!('tag' in start)) {
      const found = cut ?? first ?? (last === null ? null : last.index);
      if (found === null) throw new RingGone();
      return found;
    }
    // One past the last tag: the reader has everything of that session.
    if (last !== null && last.entry.tag + 1 === start.tag)
      return last.index + 1 === entries.length ? this.endIndex() : last.index + 1;
    if (last === null && this.session?.id === start.session && this.session.nextTag === start.tag)
      return this.endIndex();
    throw new RingGone();
  }

  /** Drops whole groups of pictures: by age down to the limit, by bytes at once. */
  private trim(now: number): void {
    while (true) {
      const next = this.secondCut();
      const isTooBig = this.heldBytes > this.limits.bytes;
      const after = next === null ? null : this.entries[next];
      const isOld = after !== null && after !== undefined && after.arrival <= now - this.limits.ms;
      if (!isTooBig && !isOld) break;
      // One group larger than the cap: all of it goes, its readers begin anew at the next key frame.
      this.dropTo(next ?? this.entries.length);
      if (this.head >= this.entries.length) break;
    }
    if (this.head >= COMPACT_AT) this.compact();
  }

  /** Index of the first place to begin behind the oldest entry. */
  private secondCut(): number | null {
    const oldest = this.base + this.head;
    const found = this.cuts[0] === oldest ? this.cuts[1] : this.cuts[0];
    return found === undefined ? null : found - this.base;
  }

  private dropTo(index: number): void {
    for (let i = this.head; i < index; i++) this.heldBytes -= this.entries[i]?.frame.length ?? 0;
    this.head = index;
    const oldest = this.base + index;
    let gone = 0;
    while ((this.cuts[gone] ?? oldest) < oldest) gone += 1;
    this.cuts.splice(0, gone);
    if (this.head >= this.entries.length) this.compact();
  }

  private compact(): void {
    this.base += this.head;
    this.entries = this.entries.slice(this.head);
    this.head = 0;
  }
}

/** Bytes handed over at a time. */
const BATCH_BYTES = 256 * 1024;

/** `lagged`: the ring moved past the reader; `closed`: cut off. Both end the body without an `end` frame. */
export type RingChunk = { bytes: Buffer } | 'lagged' | 'closed' | 'ended';

/** One reader's way along the ring. */
export class RingReader {
  private readonly ring: Ring;
  private number: number;
  private session: Session | null = null;
  private isDone = false;

  constructor(ring: Ring, number: number) {
    this.ring = ring;
    this.number = number;
  }

  /** What comes next; waits until there is something. After `end` bytes were handed over: `ended`. */
  async next(signal: AbortSignal): Promise<RingChunk> {
    while (!signal.aborted) {
      if (this.isDone) return 'ended';
      if (this.ring.over === 'closed') return 'closed';
      const { entries, lagged } = this.ring.read(this.number, BATCH_BYTES);
      if (lagged) return 'lagged';
      const frames: Buffer[] = entries.length > 0 ? this.framesOf(entries) : this.prefixAtEnd();
      if (entries.length === 0 && this.ring.over === 'ended') {
        this.isDone = true;
        frames.push(frameOf(RING_KINDS.end, 0, 0, Date.now(), 0, NO_BYTES));
      }
      if (frames.length > 0) return { bytes: Buffer.concat(frames) };
      await this.ring.changed(signal);
    }
    return 'closed';
  }

  /** The ring moved past what this reader would get next. */
  isLagging(): boolean {
    return this.ring.read(this.number, 0).lagged;
  }

  private framesOf(entries: Entry[]): Buffer[] {
    const frames: Buffer[] = [];
    for (const entry of entries) {
      if (entry.session !== this.session) frames.push(...this.enter(entry.session, entry.headers));
      frames.push(entry.frame);
    }
    this.number += entries.length;
    return frames;
  }

  /** A reader at the end of the ring learns its session at once. */
  private prefixAtEnd(): Buffer[] {
    const { session, headers } = this.ring.current;
    return this.session === null && session !== null ? this.enter(session, headers) : [];
  }

  private enter(session: Session, headers: Headers): Buffer[] {
    this.session = session;
    return [session.frame, headers.metadata, headers.video, headers.audio].filter((frame) => frame !== null);
  }
}

function frameOf(
  kind: number,
  flags: number,
  timestamp: number,
  arrival: number,
  tag: number,
  payload: Uint8Array,
): Buffer {
  const frame = Buffer.allocUnsafe(RING_HEADER_BYTES + payload.byteLength);
  frame.set(encodeRingHeader({ kind, flags, timestamp, arrival, tag, payload }), 0);
  frame.set(payload, RING_HEADER_BYTES);
  return frame;
}
