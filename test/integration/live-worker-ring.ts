// An ingest node's ring as the live worker sees it, fed from a clip: tags leave in real time (or faster) and are all kept.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { newId, type SessionId } from '../../platform/contract/ids.ts';
import {
  encodeRingHeader,
  RING_KEYFRAME,
  RING_KINDS,
  RING_SEQUENCE_HEADER,
  type RingFrame,
} from '../../platform/contract/ring.ts';
import { headers } from '../../platform/contract/routes.ts';
import { delay } from '../../platform/runtime/waits.ts';

const run = promisify(execFile);

export type FlvFileTag = { kind: number; timestamp: number; payload: Uint8Array };

/** Tags of an FLV file. */
export function splitFlv(bytes: Uint8Array): FlvFileTag[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tags: FlvFileTag[] = [];
  let at = 13;
  while (at + 11 <= bytes.length) {
    const size = view.getUint32(at) & 0xffffff;
    const timestamp = (view.getUint32(at + 3) & 0xffffff) + view.getUint8(at + 7) * 0x1000000;
    tags.push({ kind: view.getUint8(at), timestamp, payload: bytes.subarray(at + 11, at + 11 + size) });
    at += 11 + size + 4;
  }
  return tags;
}

/** Makes an FLV of a clip, as a publisher would send it: with B-frames, a key frame every 2 s. */
export async function makeFlv(
  source: string,
  path: string,
  options: { seconds: number; fps: string; audio: string[]; gop?: number; filter?: string },
): Promise<FlvFileTag[]> {
  const { seconds, fps, audio, gop = 60, filter = 'scale=320:180' } = options;
  const input = ['-v', 'error', '-y', '-stream_loop', '-1', '-i', source, '-t', `${seconds}`];
  const video = ['-vf', `${filter},fps=${fps}`, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', `${gop}`, '-bf', '2'];
  await run('nice', ['ffmpeg', ...input, ...video, ...audio, '-f', 'flv', '-flvflags', 'no_duration_filesize', path]);
  return splitFlv(await readFile(path));
}

const isHeader = (tag: FlvFileTag): boolean =>
  (tag.kind === RING_KINDS.video || tag.kind === RING_KINDS.audio) && tag.payload[1] === 0;
const isKey = (tag: FlvFileTag): boolean =>
  tag.kind === RING_KINDS.video && (tag.payload[0] ?? 0) >> 4 === 1 && tag.payload[1] === 1;

type Held = { session: SessionId; frame: RingFrame };

export class TestRing {
  readonly secret = 'a-secret-between-the-roles-of-a-test';
  readonly session: SessionId[] = [];
  /** Requests in order, as their query. */
  readonly requests: string[] = [];
  readonly #held: Held[] = [];
  readonly #server: Server;
  readonly #stopped = new AbortController();
  #waiters: (() => void)[] = [];
  #isEnded = false;
  #isGone = false;

  constructor() {
    this.#server = createServer((req, res) => void this.#serve(req, res));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    this.#wake();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /**
   * One publisher: a new session that sends these tags.
   * @param speed 1 is real time
   */
  async publish(
    tags: readonly FlvFileTag[],
    speed: number,
    options: { shift?: number; session?: SessionId } = {},
  ): Promise<void> {
    const session = options.session ?? newId<SessionId>();
    if (!this.session.includes(session)) this.session.push(session);
    const began = Date.now();
    const first = tags[0]?.timestamp ?? 0;
    const past = this.#held.findLast((held) => held.session === session);
    let number = past === undefined ? 0 : past.frame.tag + 1;
    for (const tag of tags) {
      const due = began + (tag.timestamp - first) / speed;
      if (due > Date.now()) await delay(due - Date.now(), this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
      const flags = (isKey(tag) ? RING_KEYFRAME : 0) | (isHeader(tag) ? RING_SEQUENCE_HEADER : 0);
      const timestamp = tag.timestamp + (options.shift ?? 0);
      const frame = { kind: tag.kind, flags, timestamp, arrival: Date.now(), tag: number, payload: tag.payload };
      this.#held.push({ session, frame });
      number += 1;
      this.#wake();
    }
  }

  /** The publisher leaves; its session is over. */
  leave(): void {
    const last = this.#held.at(-1);
    if (last === undefined) return;
    const { session, frame } = last;
    const away = { ...frame, kind: RING_KINDS.away, flags: 0, arrival: Date.now(), tag: frame.tag + 1 };
    this.#held.push({ session, frame: { ...away, payload: new Uint8Array(0) } });
    this.#wake();
  }

  /** Cuts every reader off and answers nobody until back() (a node that is gone). */
  vanish(): void {
    this.#isGone = true;
    this.#server.closeAllConnections();
    this.#wake();
  }

  back(): void {
    this.#isGone = false;
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  /** Drops what was held before the newest key frame, as a ring does that is full. */
  forget(): void {
    const key = this.#held.findLastIndex(({ frame }) => (frame.flags & RING_KEYFRAME) !== 0);
    const kept = this.#held.filter(({ frame }, i) => i >= key || (frame.flags & RING_SEQUENCE_HEADER) !== 0);
    this.#held.splice(0, this.#held.length, ...kept);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  #locate(query: URLSearchParams): number {
    const session = query.get('session');
    const keys = this.#held.flatMap(({ frame }, i) => (frame.flags & RING_KEYFRAME ? [i] : []));
    if (session === null) {
      return (query.get('from') === 'live' ? keys.at(-1) : keys[0]) ?? 0;
    }
    const tag = query.get('tag');
    if (tag !== null) {
      const at = this.#held.findIndex((held) => held.session === session && held.frame.tag === Number(tag));
      if (at >= 0) return at;
      const last = this.#held.findLastIndex((held) => held.session === session);
      return last >= 0 && this.#held[last]?.frame.tag === Number(tag) - 1 ? last + 1 : -1;
    }
    const ts = Number(query.get('ts'));
    const own = keys.filter((i) => this.#held[i]?.session === session);
    return own.findLast((i) => (this.#held[i]?.frame.timestamp ?? 0) <= ts) ?? own[0] ?? -1;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', 'http://ring');
    this.requests.push(url.search);
    res.on('close', () => this.#wake());
    let at = this.#locate(url.searchParams);
    if (this.#isGone) return void req.socket.destroy();
    if (req.headers[headers.internal] !== this.secret) return void res.writeHead(401).end();
    if (at < 0) return void res.writeHead(410).end();
    res.writeHead(200);
    let session: SessionId | null = null;
    while (!res.destroyed && !this.#stopped.signal.aborted) {
      const held = this.#held[at];
      if (held === undefined) {
        if (this.#isEnded) break;
        await new Promise<void>((resolve) => {
          this.#waiters.push(resolve);
        });
        continue;
      }
      if (held.session !== session) {
        session = held.session;
        this.#send(res, { ...held.frame, kind: RING_KINDS.session, flags: 0, payload: Buffer.from(session) });
        const before = this.#held
          .slice(0, at)
          .filter((past) => past.session === session && past.frame.flags & RING_SEQUENCE_HEADER);
        for (const past of before) this.#send(res, past.frame);
      }
      this.#send(res, held.frame);
      at += 1;
    }
    const end = { kind: RING_KINDS.end, flags: 0, timestamp: 0, arrival: 0, tag: 0, payload: new Uint8Array(0) };
    if (this.#isEnded) this.#send(res, end);
    res.end();
  }

  #send(res: ServerResponse, frame: RingFrame): void {
    res.write(encodeRingHeader(frame));
    res.write(frame.payload);
  }
}
