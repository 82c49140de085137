// The tus loop against a server written as an object: pieces, interruptions at any byte, refusals, cancel.
import { describe, expect, it } from 'vitest';
import {
  sendFile,
  type TusAnswer,
  type TusOptions,
  type TusTransport,
  UploadRefused,
  verdictOn,
} from './tus-client.ts';

const bytes = (length: number): Blob => new Blob([Uint8Array.from({ length }, (_, index) => index % 251)]);

/** Stores like the platform; `break` says after how many bytes a piece breaks off, or with what status it fails. */
class Server implements TusTransport {
  stored = new Uint8Array();
  log: string[] = [];
  break: ((call: number) => number | TusAnswer | null) | null = null;
  #calls = 0;

  async head(): Promise<TusAnswer> {
    this.log.push('HEAD');
    return { status: 200, offset: this.stored.byteLength, text: '' };
  }

  async patch(_url: string, offset: number, body: Blob, onSent: (bytes: number) => void): Promise<TusAnswer> {
    this.log.push(`PATCH ${offset}+${body.size}`);
    if (offset !== this.stored.byteLength) return { status: 409, offset: null, text: '' };
    const fault = this.break?.(this.#calls++) ?? null;
    if (fault !== null && typeof fault !== 'number') return fault;
    const arrived = new Uint8Array(await body.arrayBuffer()).subarray(0, fault ?? body.size);
    onSent(arrived.byteLength);
    this.stored = Uint8Array.from([...this.stored, ...arrived]);
    if (fault !== null) return { status: 0, offset: null, text: '' };
    return { status: 204, offset: this.stored.byteLength, text: '' };
  }
}

function options(server: Server, file: Blob, over: Partial<TusOptions> = {}) {
  const seen: { progress: number[]; pauses: number[]; interrupted: boolean[] } = {
    progress: [],
    pauses: [],
    interrupted: [],
  };
  const all: TusOptions = {
    url: '/uploads/x.y',
    file,
    transport: server,
    signal: new AbortController().signal,
    chunkBytes: 10,
    onProgress: (sent) => seen.progress.push(sent),
    onInterrupted: (is) => seen.interrupted.push(is),
    pause: async (ms) => {
      seen.pauses.push(ms);
    },
    ...over,
  };
  return { all, seen };
}

describe('sendFile', () => {
  it('sends pieces of the agreed size and every byte once', async () => {
    const server = new Server();
    const file = bytes(25);
    await sendFile(options(server, file).all);
    expect(server.log).toEqual(['HEAD', 'PATCH 0+10', 'PATCH 10+10', 'PATCH 20+5']);
    expect(server.stored).toEqual(new Uint8Array(await file.arrayBuffer()));
  });

  it('goes on from what the server has after a break inside a piece', async () => {
    const server = new Server();
    const file = bytes(25);
    server.break = (call) => (call === 1 ? 3 : null);
    const { all, seen } = options(server, file);
    await sendFile(all);
    expect(server.log).toEqual(['HEAD', 'PATCH 0+10', 'PATCH 10+10', 'HEAD', 'PATCH 13+10', 'PATCH 23+2']);
    expect(server.stored).toEqual(new Uint8Array(await file.arrayBuffer()));
    expect(seen.interrupted).toContain(true);
    expect(seen.interrupted.at(-1)).toBe(false);
  });

  it('waits longer after each failure in a row, with a ceiling', async () => {
    const server = new Server();
    server.head = async () => ({ status: server.log.push('x') < 8 ? 503 : 200, offset: 0, text: '' });
    const { all, seen } = options(server, bytes(5));
    await sendFile(all);
    expect(seen.pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  });

  it('sends nothing when everything has arrived already', async () => {
    const server = new Server();
    server.stored = new Uint8Array(25);
    await sendFile(options(server, bytes(25)).all);
    expect(server.log).toEqual(['HEAD']);
  });

  it.each([
    [413, /larger/],
    [507, /disk/],
    [410, /ended/],
  ])('gives up on %s and says why', async (status, words) => {
    const server = new Server();
    server.break = () => ({ status, offset: null, text: '' });
    const failure = await sendFile(options(server, bytes(25)).all).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UploadRefused);
    expect(String(failure)).toMatch(words);
  });

  it('stops when cancelled', async () => {
    const server = new Server();
    const abort = new AbortController();
    server.break = (call) => {
      if (call === 1) abort.abort(new Error('cancelled'));
      return null;
    };
    await expect(sendFile(options(server, bytes(100), { signal: abort.signal }).all)).rejects.toThrow('cancelled');
    expect(server.log).toHaveLength(3);
  });
});

describe('verdictOn', () => {
  it.each([
    [204, 'go-on'],
    [0, 'again'],
    [409, 'again'],
    [423, 'again'],
    [503, 'again'],
    [507, 'refused'],
    [404, 'refused'],
    [413, 'refused'],
  ])('%s -> %s', (status, verdict) => expect(verdictOn({ status, offset: null, text: '' })).toBe(verdict));
});
