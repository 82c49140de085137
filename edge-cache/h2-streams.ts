// The requests of one HTTP/2 connection, from their header to the last frame of the answer. Source: RFC 9113, sections 5 and 8.
import { letGo } from './answer-body.ts';
import type { Engine } from './engine.ts';
import { type Budget, FAULTS, type Fault } from './h2-budget.ts';
import {
  CODE,
  FIRST_WINDOW_BYTES,
  FLAG,
  FRAME_BYTES,
  type Frame,
  LARGEST_WINDOW_BYTES,
  resetFrame,
  unpad,
} from './h2-frames.ts';
import { encodeHead, NO_TABLE } from './h2-header-encoder.ts';
import type { Outgoing, Output, OutputHost } from './h2-output.ts';
import type { BlockFault, RequestHead } from './h2-request.ts';
import type { EdgeAnswer, EdgeRequest } from './messages.ts';

export const streamLimits = {
  /** Requests at a time. */
  streams: 100,
  /** A viewer that takes less than this of an answer in that time does not want it. Units: bytes, ms. */
  drainBytes: 16_384,
  stalledMs: 30_000,
  /** A body that nobody asked for may still come this long after the answer. Unit: ms. */
  lingerMs: 1_000,
  /** Streams we have reset, whose late frames are passed over. */
  remembered: 256,
} as const;

type Stream = Outgoing & {
  request: EdgeRequest;
  /** More of a body that arrives while it is sent. */
  source: AsyncIterator<Buffer> | null;
  /** What is still to come of its announced length. Unit: bytes. */
  sourceBytes: number;
  /** The request's body has not ended; it is read and thrown away. */
  isOpen: boolean;
  /** What of it is still announced; null: nothing was. Unit: bytes. */
  bodyBytes: number | null;
  inWindow: number;
  isClosed: boolean;
  /** The answer has left; the request's body is still to end. */
  isSent: boolean;
  /** Where the answer was at the last look, and since when; null: not looked at yet. Unit of the second: ms. */
  markBytes: number;
  markMs: number | null;
};

export type StreamParts = {
  engine: Engine;
  output: Output;
  budget: Budget;
  /** Address of the peer. */
  client: string;
  report: (thrown: unknown) => void;
  /** While it drains: the last request has been answered. */
  drained: () => void;
};

export class Streams implements OutputHost {
  readonly #parts: StreamParts;
  readonly #streams = new Map<number, Stream>();
  readonly #reset = new Set<number>();
  #last = 0;
  #opened = 0;
  #isDraining = false;
  #windowBytes = FIRST_WINDOW_BYTES;
  #hasSaidNoTable = false;

  /** @param parts made with the output that tells this object what has left */
  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  /** Highest stream that was or will be answered. */
  get last(): number {
    return this.#last;
  }

  /** No new requests: those after `last` are passed over, and may be sent again elsewhere. */
  drain(): void {
    this.#isDraining = true;
    if (this.#streams.size === 0) this.#parts.drained();
  }

  /** Whether a header block on this stream ends the body of a request that is under way. */
  hasOpen(id: number): boolean {
    return this.#streams.has(id);
  }

  /** A header block on a stream that is under way: trailers, or one too many. */
  trailers(id: number, isEnd: boolean, fault: BlockFault | null): Fault | null {
    const stream = this.#streams.get(id);
    if (stream === undefined) return null;
    if (!stream.isOpen) return this.#refuse(stream, CODE.streamClosed);
    if (!isEnd || fault !== null) return this.#refuse(stream, CODE.protocol);
    return this.#bodyEnded(stream);
  }

  /** A header block on a stream that is not under way. */
  open(id: number, isEnd: boolean, head: RequestHead | BlockFault): Fault | null {
    if (id % 2 === 0) return FAULTS.protocol;
    if (id <= this.#last) {
      if (this.#reset.has(id)) return null;
      // Once open and closed since, or passed over by the peer itself.
      return this.#opened === (this.#last + 1) / 2 ? FAULTS.streamClosed : FAULTS.protocol;
    }
    if (this.#isDraining) return null;
    this.#last = id;
    this.#opened += 1;
    if (this.#streams.size >= streamLimits.streams) return this.#refuseNew(id, CODE.refused);
    if (head === 'malformed' || head === 'broken') return this.#refuseNew(id, CODE.protocol);
    if (head === 'large') {
      this.#tooLarge(id, isEnd);
      return this.#parts.budget.reset();
    }
    if (isEnd && head.contentLength !== null && head.contentLength !== 0) return this.#refuseNew(id, CODE.protocol);
    this.#parts.budget.earn();
    this.#ask(this.#begin(id, head, isEnd));
    return null;
  }

  /** DATA. Its bytes are counted against the stream's window and thrown away: requests here have no body. */
  data(frame: Frame): Fault | null {
    const isEnd = (frame.flags & FLAG.endStream) !== 0;
    const length = frame.to - frame.from;
    if (!unpad(frame)) return FAULTS.protocol;
    if (frame.to === frame.from && !isEnd) {
      const flood = this.#parts.budget.chore();
      if (flood !== null) return flood;
    }
    const stream = this.#streams.get(frame.stream);
    if (stream === undefined) return this.#stray(frame.stream, CODE.streamClosed);
    if (!stream.isOpen) return this.#refuse(stream, CODE.streamClosed);
    stream.inWindow -= length;
    if (stream.inWindow < 0) return this.#refuse(stream, CODE.flowControl);
    if (stream.bodyBytes !== null) stream.bodyBytes -= frame.to - frame.from;
    if (stream.bodyBytes !== null && stream.bodyBytes < 0) return this.#refuse(stream, CODE.protocol);
    return isEnd ? this.#bodyEnded(stream) : null;
  }

  /** RST_STREAM: the viewer takes a request back. */
  takenBack(id: number): Fault | null {
    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#isIdle(id) ? FAULTS.protocol : this.#parts.budget.chore();
    this.#close(stream);
    return this.#parts.budget.reset();
  }

  /** WINDOW_UPDATE of a stream. @param bytes 0 is against the rules */
  widen(id: number, bytes: number): Fault | null {
    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#isIdle(id) ? FAULTS.protocol : null;
    if (bytes === 0) return this.#refuse(stream, CODE.protocol);
    stream.window += bytes;
    if (stream.window > LARGEST_WINDOW_BYTES) return this.#refuse(stream, CODE.flowControl);
    if (stream.chunk !== null) this.#parts.output.add(stream);
    return null;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE: for streams to come, and by the difference for those there are. Source: section 6.9.2. */
  setWindow(bytes: number): Fault | null {
    const difference = bytes - this.#windowBytes;
    this.#windowBytes = bytes;
    for (const stream of this.#streams.values()) {
      stream.window += difference;
      if (stream.window > LARGEST_WINDOW_BYTES) return FAULTS.flowControl;
      if (stream.chunk !== null) this.#parts.output.add(stream);
    }
    return null;
  }

  /** Resets answers that their viewer does not take, and bodies that do not end. */
  tick(nowMs: number): void {
    for (const stream of this.#streams.values()) {
      const hasMoved = stream.sentBytes - stream.markBytes >= streamLimits.drainBytes;
      if (stream.markMs === null || (!stream.isSent && (stream.chunk === null || hasMoved))) {
        stream.markBytes = stream.sentBytes;
        stream.markMs = nowMs;
      }
      const quietMs = nowMs - stream.markMs;
      if (stream.isSent && quietMs >= streamLimits.lingerMs) this.#resetBy(stream, CODE.none);
      else if (quietMs >= streamLimits.stalledMs) this.#resetBy(stream, CODE.cancel);
    }
  }

  /** The connection is gone: so is everybody who waited on it. */
  close(): void {
    for (const stream of [...this.#streams.values()]) this.#close(stream);
  }

  sent(answer: Outgoing): void {
    const stream = this.#streams.get(answer.id);
    if (stream === undefined) return;
    if (!stream.isOpen) this.#close(stream);
    else {
      stream.isSent = true;
      stream.markMs = null;
    }
  }

  used(answer: Outgoing): void {
    const stream = this.#streams.get(answer.id);
    if (stream !== undefined) this.#pull(stream);
  }

  moved(): void {
    this.#parts.budget.earn();
  }

  #begin(id: number, head: RequestHead, isEnd: boolean): Stream {
    const { method, target, headers, hosts, contentLength } = head;
    const stream: Stream = {
      id,
      head: null,
      chunk: null,
      at: 0,
      isLast: false,
      window: this.#windowBytes,
      sentBytes: 0,
      request: { method, target, headers, hosts, hasBody: !isEnd, client: this.#parts.client, onLeft: null },
      source: null,
      sourceBytes: Number.POSITIVE_INFINITY,
      isOpen: !isEnd,
      bodyBytes: contentLength,
      inWindow: FIRST_WINDOW_BYTES,
      isClosed: false,
      isSent: false,
      markBytes: 0,
      markMs: null,
    };
    this.#streams.set(id, stream);
    return stream;
  }

  #ask(stream: Stream): void {
    const { engine, output, report } = this.#parts;
    const answer = engine.answerNow(stream.request);
    if (answer !== null) {
      this.#answer(stream, answer);
      return;
    }
    engine
      .handle(stream.request)
      .then((late) => {
        this.#answer(stream, late);
        output.schedule();
      })
      .catch((thrown: unknown) => {
        report(thrown);
        this.#resetBy(stream, CODE.internal);
        output.schedule();
      });
  }

  #answer(stream: Stream, answer: EdgeAnswer): void {
    const { output, report } = this.#parts;
    if (stream.isClosed) {
      letGo(answer).catch(report);
      return;
    }
    const { body } = answer;
    try {
      stream.head = this.#head(answer);
    } catch (thrown) {
      letGo(answer).catch(report);
      report(thrown);
      this.#resetBy(stream, CODE.internal);
      return;
    }
    if (body === null || Buffer.isBuffer(body)) {
      stream.chunk = body === null || body.length === 0 ? null : body;
      stream.isLast = true;
    } else {
      stream.source = body[Symbol.asyncIterator]();
      const length = answer.headers['content-length'];
      if (length !== undefined) stream.sourceBytes = Number(length);
      this.#pull(stream);
    }
    output.add(stream);
  }

  /** @throws TypeError, RangeError when it cannot be sent */
  #head(answer: EdgeAnswer): string {
    const head = (this.#hasSaidNoTable ? '' : NO_TABLE) + encodeHead(answer);
    if (head.length > FRAME_BYTES) throw new RangeError(`the head of an answer has ${head.length} bytes`);
    this.#hasSaidNoTable = true;
    return head;
  }

  /** The next bytes of a body that grows. One that breaks off, or has another length than announced, is cut, never padded. */
  #pull(stream: Stream): void {
    const { output } = this.#parts;
    stream.source
      ?.next()
      .then((step) => {
        if (stream.isClosed) return;
        if (!step.done) {
          stream.sourceBytes -= step.value.length;
          stream.chunk = step.value;
          stream.at = 0;
        }
        const isWrong = step.done
          ? Number.isFinite(stream.sourceBytes) && stream.sourceBytes > 0
          : stream.sourceBytes < 0;
        if (isWrong) throw new RangeError('the body has another length than its head');
        stream.isLast = step.done === true;
        output.add(stream);
      })
      .catch(() => this.#resetBy(stream, CODE.internal))
      .finally(() => output.schedule());
  }

  /** Source: RFC 6585, section 5. */
  #tooLarge(id: number, isEnd: boolean): void {
    const stream = this.#begin(id, { method: '', target: '', headers: {}, hosts: 0, contentLength: null }, isEnd);
    const headers = { 'content-length': '0' };
    this.#answer(stream, { status: 431, headers, body: null, kind: 'invalid', result: 'refused' });
  }

  #bodyEnded(stream: Stream): Fault | null {
    stream.isOpen = false;
    if (stream.bodyBytes !== null && stream.bodyBytes !== 0) return this.#refuse(stream, CODE.protocol);
    if (stream.isSent) this.#close(stream);
    return null;
  }

  /** A frame for a stream that is no more, or never was. */
  #stray(id: number, code: number): Fault | null {
    if (this.#isIdle(id)) return FAULTS.protocol;
    if (this.#reset.has(id) || this.#isDraining) return null;
    return this.#refuseNew(id, code);
  }

  #isIdle(id: number): boolean {
    return id % 2 === 0 || (id > this.#last && !this.#isDraining);
  }

  /** The peer broke the rules on this stream. */
  #refuse(stream: Stream, code: number): Fault | null {
    this.#resetBy(stream, code);
    return this.#parts.budget.reset();
  }

  #refuseNew(id: number, code: number): Fault | null {
    this.#sayReset(id, code);
    return this.#parts.budget.reset();
  }

  #resetBy(stream: Stream, code: number): void {
    if (stream.isClosed) return;
    this.#close(stream);
    this.#sayReset(stream.id, code);
  }

  #sayReset(id: number, code: number): void {
    this.#parts.output.control(resetFrame(id, code));
    this.#reset.add(id);
    for (const oldest of this.#reset) {
      if (this.#reset.size <= streamLimits.remembered) break;
      this.#reset.delete(oldest);
    }
  }

  #close(stream: Stream): void {
    const { output, report, drained } = this.#parts;
    stream.isClosed = true;
    this.#streams.delete(stream.id);
    output.remove(stream);
    stream.chunk = null;
    stream.request.onLeft?.();
    stream.source?.return?.().catch(report);
    if (this.#isDraining && this.#streams.size === 0) drained();
  }
}
