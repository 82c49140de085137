// A cheap HTTP/1.1 client for tests with thousands of requests a second: kept-alive sockets, GET only, bodies by Content-Length.
import { connect, type Socket } from 'node:net';

export type RawAnswer = { status: number; body: Buffer };

export interface RawClient {
  /** @throws Error when the connection breaks or nothing comes for 15 s */
  get(path: string, requestId: string): Promise<RawAnswer>;
  /** Open connections. */
  readonly count: number;
  close(): void;
}

const LIMIT_MS = 15_000;
const HEAD_END = Buffer.from('\r\n\r\n');

type Pending = { resolve: (answer: RawAnswer) => void; reject: (thrown: Error) => void };

/** @param base `http://host:port` */
export function createRawClient(base: string): RawClient {
  const { hostname, port, host } = new URL(base);
  const all = new Set<Connection>();
  const idle: Connection[] = [];
  const open = (): Connection => {
    const connection = new Connection(hostname, Number(port), (gone) => {
      all.delete(gone);
      const at = idle.indexOf(gone);
      if (at !== -1) idle.splice(at, 1);
    });
    all.add(connection);
    return connection;
  };
  return {
    async get(path, requestId) {
      const connection = idle.pop() ?? open();
      const answer = await connection.send(
        `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Request-Id: ${requestId}\r\nUser-Agent: raw\r\n\r\n`,
      );
      if (all.has(connection)) idle.push(connection);
      return answer;
    },
    get count() {
      return all.size;
    },
    close() {
      for (const connection of all) connection.socket.destroy();
    },
  };
}

class Connection {
  readonly socket: Socket;
  #pending: Pending | null = null;
  #head: Buffer | null = null;
  #status = 0;
  #body: Buffer | null = null;
  #filled = 0;

  constructor(host: string, port: number, gone: (connection: Connection) => void) {
    this.socket = connect({ host, port, noDelay: true });
    this.socket.setTimeout(LIMIT_MS, () => this.socket.destroy());
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      gone(this);
      this.#pending?.reject(new Error('the connection was closed'));
      this.#pending = null;
    });
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  send(text: string): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.socket.write(text, 'latin1');
    });
  }

  #take(chunk: Buffer): void {
    if (this.#body !== null) {
      this.#fill(this.#body, chunk);
      return;
    }
    const head = this.#head === null ? chunk : Buffer.concat([this.#head, chunk]);
    const end = head.indexOf(HEAD_END);
    if (end === -1) {
      this.#head = head;
      return;
    }
    this.#head = null;
    const text = head.toString('latin1', 0, end);
    this.#status = Number(text.slice(9, 12));
    this.#body = Buffer.allocUnsafe(Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0));
    this.#filled = 0;
    this.#fill(this.#body, head.subarray(end + HEAD_END.length));
  }

  #fill(body: Buffer, chunk: Buffer): void {
    chunk.copy(body, this.#filled);
    this.#filled += chunk.length;
    if (this.#filled < body.length) return;
    const pending = this.#pending;
    [this.#pending, this.#body] = [null, null];
    pending?.resolve({ status: this.#status, body });
  }
}
