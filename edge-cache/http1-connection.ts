// One viewer's HTTP/1.1 connection on a raw socket: heads in, answers out in order, at the viewer's pace. What is rare goes on at node:http.
import type { Socket } from 'node:net';
import { letGo } from './answer-body.ts';
import type { Engine } from './engine.ts';
import { FieldMemory, type Head, readHead } from './http1-request.ts';
import type { EdgeAnswer, EdgeRequest } from './messages.ts';

/** Why the edge ended a connection. */
export type CutReason = 'malformed' | 'header-timeout' | 'slow-reader';

export type Http1Parts = {
  engine: Engine;
  headOf: (answer: EdgeAnswer, isLast: boolean) => string;
  isDraining: () => boolean;
  /** Monotonic, exact to a sweep's interval. Unit: ms. */
  nowMs: () => number;
  /** Takes the connection over, and the bytes it has read. */
  handOver: (socket: Socket, bytes: Buffer) => void;
  wasCut: (reason: CutReason) => void;
  /** Told of an answer that could not be written. */
  report: (thrown: unknown) => void;
};

export const http1Limits = {
  /** From the first byte of a head to its end, however they trickle. Unit: ms. */
  headMs: 10_000,
  /** Between two requests: the 30 s that each head promises, and the second by which the clock may be behind. Unit: ms. */
  idleMs: 31_000,
  /** A viewer has this long for each slice of a body: who takes less than 9 KB/s watches nothing. Unit: ms. */
  sliceMs: 30_000,
  sliceBytes: 262_144,
  /** After the last answer, for the viewer to close. Unit: ms. */
  lingerMs: 5_000,
  /** Bytes read ahead while an answer is under way; then reading stops. */
  aheadBytes: 16_384,
} as const;

/** A head and a body up to this length leave as one text: one copy, one system call. Unit: bytes. */
const TOGETHER_BYTES = 8_192;

/** What the connection waits for; decides its deadline. */
type Phase = 'idle' | 'head' | 'answer' | 'viewer' | 'end' | 'gone';
const PHASE_MS: Record<Phase, number> = {
  idle: http1Limits.idleMs,
  head: http1Limits.headMs,
  // The engine and the fills limit their own waits.
  answer: Number.POSITIVE_INFINITY,
  viewer: http1Limits.sliceMs,
  end: http1Limits.lingerMs,
  gone: Number.POSITIVE_INFINITY,
};
const REFUSALS = {
  400: 'Bad Request',
  408: 'Request Timeout',
  414: 'URI Too Long',
  431: 'Request Header Fields Too Large',
} as const;

export class Http1Connection {
  readonly #socket: Socket;
  readonly #parts: Http1Parts;
  readonly #memory = new FieldMemory();
  readonly #client: string;
  #phase: Phase = 'idle';
  #sinceMs: number;
  #unread: Buffer | null = null;
  /** In the engine. */
  #waiting: EdgeRequest | null = null;
  /** What is left to write when the viewer has taken what was written. */
  #goOn: (() => void) | null = null;

  constructor(socket: Socket, parts: Http1Parts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#client = socket.remoteAddress ?? '';
    this.#sinceMs = parts.nowMs();
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('close', this.#onClose);
    socket.on('error', closeFollows);
  }

  /** Ends the connection if it waits for its next request. */
  closeIfIdle(): void {
    if (this.#phase === 'idle') this.#end('');
  }

  /** Ends the connection if it has waited too long for the viewer. */
  sweep(nowMs: number): void {
    const isSending = this.#phase === 'viewer' || (this.#phase === 'end' && this.#socket.writableLength > 0);
    if (nowMs - this.#sinceMs < (isSending ? http1Limits.sliceMs : PHASE_MS[this.#phase])) return;
    if (this.#phase === 'head') {
      this.#parts.wasCut('header-timeout');
      this.#refuse(408);
    } else if (this.#phase === 'idle') this.#end('');
    else {
      if (isSending) this.#parts.wasCut('slow-reader');
      this.#socket.destroy();
    }
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#sinceMs = this.#parts.nowMs();
  }

  get #isReading(): boolean {
    return this.#phase === 'idle' || this.#phase === 'head';
  }

  readonly #onData = (chunk: Buffer): void => {
    // After the last answer what comes is read and dropped: left unread, it would make the kernel reset the connection under the answer.
    if (this.#phase === 'end' || this.#phase === 'gone') return;
    this.#unread = this.#unread === null ? chunk : Buffer.concat([this.#unread, chunk]);
    if (this.#isReading) this.#serve();
    else if (this.#unread.length > http1Limits.aheadBytes) this.#socket.pause();
  };

  readonly #onDrain = (): void => {
    if (this.#phase !== 'viewer') return;
    const goOn = this.#goOn;
    this.#goOn = null;
    if (goOn === null) this.#enter('idle');
    else goOn();
    this.#serveOn();
  };

  readonly #onClose = (): void => {
    this.#phase = 'gone';
    this.#unread = null;
    this.#waiting?.onLeft?.();
    const goOn = this.#goOn;
    this.#goOn = null;
    goOn?.();
  };

  /** After an answer that had to wait. */
  #serveOn(): void {
    if (!this.#isReading) return;
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#serve();
  }

  /** Answers what has been read until an answer has to wait or the bytes end. */
  #serve(): void {
    while (this.#unread !== null && this.#isReading) {
      const bytes = this.#unread;
      const head = readHead(bytes, 0, this.#memory.read);
      if (head.type === 'request') {
        this.#unread = head.end === bytes.length ? null : bytes.subarray(head.end);
        this.#ask(head);
      } else if (head.type === 'incomplete') {
        if (this.#phase === 'idle') this.#enter('head');
        return;
      } else if (head.type === 'unusual') this.#handOver(bytes);
      else {
        this.#parts.wasCut('malformed');
        this.#refuse(head.status);
      }
    }
  }

  #ask({ method, target, fields }: Extract<Head, { type: 'request' }>): void {
    const { engine } = this.#parts;
    const { headers, isLast } = fields;
    const request: EdgeRequest = {
      method,
      target,
      headers,
      hosts: 1,
      hasBody: false,
      client: this.#client,
      onLeft: null,
    };
    const answer = engine.answerNow(request);
    if (answer !== null) {
      this.#send(answer, isLast);
      return;
    }
    this.#enter('answer');
    this.#waiting = request;
    engine
      .handle(request)
      .then((late) => {
        this.#waiting = null;
        if (this.#phase === 'gone') return letGo(late);
        this.#send(late, isLast);
        return this.#serveOn();
      })
      .catch(this.#fail);
  }

  readonly #fail = (thrown: unknown): void => {
    this.#parts.report(thrown);
    this.#socket.destroy();
  };

  #send(answer: EdgeAnswer, isLastWanted: boolean): void {
    const { body } = answer;
    const length = body === null || Buffer.isBuffer(body) ? 0 : lengthOf(answer);
    // A body of unknown length ends with its connection.
    const isLast = isLastWanted || answer.isLast === true || length === null || this.#parts.isDraining();
    let head: string;
    try {
      head = this.#parts.headOf(answer, isLast);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    if (body === null) {
      this.#socket.write(head, 'latin1');
      this.#sent(isLast);
    } else if (!Buffer.isBuffer(body)) {
      this.#enter('answer');
      this.#stream(head, body, length, isLast).catch(this.#fail);
    } else if (head.length + body.length <= TOGETHER_BYTES) {
      this.#socket.write(head + body.toString('latin1'), 'latin1');
      this.#sent(isLast);
    } else {
      this.#writeFirst(head, body);
      this.#sendFrom(body, http1Limits.sliceBytes, isLast);
    }
  }

  /** Head and first slice of a body in one system call. */
  #writeFirst(head: string, body: Buffer): void {
    const socket = this.#socket;
    socket.cork();
    socket.write(Buffer.from(head, 'latin1'));
    socket.write(body.length <= http1Limits.sliceBytes ? body : body.subarray(0, http1Limits.sliceBytes));
    socket.uncork();
  }

  /** The rest of a body, slice by slice: how fast they go says how fast the viewer reads. */
  #sendFrom(body: Buffer, from: number, isLast: boolean): void {
    if (this.#phase === 'gone') return;
    for (let at = from; at < body.length; at += http1Limits.sliceBytes) {
      if (this.#socket.writableLength > 0) {
        this.#enter('viewer');
        this.#goOn = () => this.#sendFrom(body, at, isLast);
        return;
      }
      this.#socket.write(body.subarray(at, at + http1Limits.sliceBytes));
    }
    this.#sent(isLast);
  }

  /**
   * Sends a body that grows while it is sent.
   * @param length announced; null: unknown. A body that breaks off or has another length cuts the connection, never pads it.
   */
  async #stream(head: string, body: AsyncIterable<Buffer>, length: number | null, isLast: boolean): Promise<void> {
    let count = 0;
    try {
      for await (const chunk of body) {
        if (this.#phase === 'gone') return;
        if (count === 0) this.#writeFirst(head, chunk);
        const begun = count === 0 ? http1Limits.sliceBytes : 0;
        count += chunk.length;
        if (length !== null && count > length) break;
        await this.#writeSlices(chunk, begun);
      }
    } catch {
      this.#socket.destroy();
      return;
    }
    if (this.#phase === 'gone') return;
    if (count === 0) this.#socket.write(head, 'latin1');
    if (length !== null && count !== length) {
      this.#socket.destroy();
      return;
    }
    this.#sent(isLast);
    this.#serveOn();
  }

  async #writeSlices(chunk: Buffer, from: number): Promise<void> {
    for (let at = from; at < chunk.length; at += http1Limits.sliceBytes) {
      await this.#untilTaken();
      if (this.#phase === 'gone') return;
      this.#socket.write(chunk.subarray(at, at + http1Limits.sliceBytes));
    }
    await this.#untilTaken();
  }

  async #untilTaken(): Promise<void> {
    if (this.#phase === 'gone' || !this.#isFull) return;
    this.#enter('viewer');
    await new Promise<void>((resolve) => {
      this.#goOn = resolve;
    });
    if (this.#phase === 'viewer') this.#enter('answer');
  }

  /** More is written than the viewer has taken, and 'drain' will say when it has. */
  get #isFull(): boolean {
    return this.#socket.writableLength > 0 && this.#socket.writableNeedDrain;
  }

  #sent(isLast: boolean): void {
    if (isLast) this.#end('');
    else this.#enter(this.#isFull ? 'viewer' : 'idle');
  }

  #refuse(status: keyof typeof REFUSALS): void {
    this.#end(`HTTP/1.1 ${status} ${REFUSALS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }

  #end(text: string): void {
    this.#unread = null;
    this.#enter('end');
    if (this.#socket.isPaused()) this.#socket.resume();
    // The viewer has the whole of its time to close after the last byte has left.
    this.#socket.end(text, 'latin1', () => this.#phase === 'end' && this.#enter('end'));
  }

  #handOver(bytes: Buffer): void {
    const socket = this.#socket;
    this.#phase = 'gone';
    this.#unread = null;
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('close', this.#onClose);
    socket.off('error', closeFollows);
    this.#parts.handOver(socket, bytes);
  }
}

function lengthOf(answer: EdgeAnswer): number | null {
  const text = (answer.parts?.moment ?? answer.headers)['content-length'];
  return text === undefined ? null : Number(text);
}

function closeFollows(): void {}
