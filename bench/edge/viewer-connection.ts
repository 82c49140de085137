// One kept-alive HTTP/1.1 connection of a simulated viewer, as cheap as Node has it: bytes land in one shared buffer and are dropped, hashed or kept.
import { createHash, type Hash } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export type Wish = {
  /** `drop`: count only; `keep`: give the body; `hash`: give its SHA-256. */
  body: 'drop' | 'keep' | 'hash';
  /** Reads no faster than this. Unit: bits per second; null: as it comes. */
  bps: number | null;
};

export type Received = { status: number; bytes: number; body: Buffer | null; sha256: string | null };

/** Longest time without a byte. Unit: ms. */
const SILENCE_MS = 20_000;
const MAX_HEAD_BYTES = 16_384;
const HEAD_END = Buffer.from('\r\n\r\n');
/** All connections read into it: what a read brings is used up before the next read. */
const shared = Buffer.allocUnsafe(262_144);
/** For slow lines: what one read brings must be little. */
const sharedBySlow = Buffer.allocUnsafe(16_384);

type Pending = {
  wish: Wish;
  resolve: (received: Received) => void;
  reject: (thrown: Error) => void;
  head: Buffer | null;
  status: number;
  /** -1: the head is not whole yet. */
  length: number;
  bytes: number;
  startedMs: number;
  chunks: Buffer[];
  hash: Hash | null;
};

export class ViewerConnection {
  readonly #host: string;
  readonly #port: number;
  readonly #localAddress: string;
  #socket: Socket | null = null;
  #pending: Pending | null = null;
  #pause: NodeJS.Timeout | null = null;
  #mustClose = false;
  #hasLeft = false;

  /**
   * @param base `http://host:port`
   * @param viewer its number: viewers come from 250 addresses of the loopback network, as they do from many in life
   */
  constructor(base: string, viewer: number) {
    const { hostname, port } = new URL(base);
    this.#host = hostname;
    this.#port = Number(port);
    this.#localAddress = `127.0.1.${1 + (viewer % 250)}`;
  }

  /** One request at a time. @throws Error when the connection breaks, stays silent, or the answer has no length */
  get(path: string, wish: Wish): Promise<Received> {
    if (this.#hasLeft) return Promise.reject(new Error('the viewer left'));
    return new Promise((resolve, reject) => {
      this.#pending = {
        wish,
        resolve,
        reject,
        head: null,
        status: 0,
        length: -1,
        bytes: 0,
        startedMs: performance.now(),
        chunks: [],
        hash: wish.body === 'hash' ? createHash('sha256') : null,
      };
      this.#socket ??= this.#open(wish.bps === null ? shared : sharedBySlow);
      this.#socket.write(
        `GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`,
        'latin1',
      );
    });
  }

  /** For good. */
  close(): void {
    this.#hasLeft = true;
    this.#socket?.destroy();
    this.#end(new Error('the viewer left'));
  }

  #open(buffer: Buffer): Socket {
    const socket: Socket = connect({
      host: this.#host,
      port: this.#port,
      localAddress: this.#localAddress,
      noDelay: true,
      onread: { buffer, callback: (bytes: number) => this.#take(buffer.subarray(0, bytes)) },
    });
    socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error('silence')));
    let why: Error | null = null;
    socket.on('error', (thrown) => {
      why = thrown;
    });
    socket.on('close', () => {
      if (this.#socket === socket) {
        this.#socket = null;
        this.#end(why ?? new Error('the connection was closed'));
      }
    });
    return socket;
  }

  #end(thrown: Error): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = null;
    const pending = this.#pending;
    this.#pending = null;
    pending?.reject(thrown);
  }

  /** @returns whether more may come at once */
  #take(chunk: Buffer): boolean {
    const pending = this.#pending;
    if (pending === null) return true;
    if (pending.length >= 0) return this.#fill(pending, chunk);
    const head = pending.head === null ? chunk : Buffer.concat([pending.head, chunk]);
    const end = head.indexOf(HEAD_END);
    if (end === -1) {
      // The buffer is everybody's: what must last is copied.
      pending.head = Buffer.from(head);
      if (head.length > MAX_HEAD_BYTES) this.#socket?.destroy(new Error('an endless head'));
      return true;
    }
    const text = head.toString('latin1', 0, end);
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    if (length === undefined) {
      this.#socket?.destroy(new Error('an answer without a length'));
      return true;
    }
    pending.status = Number(text.slice(9, 12));
    pending.length = Number(length);
    this.#mustClose = /\r\nconnection: *close/i.test(text);
    return this.#fill(pending, head.subarray(end + HEAD_END.length));
  }

  #fill(pending: Pending, chunk: Buffer): boolean {
    pending.bytes += chunk.length;
    if (pending.wish.body === 'keep') pending.chunks.push(Buffer.from(chunk));
    pending.hash?.update(chunk);
    if (pending.bytes < pending.length) return this.#mayGoOn(pending);
    this.#pending = null;
    if (this.#mustClose || pending.bytes > pending.length) {
      this.#socket?.destroy();
      this.#socket = null;
    }
    if (pending.bytes > pending.length) pending.reject(new Error('more bytes than were announced'));
    else
      pending.resolve({
        status: pending.status,
        bytes: pending.bytes,
        body: pending.wish.body === 'keep' ? Buffer.concat(pending.chunks) : null,
        sha256: pending.hash?.digest('hex') ?? null,
      });
    return true;
  }

  /** A slow reader reads when its rate allows. */
  #mayGoOn({ wish, bytes, startedMs }: Pending): boolean {
    if (wish.bps === null) return true;
    const aheadMs = (bytes * 8_000) / wish.bps - (performance.now() - startedMs);
    if (aheadMs < 1) return true;
    const socket = this.#socket;
    this.#pause = setTimeout(() => {
      this.#pause = null;
      socket?.resume();
    }, aheadMs);
    return false;
  }
}
