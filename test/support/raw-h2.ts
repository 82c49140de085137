// One HTTP/2 session of the edge on a connection in memory, and a peer who writes its frames by hand.
import { type Duplex, duplexPair } from 'node:stream';
import type { Engine } from '../../edge-cache/engine.ts';
import { FRAME_HEAD_BYTES, writeFrameHead } from '../../edge-cache/h2-frames.ts';
import { HeaderDecoder } from '../../edge-cache/h2-header-decoder.ts';
import { H2Session } from '../../edge-cache/h2-session.ts';
import type { EdgeAnswer, EdgeRequest } from '../../edge-cache/messages.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export type SeenFrame = { type: number; flags: number; stream: number; payload: Buffer };

/** A frame as bytes. */
export function frameBytes(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const frame = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  writeFrameHead(frame, 0, payload.length, type, flags, stream);
  payload.copy(frame, FRAME_HEAD_BYTES);
  return frame;
}

/** A header block without tables or Huffman code. */
export function blockOf(fields: [name: string, value: string][]): Buffer {
  const text = (value: string): Buffer => {
    const length =
      value.length < 127 ? [value.length] : [127, ((value.length - 127) & 127) | 128, (value.length - 127) >> 7];
    return Buffer.concat([Buffer.from(length), Buffer.from(value, 'latin1')]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

export const get = (path: string, ...more: [string, string][]): Buffer =>
  blockOf([[':method', 'GET'], [':scheme', 'https'], [':authority', 'edge'], [':path', path], ...more]);

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const setting = (id: number, value: number): Buffer =>
  Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)]);

/** Answers at once what `now` answers; the rest when `late` does. */
export const engineOf = (
  now: (request: EdgeRequest) => EdgeAnswer | null,
  late: (request: EdgeRequest) => Promise<EdgeAnswer> = () => Promise.reject(new Error('nobody answers')),
): Engine => ({ answerNow: now, handle: late });

export const answerOf = (body: EdgeAnswer['body'], headers: Record<string, string> = {}): EdgeAnswer => ({
  status: 200,
  headers,
  body,
  kind: 'test',
  result: 'hit',
});

export type Peer = {
  session: H2Session;
  /** The edge's end of the connection. */
  socket: Duplex;
  /** What the edge has sent so far, SETTINGS and its acknowledgement left out. */
  frames: SeenFrame[];
  /** Reasons for which the edge has ended the connection. */
  ended: string[];
  reported: unknown[];
  send(type: number, flags: number, stream: number, payload?: Buffer): void;
  raw(bytes: Buffer): void;
  /** Lets everything under way arrive. */
  settle(): Promise<void>;
  /** Reads no more, then again. */
  pause(): void;
  resume(): void;
  /** Fields of the n-th header block that came. */
  fields(n?: number): Record<string, string>;
  /** DATA of one stream, in one piece. */
  body(stream: number): Buffer;
  /** The code of RST_STREAM of a stream, or of GOAWAY (stream 0); null: none came. */
  code(stream: number): number | null;
};

/** Two ends of a connection. Like a socket, and unlike a pair of streams, it holds no bytes of the writer's once it has taken them. */
function connection(): [Duplex, Duplex] {
  const [near, far] = duplexPair();
  const write = near._write;
  near._write = (chunk: Buffer, encoding, done) => write.call(near, Buffer.from(chunk), encoding, done);
  return [near, far];
}

/** A session and a peer who has said its preface and these settings. */
export async function openPeer(engine: Engine, settings: Buffer | null = Buffer.alloc(0)): Promise<Peer> {
  const [socket, far] = connection();
  const [frames, ended, reported]: [SeenFrame[], string[], unknown[]] = [[], [], []];
  const session = new H2Session(socket, '192.0.2.1', {
    engine,
    headerLimits: { listBytes: 16_384, fields: 64 },
    idleMs: 30_000,
    headersMs: 10_000,
    report: (thrown) => reported.push(thrown),
    ended: (reason) => ended.push(reason),
  });
  let rest = Buffer.alloc(0);
  far.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.length < FRAME_HEAD_BYTES ? Infinity : FRAME_HEAD_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) return;
      const [type, flags] = [rest[3] ?? 0, rest[4] ?? 0];
      const frame = { type, flags, stream: rest.readUInt32BE(5), payload: Buffer.from(rest.subarray(9, end)) };
      rest = rest.subarray(end);
      if (type !== 4) frames.push(frame);
    }
  });
  far.on('error', () => undefined);
  const raw = (bytes: Buffer): void => void far.write(bytes);
  const peer: Peer = {
    session,
    socket,
    frames,
    ended,
    reported,
    raw,
    send: (type, flags, stream, payload) => raw(frameBytes(type, flags, stream, payload)),
    // Every hand-over in memory takes a turn of the loop; the largest answer here takes less than these.
    async settle() {
      for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
    },
    pause: () => void far.pause(),
    resume: () => void far.resume(),
    fields(n = 0) {
      const decoder = new HeaderDecoder({ listBytes: 65_536, fields: 100 });
      const lists = frames
        .filter(({ type }) => type === 1)
        .map(({ payload }) => decoder.decode(payload, 0, payload.length));
      return Object.fromEntries((lists[n]?.fields ?? []).map(({ name, value }) => [name, value]));
    },
    body: (stream) => Buffer.concat(frames.filter((f) => f.type === 0 && f.stream === stream).map((f) => f.payload)),
    code(stream) {
      const frame = frames.find((f) => f.stream === stream && f.type === (stream === 0 ? 7 : 3));
      return frame?.payload.readUInt32BE(stream === 0 ? 4 : 0) ?? null;
    },
  };
  if (settings !== null) raw(Buffer.concat([PREFACE, frameBytes(4, 0, 0, settings)]));
  await peer.settle();
  return peer;
}
