// A small RTMP publisher for tests: sends what it is told, byte for byte, in any order, also what no encoder would send.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { within } from '../../platform/runtime/waits.ts';

/** Values that AMF0 can carry here. `EcmaArray` is what metadata comes in. */
export type AmfValue =
  | number
  | boolean
  | string
  | null
  | undefined
  | AmfValue[]
  | { [name: string]: AmfValue }
  | EcmaArray;
export class EcmaArray {
  readonly fields: Record<string, AmfValue>;
  constructor(fields: Record<string, AmfValue>) {
    this.fields = fields;
  }
}

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const name = (text: string): Buffer => Buffer.concat([u16(Buffer.byteLength(text)), Buffer.from(text)]);
const fieldsOf = (fields: Record<string, AmfValue>): Buffer =>
  Buffer.concat([
    ...Object.entries(fields).map(([key, value]) => Buffer.concat([name(key), amf(value)])),
    Buffer.from([0, 0, 9]),
  ]);

/** One AMF0 value. */
export function amf(value: AmfValue): Buffer {
  if (value === null) return Buffer.from([5]);
  if (value === undefined) return Buffer.from([6]);
  if (typeof value === 'boolean') return Buffer.from([1, value ? 1 : 0]);
  if (typeof value === 'string') return Buffer.concat([Buffer.from([2]), name(value)]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (Array.isArray(value)) return Buffer.concat([Buffer.from([10]), u32(value.length), ...value.map(amf)]);
  if (value instanceof EcmaArray)
    return Buffer.concat([Buffer.from([8]), u32(Object.keys(value.fields).length), fieldsOf(value.fields)]);
  return Buffer.concat([Buffer.from([3]), fieldsOf(value)]);
}

/** Several AMF0 values one after another: a command or data body. */
export const amfBody = (...values: AmfValue[]): Buffer => Buffer.concat(values.map(amf));

export type RtmpMessage = {
  chunkStream: number;
  type: number;
  streamId: number;
  timestamp: number;
  body: Buffer;
};

/** Chunk size that modern encoders announce. */
const CHUNK_BYTES = 4_096;
const HANDSHAKE_BYTES = 1_536;

/** The chunks of one message: a full header, then continuations. */
export function chunksOf(message: RtmpMessage, chunkBytes: number): Buffer {
  const isExtended = message.timestamp >= 0xffffff;
  const header = Buffer.alloc(12);
  header[0] = message.chunkStream;
  header.writeUIntBE(isExtended ? 0xffffff : message.timestamp, 1, 3);
  header.writeUIntBE(message.body.length, 4, 3);
  header[7] = message.type;
  header.writeUInt32LE(message.streamId, 8);
  const extended = isExtended ? u32(message.timestamp) : Buffer.alloc(0);
  const parts: Buffer[] = [header, extended];
  for (let at = 0; at < message.body.length || at === 0; at += chunkBytes) {
    if (at > 0) parts.push(Buffer.from([0xc0 | message.chunkStream]), extended);
    parts.push(message.body.subarray(at, at + chunkBytes));
  }
  return Buffer.concat(parts);
}

export class RtmpClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  /** Everything the server sent after the handshake, as it came. */
  received: Buffer = Buffer.alloc(0);
  private chunkBytes = 128;
  private transaction = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  get isClosed(): boolean {
    return this.socket.destroyed;
  }

  async handshake(): Promise<void> {
    const c1 = Buffer.concat([Buffer.alloc(8), randomBytes(HANDSHAKE_BYTES - 8)]);
    this.socket.write(Buffer.concat([Buffer.from([3]), c1]));
    const answer = await this.take(1 + 2 * HANDSHAKE_BYTES);
    this.socket.write(answer.subarray(1, 1 + HANDSHAKE_BYTES));
    this.socket.on('data', (data: Buffer) => {
      this.received = Buffer.concat([this.received, data]);
      this.socket.emit('answered');
    });
  }

  private async take(bytes: number): Promise<Buffer> {
    let held: Buffer = Buffer.alloc(0);
    while (held.length < bytes) {
      const [data] = (await within(once(this.socket, 'data'), 5_000, 'handshake')) as [Buffer];
      held = Buffer.concat([held, data]);
    }
    return held;
  }

  /** Raw bytes. */
  raw(bytes: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  send(message: RtmpMessage): void {
    this.raw(chunksOf(message, this.chunkBytes));
  }

  setChunkSize(bytes: number): void {
    this.send({ chunkStream: 2, type: 1, streamId: 0, timestamp: 0, body: u32(bytes) });
    this.chunkBytes = bytes;
  }

  /** A command message; the transaction number counts up by itself. */
  command(command: string, streamId: number, ...values: AmfValue[]): void {
    this.transaction += 1;
    const body = amfBody(command, this.transaction, ...values);
    this.send({ chunkStream: streamId === 0 ? 3 : 4, type: 20, streamId, timestamp: 0, body });
  }

  /** Waits until the server has sent this text (a status code, `_result`). Rejects when the connection ends first. */
  async answered(text: string, ms = 5_000): Promise<void> {
    const seen = async () => {
      while (!this.received.includes(text)) {
        if (this.socket.destroyed) throw new Error(`connection closed before ${text}`);
        await Promise.race([once(this.socket, 'answered'), this.closed]);
      }
    };
    await within(seen(), ms, `answer ${text}`);
  }

  metadata(fields: Record<string, AmfValue>): void {
    const body = amfBody('@setDataFrame', 'onMetaData', new EcmaArray(fields));
    this.send({ chunkStream: 4, type: 18, streamId: 1, timestamp: 0, body });
  }

  tag(tag: FlvFileTag): void {
    this.send({ chunkStream: 4, type: tag.type, streamId: 1, timestamp: tag.timestamp, body: tag.body });
  }

  /** Cuts the connection without a word, as a pulled cable does not but a crash does. */
  async destroy(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** Connects and shakes hands. */
export async function connectRtmp(port: number, host = '127.0.0.1'): Promise<RtmpClient> {
  const socket = connect(port, host);
  await once(socket, 'connect');
  const client = new RtmpClient(socket);
  await client.handshake();
  return client;
}

/** Fields of OBS Studio's connect command, Enhanced RTMP's list among them. */
export const OBS_CONNECT = {
  type: 'nonprivate',
  flashVer: 'FMLE/3.0 (compatible; FMSc/1.0)',
  fourCcList: ['av01', 'hvc1'],
  capsEx: 0,
  videoFourCcInfoMap: new EcmaArray({ '*': 4 }),
};

/** Up to and with `publish`, in OBS's order; waits for the answers OBS waits for. Rejects when refused. */
export async function publishLikeObs(client: RtmpClient, port: number, key: string, app = 'live'): Promise<void> {
  const url = `rtmp://127.0.0.1:${port}/${app}`;
  client.setChunkSize(CHUNK_BYTES);
  client.command('connect', 0, { app, ...OBS_CONNECT, swfUrl: url, tcUrl: url });
  await client.answered('NetConnection.Connect.Success');
  client.send({ chunkStream: 2, type: 5, streamId: 0, timestamp: 0, body: u32(2_500_000) });
  client.command('releaseStream', 0, null, key);
  client.command('FCPublish', 0, null, key);
  client.received = Buffer.alloc(0);
  client.command('createStream', 0, null);
  await client.answered('_result');
  client.command('publish', 1, null, key, 'live');
  await client.answered('NetStream.Publish.Start');
}

/** The end of a broadcast as OBS says it. */
export function unpublishLikeObs(client: RtmpClient, key: string): void {
  client.command('FCUnpublish', 0, null, key);
  client.command('deleteStream', 0, null, 1);
}

export type FlvFileTag = { type: number; timestamp: number; body: Buffer };

/** Splits an FLV file into its tags: our own demultiplexer, to compare with. */
export function readFlv(file: Buffer): FlvFileTag[] {
  const tags: FlvFileTag[] = [];
  let at = file.readUInt32BE(5) + 4;
  while (at + 11 <= file.length) {
    const type = (file[at] ?? 0) & 0x1f;
    const bytes = file.readUIntBE(at + 1, 3);
    const timestamp = file.readUIntBE(at + 4, 3) + (file[at + 7] ?? 0) * 2 ** 24;
    if (at + 11 + bytes > file.length) break;
    tags.push({ type, timestamp, body: file.subarray(at + 11, at + 11 + bytes) });
    at += 11 + bytes + 4;
  }
  return tags;
}
