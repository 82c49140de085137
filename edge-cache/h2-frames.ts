// HTTP/2 frames as bytes: taken out of what a socket brings, and the small ones made. Source: RFC 9113, sections 3.4, 4 and 6.

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Error codes. Source: section 7. */
export const CODE = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;

/** Source: section 6.5.2; the last: RFC 9218, section 2.1. */
export const SETTING = {
  enablePush: 2,
  concurrentStreams: 3,
  initialWindow: 4,
  frameBytes: 5,
  headerListBytes: 6,
  noPriorities: 9,
} as const;

export const FRAME_HEAD_BYTES = 9;
/** Largest payload either side sends: nobody is told of another limit. Unit: bytes. */
export const FRAME_BYTES = 16_384;
/** What a window holds before anything is said about it. Unit: bytes. */
export const FIRST_WINDOW_BYTES = 65_535;
export const LARGEST_WINDOW_BYTES = 2 ** 31 - 1;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const NOTHING: Buffer = Buffer.alloc(0);
/** An idle connection keeps no more than this for the frame to come. Unit: bytes. */
const KEPT_BYTES = 1_024;

/** One frame. Belongs to the reader, which fills it anew for the next one; the payload is bytes [from, to). */
export type Frame = { type: number; flags: number; stream: number; bytes: Buffer; from: number; to: number };

export interface FrameSink {
  /** @returns false: nothing more is to be read */
  frame(frame: Frame): boolean;
  /** What came is no frame: another protocol, or longer than allowed. Nothing more is read. */
  broken(code: number): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #frame: Frame = { type: 0, flags: 0, stream: 0, bytes: PREFACE, from: 0, to: 0 };
  #prefaceBytes = 0;
  /** A frame of which a part has come; grows with what comes, not with what is announced. */
  #part = NOTHING;
  #partBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** In the middle of the preface or of a frame. */
  get isWaiting(): boolean {
    return this.#prefaceBytes < PREFACE.length || this.#partBytes > 0;
  }

  read(chunk: Buffer): void {
    let at = this.#prefaceBytes < PREFACE.length ? this.#preface(chunk) : 0;
    while (at !== -1 && at < chunk.length)
      at = this.#partBytes > 0 ? this.#continue(chunk, at) : this.#whole(chunk, at);
    this.#frame.bytes = NOTHING;
  }

  #preface(chunk: Buffer): number {
    const at = Math.min(chunk.length, PREFACE.length - this.#prefaceBytes);
    if (PREFACE.compare(chunk, 0, at, this.#prefaceBytes, this.#prefaceBytes + at) !== 0) return this.#broken(1);
    this.#prefaceBytes += at;
    return at;
  }

  /** Frames that lie whole in the chunk; the rest of it begins one. @returns where to go on, -1: nowhere */
  #whole(chunk: Buffer, from: number): number {
    let at = from;
    while (chunk.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + chunk.readUIntBE(at, 3);
      if (end - at > FRAME_HEAD_BYTES + FRAME_BYTES) return this.#broken(CODE.frameSize);
      if (end > chunk.length) break;
      if (!this.#give(chunk, at, end)) return -1;
      at = end;
    }
    return at < chunk.length ? this.#collect(chunk, at, chunk.length) : at;
  }

  #continue(chunk: Buffer, from: number): number {
    const isHead = this.#partBytes < FRAME_HEAD_BYTES;
    const payload = isHead ? 0 : this.#part.readUIntBE(0, 3);
    const missing = FRAME_HEAD_BYTES + payload - this.#partBytes;
    const at = this.#collect(chunk, from, Math.min(chunk.length, from + missing));
    if (at - from < missing) return at;
    const length = this.#part.readUIntBE(0, 3);
    if (length > FRAME_BYTES) return this.#broken(CODE.frameSize);
    if (isHead && length > 0) return at;
    const part = this.#part;
    this.#partBytes = 0;
    if (part.length > KEPT_BYTES) this.#part = NOTHING;
    return this.#give(part, 0, FRAME_HEAD_BYTES + length) ? at : -1;
  }

  #collect(chunk: Buffer, from: number, to: number): number {
    const needed = this.#partBytes + to - from;
    if (needed > this.#part.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(64, needed * 2));
      this.#part.copy(larger, 0, 0, this.#partBytes);
      this.#part = larger;
    }
    chunk.copy(this.#part, this.#partBytes, from, to);
    this.#partBytes = needed;
    return to;
  }

  #give(bytes: Buffer, at: number, end: number): boolean {
    const frame = this.#frame;
    frame.type = bytes[at + 3] ?? 0;
    frame.flags = bytes[at + 4] ?? 0;
    frame.stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    frame.bytes = bytes;
    frame.from = at + FRAME_HEAD_BYTES;
    frame.to = end;
    return this.#sink.frame(frame);
  }

  #broken(code: number): -1 {
    this.#sink.broken(code);
    return -1;
  }
}

/**
 * Takes the padding off the payload of DATA or HEADERS.
 * @returns false: more padding than payload
 * Source: section 6.1.
 */
export function unpad(frame: Frame): boolean {
  if ((frame.flags & FLAG.padded) === 0) return true;
  if (frame.to === frame.from) return false;
  const padding = frame.bytes[frame.from] ?? 0;
  frame.from += 1;
  frame.to -= padding;
  return frame.to >= frame.from;
}

/** Writes the nine bytes before a payload. */
export function writeFrameHead(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out.writeUInt32BE(stream, at + 5);
}

function frameOf(type: number, flags: number, stream: number, payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payloadBytes);
  writeFrameHead(frame, 0, payloadBytes, type, flags, stream);
  return frame;
}

/** @param settings pairs of identifier and value */
export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const frame = frameOf(FRAME.settings, 0, 0, settings.length * 6);
  for (const [i, [id, value]] of settings.entries()) {
    frame.writeUInt16BE(id, FRAME_HEAD_BYTES + i * 6);
    frame.writeUInt32BE(value, FRAME_HEAD_BYTES + i * 6 + 2);
  }
  return frame;
}

export const settingsAck = frameOf(FRAME.settings, FLAG.ack, 0, 0);

export function pingAck({ bytes, from, to }: Frame): Buffer {
  const frame = frameOf(FRAME.ping, FLAG.ack, 0, 8);
  bytes.copy(frame, FRAME_HEAD_BYTES, from, to);
  return frame;
}

export function resetFrame(stream: number, code: number): Buffer {
  const frame = frameOf(FRAME.reset, 0, stream, 4);
  frame.writeUInt32BE(code, FRAME_HEAD_BYTES);
  return frame;
}

export function windowFrame(stream: number, bytes: number): Buffer {
  const frame = frameOf(FRAME.windowUpdate, 0, stream, 4);
  frame.writeUInt32BE(bytes, FRAME_HEAD_BYTES);
  return frame;
}

/** @param last highest stream that was or will be answered */
export function goawayFrame(last: number, code: number): Buffer {
  const frame = frameOf(FRAME.goaway, 0, 0, 8);
  frame.writeUInt32BE(last, FRAME_HEAD_BYTES);
  frame.writeUInt32BE(code, FRAME_HEAD_BYTES + 4);
  return frame;
}
