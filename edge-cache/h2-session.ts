// One HTTP/2 connection: its frames are read, the streams and the output are told, and what goes against the rules ends it. Source: RFC 9113.
import type { Duplex } from 'node:stream';
import type { Engine } from './engine.ts';
import { Budget, FAULTS, type Fault } from './h2-budget.ts';
import {
  CODE,
  FIRST_WINDOW_BYTES,
  FLAG,
  FRAME,
  FRAME_BYTES,
  type Frame,
  FrameReader,
  type FrameSink,
  goawayFrame,
  LARGEST_WINDOW_BYTES,
  pingAck,
  SETTING,
  settingsAck,
  settingsFrame,
  unpad,
  windowFrame,
} from './h2-frames.ts';
import type { HeaderLimits } from './h2-header-decoder.ts';
import { Output } from './h2-output.ts';
import { RequestReader } from './h2-request.ts';
import { Streams, streamLimits } from './h2-streams.ts';

export type SessionParts = {
  engine: Engine;
  headerLimits: HeaderLimits;
  /** No byte in either direction for this long ends it. Unit: ms. */
  idleMs: number;
  /** The preface, and each frame and header block from its first byte on, are whole by then. Unit: ms. */
  headersMs: number;
  report: (thrown: unknown) => void;
  /** The edge has ended the connection. */
  ended: (reason: string) => void;
};

/** A header block as sent: HEADERS and its CONTINUATIONs. */
const BLOCK_BYTES = 32_768;
const CONTINUATIONS = 8;
/** What was read of bodies is given back to the connection's window in steps. Unit: bytes. */
const GIVEN_BACK_BYTES = 32_768;
/** GOAWAY has this long to reach the peer. Unit: ms. */
const FAREWELL_MS = 1_000;

/** A header block of which more is to come. */
type Block = { stream: number; isEnd: boolean; pieces: Buffer[]; bytes: number; frames: number };

export class H2Session implements FrameSink {
  readonly #socket: Duplex;
  readonly #parts: SessionParts;
  readonly #reader = new FrameReader(this);
  readonly #budget = new Budget();
  readonly #heads: RequestReader;
  readonly #output: Output;
  readonly #streams: Streams;
  #block: Block | null = null;
  #hasSettings = false;
  #inWindow = FIRST_WINDOW_BYTES;
  #isDraining = false;
  #isOver = false;
  #isFaulty = false;
  #endsAtMs: number | null = null;
  // Read by tick().
  #reads = 0;
  #frames = 0;
  #seen = { reads: 0, writes: 0, frames: 0, activeMs: -1, takenMs: 0, wholeMs: 0 };

  /**
   * @param socket has agreed on HTTP/2; nothing has been read from it
   * @param client address of the peer
   */
  constructor(socket: Duplex, client: string, parts: SessionParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#heads = new RequestReader(parts.headerLimits);
    const { engine, report } = parts;
    this.#output = new Output(socket, {
      sent: (answer) => this.#streams.sent(answer),
      used: (answer) => this.#streams.used(answer),
      moved: () => this.#streams.moved(),
    });
    const drained = (): void => this.#finish();
    this.#streams = new Streams({ engine, output: this.#output, budget: this.#budget, client, report, drained });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => this.#left());
    socket.on('close', () => this.#left());
    // A broken connection is the peer's affair; 'close' follows.
    socket.on('error', () => undefined);
    this.#output.control(
      settingsFrame([
        [SETTING.concurrentStreams, streamLimits.streams],
        [SETTING.headerListBytes, parts.headerLimits.listBytes],
        [SETTING.noPriorities, 1],
      ]),
    );
    this.#output.flush();
  }

  /** No new requests; the connection ends with its last answer. */
  drain(): void {
    if (this.#isDraining || this.#isOver) return;
    this.#isDraining = true;
    this.#output.control(goawayFrame(this.#streams.last, CODE.none));
    this.#streams.drain();
    this.#output.flush();
  }

  /** Looks after limits in time. Called about once a second. */
  tick(nowMs: number): void {
    const seen = this.#seen;
    if (seen.activeMs === -1) Object.assign(seen, { activeMs: nowMs, takenMs: nowMs, wholeMs: nowMs });
    if (this.#isOver) {
      if (this.#isFaulty || !this.#output.isWriting) this.#endsAtMs ??= nowMs + FAREWELL_MS;
      if (this.#endsAtMs !== null && nowMs >= this.#endsAtMs) this.#socket.destroy();
      return;
    }
    this.#budget.renew(nowMs);
    const { writes } = this.#output;
    if (this.#reads !== seen.reads || writes !== seen.writes) seen.activeMs = nowMs;
    if (writes !== seen.writes || !this.#output.isWriting) seen.takenMs = nowMs;
    if (this.#frames !== seen.frames || !(this.#reader.isWaiting || this.#block !== null)) seen.wholeMs = nowMs;
    Object.assign(seen, { reads: this.#reads, writes, frames: this.#frames });
    if (nowMs - seen.wholeMs >= this.#parts.headersMs) this.#end(FAULTS.slow);
    else if (nowMs - seen.activeMs >= this.#parts.idleMs || nowMs - seen.takenMs >= this.#parts.idleMs) {
      this.#parts.ended('idle');
      this.#socket.destroy();
    } else this.#streams.tick(nowMs);
    this.#flush();
  }

  frame(frame: Frame): boolean {
    const fault = this.#judge(frame);
    if (fault !== null) this.#end(fault);
    return !this.#isOver;
  }

  broken(code: number): void {
    this.#end({ code, reason: 'protocol' });
  }

  #read(chunk: Buffer): void {
    // What comes after a fault is read so that the peer hears of it, and thrown away.
    if (this.#isOver) return;
    this.#reads += 1;
    try {
      this.#reader.read(chunk);
    } catch (thrown) {
      // A mistake of ours in one viewer's frames must not end the others' connections.
      this.#parts.report(thrown);
      this.#end(FAULTS.internal);
    }
    this.#flush();
  }

  #flush(): void {
    if (this.#isOver) return;
    this.#output.flush();
    if (this.#output.isFlooded) this.#end(FAULTS.flood);
  }

  #judge(frame: Frame): Fault | null {
    const { type, stream } = frame;
    if (this.#block !== null && (type !== FRAME.continuation || stream !== this.#block.stream)) return FAULTS.protocol;
    if (!this.#hasSettings && (type !== FRAME.settings || (frame.flags & FLAG.ack) !== 0)) return FAULTS.protocol;
    // A block is whole with its last frame, whatever has come of it before.
    if (type !== FRAME.continuation) this.#frames += 1;
    if (type === FRAME.headers) return this.#headers(frame);
    if (type === FRAME.windowUpdate) return this.#windowUpdate(frame);
    if (type === FRAME.data) return this.#data(frame);
    if (type === FRAME.continuation) return this.#continuation(frame);
    if (type === FRAME.reset) return this.#reset(frame);
    const flood = this.#budget.chore();
    if (flood !== null) return flood;
    if (type === FRAME.settings) return this.#settings(frame);
    if (type === FRAME.ping) return this.#ping(frame);
    if (type === FRAME.priority) return this.#priority(frame);
    if (type === FRAME.goaway) return stream === 0 && lengthOf(frame) >= 8 ? null : FAULTS.protocol;
    // What a client may not send, and what this edge does not know. Source: sections 6.6 and 4.1.
    return type === FRAME.pushPromise ? FAULTS.protocol : null;
  }

  #headers(frame: Frame): Fault | null {
    if (frame.stream === 0 || !unpad(frame)) return FAULTS.protocol;
    if ((frame.flags & FLAG.priority) !== 0) {
      if (lengthOf(frame) < 5 || dependsOnItself(frame)) return FAULTS.protocol;
      frame.from += 5;
    }
    const isEnd = (frame.flags & FLAG.endStream) !== 0;
    if ((frame.flags & FLAG.endHeaders) !== 0) return this.#headed(frame.stream, isEnd, frame);
    this.#block = { stream: frame.stream, isEnd, pieces: [], bytes: 0, frames: 0 };
    return this.#gather(this.#block, frame);
  }

  #continuation(frame: Frame): Fault | null {
    const block = this.#block;
    if (block === null) return FAULTS.protocol;
    block.frames += 1;
    const fault = block.frames > CONTINUATIONS ? FAULTS.headers : this.#gather(block, frame);
    if (fault !== null || (frame.flags & FLAG.endHeaders) === 0) return fault;
    this.#block = null;
    this.#frames += 1;
    return this.#headed(block.stream, block.isEnd, { bytes: Buffer.concat(block.pieces), from: 0, to: block.bytes });
  }

  /** The reader uses its bytes again: they are copied. */
  #gather(block: Block, { bytes, from, to }: Frame): Fault | null {
    block.bytes += to - from;
    if (block.bytes > BLOCK_BYTES) return FAULTS.headers;
    block.pieces.push(Buffer.from(bytes.subarray(from, to)));
    return null;
  }

  /** Every block goes through the decoder, whatever becomes of its stream: the next one builds on it. */
  #headed(stream: number, isEnd: boolean, { bytes, from, to }: Pick<Frame, 'bytes' | 'from' | 'to'>): Fault | null {
    if (this.#streams.hasOpen(stream)) {
      const fault = this.#heads.trailers(bytes, from, to);
      return fault === 'broken' ? FAULTS.compression : this.#streams.trailers(stream, isEnd, fault);
    }
    const head = this.#heads.head(bytes, from, to);
    return head === 'broken' ? FAULTS.compression : this.#streams.open(stream, isEnd, head);
  }

  #data(frame: Frame): Fault | null {
    if (frame.stream === 0) return FAULTS.protocol;
    this.#inWindow -= lengthOf(frame);
    if (this.#inWindow < 0) return FAULTS.flowControl;
    const read = FIRST_WINDOW_BYTES - this.#inWindow;
    if (read >= GIVEN_BACK_BYTES) {
      this.#inWindow += read;
      this.#output.control(windowFrame(0, read));
    }
    return this.#streams.data(frame);
  }

  #reset(frame: Frame): Fault | null {
    if (lengthOf(frame) !== 4) return FAULTS.frameSize;
    return frame.stream === 0 ? FAULTS.protocol : this.#streams.takenBack(frame.stream);
  }

  #windowUpdate(frame: Frame): Fault | null {
    if (lengthOf(frame) !== 4) return FAULTS.frameSize;
    const bytes = frame.bytes.readUInt32BE(frame.from) & LARGEST_WINDOW_BYTES;
    const flood = this.#budget.chore();
    if (flood !== null || frame.stream !== 0) return flood ?? this.#streams.widen(frame.stream, bytes);
    if (bytes === 0) return FAULTS.protocol;
    return this.#output.widen(bytes) > LARGEST_WINDOW_BYTES ? FAULTS.flowControl : null;
  }

  #settings(frame: Frame): Fault | null {
    if (frame.stream !== 0) return FAULTS.protocol;
    if ((frame.flags & FLAG.ack) !== 0) return lengthOf(frame) === 0 ? null : FAULTS.frameSize;
    if (lengthOf(frame) % 6 !== 0) return FAULTS.frameSize;
    this.#hasSettings = true;
    for (let at = frame.from; at < frame.to; at += 6) {
      const fault = this.#setting(frame.bytes.readUInt16BE(at), frame.bytes.readUInt32BE(at + 2));
      if (fault !== null) return fault;
    }
    this.#output.control(settingsAck);
    return null;
  }

  /** What concerns the sending of answers; no table is kept and no more than the smallest frames are sent, so the other limits hold by themselves. */
  #setting(id: number, value: number): Fault | null {
    if (id === SETTING.enablePush && value > 1) return FAULTS.protocol;
    if (id === SETTING.frameBytes && (value < FRAME_BYTES || value > 2 ** 24 - 1)) return FAULTS.protocol;
    if (id !== SETTING.initialWindow) return null;
    return value > LARGEST_WINDOW_BYTES ? FAULTS.flowControl : this.#streams.setWindow(value);
  }

  #ping(frame: Frame): Fault | null {
    if (frame.stream !== 0) return FAULTS.protocol;
    if (lengthOf(frame) !== 8) return FAULTS.frameSize;
    if ((frame.flags & FLAG.ack) === 0) this.#output.control(pingAck(frame));
    return null;
  }

  /** Priorities are not followed, but what cannot be one is an error. Source: RFC 9113, section 6.3; RFC 7540, section 5.3.1. */
  #priority(frame: Frame): Fault | null {
    if (frame.stream === 0) return FAULTS.protocol;
    if (lengthOf(frame) !== 5) return FAULTS.frameSize;
    return dependsOnItself(frame) ? FAULTS.protocol : null;
  }

  #end({ code, reason }: Fault): void {
    if (this.#isOver) return;
    this.#isFaulty = true;
    this.#parts.ended(reason);
    this.#output.control(goawayFrame(this.#streams.last, code));
    this.#streams.close();
    this.#finish();
  }

  /** What is queued leaves, then the connection ends. */
  #finish(): void {
    this.#isOver = true;
    this.#output.finish();
  }

  #left(): void {
    this.#isOver = true;
    this.#streams.close();
  }
}

const lengthOf = ({ from, to }: Frame): number => to - from;

const dependsOnItself = ({ bytes, from, stream }: Frame): boolean => (bytes.readUInt32BE(from) & 0x7fffffff) === stream;
