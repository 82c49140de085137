// The ring protocol between ingest and live workers: FLV tags with arrival times, one after another in an HTTP body.
// GET {ingest}/ring/{broadcast}?from=start | from=live | session=S&tag=N | session=S&ts=MS     header Headwater-Internal: secret
//   start: oldest key frame held; live: newest key frame; tag: that tag on; ts: the newest key frame at or before MS.
// Answers 200 with frames until the broadcast ends or the reader leaves; 404 unknown broadcast; 410 `tag` is no longer held.
// Every body begins with a session frame and the sequence headers; each new session begins with them again.

export const RING_KINDS = { session: 1, audio: 8, video: 9, script: 18, away: 254, end: 255 } as const;
/** Bit flags of a frame. */
export const RING_KEYFRAME = 1;
export const RING_SEQUENCE_HEADER = 2;

export type RingFrame = {
  /**
   * One of RING_KINDS. `session`: payload is the session id, UTF-8; `away`: the publisher left at `arrival`, and its session is over; the
   * next frame is a session or the end. A reader that comes meanwhile gets it after what the ring holds. `end`: the broadcast is over.
   */
  kind: number;
  flags: number;
  /** FLV timestamp. Unit: ms. */
  timestamp: number;
  /** Wall clock at the ingest. Unit: ms since the epoch. */
  arrival: number;
  /** Counts up inside a session. */
  tag: number;
  payload: Uint8Array;
};

/** Bytes before each payload: u8 kind, u8 flags, u16 zero, u32 payload bytes, u32 timestamp, u32 tag, f64 arrival. Big endian. */
export const RING_HEADER_BYTES = 24;

/** Largest payload a reader accepts. Unit: bytes. */
export const RING_MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;

export function encodeRingHeader(frame: RingFrame): Uint8Array {
  const bytes = new Uint8Array(RING_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, frame.kind);
  view.setUint8(1, frame.flags);
  view.setUint32(4, frame.payload.byteLength);
  view.setUint32(8, frame.timestamp >>> 0);
  view.setUint32(12, frame.tag >>> 0);
  view.setFloat64(16, frame.arrival);
  return bytes;
}

/**
 * Splits a byte stream into ring frames. Feed it chunks in order; it keeps what is incomplete.
 * @throws RangeError when a header announces more than RING_MAX_PAYLOAD_BYTES
 */
export class RingDecoder {
  private pending: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): RingFrame[] {
    const data = this.pending.byteLength === 0 ? chunk : concat(this.pending, chunk);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const frames: RingFrame[] = [];
    let at = 0;
    while (data.byteLength - at >= RING_HEADER_BYTES) {
      const bytes = view.getUint32(at + 4);
      if (bytes > RING_MAX_PAYLOAD_BYTES) throw new RangeError(`ring frame of ${bytes} bytes`);
      if (data.byteLength - at < RING_HEADER_BYTES + bytes) break;
      frames.push({
        kind: view.getUint8(at),
        flags: view.getUint8(at + 1),
        timestamp: view.getUint32(at + 8),
        tag: view.getUint32(at + 12),
        arrival: view.getFloat64(at + 16),
        payload: data.subarray(at + RING_HEADER_BYTES, at + RING_HEADER_BYTES + bytes),
      });
      at += RING_HEADER_BYTES + bytes;
    }
    this.pending = data.subarray(at);
    return frames;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.byteLength + b.byteLength);
  both.set(a);
  both.set(b, a.byteLength);
  return both;
}
