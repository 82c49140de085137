// What one HTTP/2 connection sends: control frames first, then the answers in turn, a frame of each, within the peer's windows and the socket's pace. Source: RFC 9113, sections 5.2 and 6.9.
import type { Duplex } from 'node:stream';
import { FIRST_WINDOW_BYTES, FLAG, FRAME, FRAME_BYTES, FRAME_HEAD_BYTES, writeFrameHead } from './h2-frames.ts';

/** The sending side of one answer. */
export type Outgoing = {
  readonly id: number;
  /** Header block that has not left yet, one character per byte. */
  head: string | null;
  /** Bytes of the body that are there, from `at` on; null: none right now. */
  chunk: Buffer | null;
  at: number;
  /** Nothing comes after head and chunk. */
  isLast: boolean;
  /** What the peer takes. Unit: bytes; below 0 after it has made its windows smaller. */
  window: number;
  sentBytes: number;
};

export interface OutputHost {
  /** The last frame of an answer is on its way. */
  sent(answer: Outgoing): void;
  /** Everything that was there of a body is on its way; more is wanted. */
  used(answer: Outgoing): void;
  /** A frame of a body is on its way. */
  moved(): void;
}

/** Handed to the socket at once: four full frames and some heads, enough to keep it busy, little enough for a slow viewer to hold. Unit: bytes. */
const BATCH_BYTES = 4 * (FRAME_HEAD_BYTES + FRAME_BYTES) + 4_096;
/** Batches kept for the next use, by all connections together. */
const MOST_SPARE = 64;
/** A frame this short is not begun at the end of a batch when there is more to send. Unit: bytes. */
const SHORT_BYTES = 1_024;
/** Control frames that wait for a peer who does not read. Unit: bytes. */
const MOST_CONTROL_BYTES = 32_768;

const spare: Buffer[] = [];

export class Output {
  readonly #socket: Duplex;
  readonly #host: OutputHost;
  #window = FIRST_WINDOW_BYTES;
  #control: Buffer[] = [];
  #controlBytes = 0;
  /** Answers with something to send, in turn. */
  readonly #ready = new Set<Outgoing>();
  /** Those that wait for the window of the connection. */
  readonly #held = new Set<Outgoing>();
  #isWriting = false;
  #isScheduled = false;
  #isFinishing = false;
  #writes = 0;

  constructor(socket: Duplex, host: OutputHost) {
    this.#socket = socket;
    this.#host = host;
  }

  /** The peer leaves more control frames unread than anybody should. */
  get isFlooded(): boolean {
    return this.#controlBytes > MOST_CONTROL_BYTES;
  }

  /** A batch is with the socket. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** Batches that the socket has taken: a number that stands still while isWriting is a peer who does not read. */
  get writes(): number {
    return this.#writes;
  }

  /** Queues a whole frame that no window limits. */
  control(frame: Buffer): void {
    this.#control.push(frame);
    this.#controlBytes += frame.length;
  }

  /** The answer has something new to send, or room to send it. */
  add(answer: Outgoing): void {
    this.#ready.add(answer);
  }

  /** Nothing more of this answer leaves. */
  remove(answer: Outgoing): void {
    this.#ready.delete(answer);
    this.#held.delete(answer);
  }

  /** @returns the connection's window after the peer gave it more. Unit: bytes */
  widen(bytes: number): number {
    this.#window += bytes;
    for (const answer of this.#held) this.#ready.add(answer);
    this.#held.clear();
    return this.#window;
  }

  /** Sends after what is going on right now, together with what else comes of it. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Ends the socket once everything queued has been taken. */
  finish(): void {
    this.#isFinishing = true;
    this.schedule();
  }

  /** Sends what may leave now; goes on by itself when the socket has taken it. */
  flush(): void {
    if (this.#isWriting || this.#socket.destroyed || !this.#socket.writable) return;
    const isIdle = this.#control.length === 0 && this.#ready.size === 0;
    const batch = isIdle ? null : (spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES));
    const length = batch === null ? 0 : this.#answers(batch, this.#controls(batch));
    if (batch === null || length === 0) {
      if (batch !== null) giveBack(batch);
      if (this.#isFinishing) this.#socket.end();
      return;
    }
    this.#isWriting = true;
    this.#socket.write(batch.subarray(0, length), (thrown) => {
      this.#isWriting = false;
      // After an error the socket may still hold the bytes.
      if (thrown !== null && thrown !== undefined) return;
      this.#writes += 1;
      giveBack(batch);
      this.flush();
    });
  }

  #controls(batch: Buffer): number {
    let at = 0;
    let count = 0;
    for (const frame of this.#control) {
      if (at + frame.length > batch.length) break;
      frame.copy(batch, at);
      at += frame.length;
      count += 1;
    }
    this.#control = count === this.#control.length ? [] : this.#control.slice(count);
    this.#controlBytes -= at;
    return at;
  }

  /** One frame of each answer in turn, until the batch is full. @returns where the batch ends */
  #answers(batch: Buffer, from: number): number {
    let at = from;
    for (const answer of this.#ready) {
      const { head } = answer;
      if (head !== null) {
        if (at + FRAME_HEAD_BYTES + head.length > batch.length) break;
        at = this.#head(answer, head, batch, at);
      }
      if (answer.chunk !== null || (head === null && answer.isLast)) {
        const end = this.#data(answer, batch, at);
        if (end === -1) break;
        at = end;
      }
    }
    return at;
  }

  #head(answer: Outgoing, head: string, batch: Buffer, at: number): number {
    const isEnd = answer.chunk === null && answer.isLast;
    const flags = isEnd ? FLAG.endHeaders | FLAG.endStream : FLAG.endHeaders;
    writeFrameHead(batch, at, head.length, FRAME.headers, flags, answer.id);
    batch.write(head, at + FRAME_HEAD_BYTES, 'latin1');
    answer.head = null;
    if (answer.chunk === null) this.#ready.delete(answer);
    if (isEnd) this.#host.sent(answer);
    return at + FRAME_HEAD_BYTES + head.length;
  }

  /** @returns where the batch ends now; -1: it has no room for a frame worth sending */
  #data(answer: Outgoing, batch: Buffer, at: number): number {
    const left = answer.chunk === null ? 0 : answer.chunk.length - answer.at;
    const room = batch.length - at - FRAME_HEAD_BYTES;
    if (room < Math.min(left, SHORT_BYTES)) return -1;
    const length = left === 0 ? 0 : Math.min(left, room, FRAME_BYTES, answer.window, this.#window);
    this.#ready.delete(answer);
    if (left > 0 && length <= 0) {
      // The peer's next WINDOW_UPDATE brings it back: of the stream by add(), of the connection by widen().
      if (answer.window > 0) this.#held.add(answer);
      return at;
    }
    const isUsed = length === left;
    const isEnd = isUsed && answer.isLast;
    writeFrameHead(batch, at, length, FRAME.data, isEnd ? FLAG.endStream : 0, answer.id);
    answer.chunk?.copy(batch, at + FRAME_HEAD_BYTES, answer.at, answer.at + length);
    answer.at += length;
    answer.sentBytes += length;
    answer.window -= length;
    this.#window -= length;
    if (length > 0) this.#host.moved();
    if (!isUsed) this.#ready.add(answer);
    else {
      answer.chunk = null;
      if (isEnd) this.#host.sent(answer);
      else this.#host.used(answer);
    }
    return at + FRAME_HEAD_BYTES + length;
  }
}

function giveBack(batch: Buffer): void {
  if (spare.length < MOST_SPARE) spare.push(batch);
}
