// FLV tags as the ring carries them: what a video, audio or script payload says of itself, and the bytes that feed ffmpeg's FLV reader.
// Source: Adobe Flash Video File Format Specification 10.1, annex E.

/** Codec ids of the two formats that pass; everything else is named by number in logs. */
export const FLV_AVC = 7;
export const FLV_AAC = 10;

export type VideoTag = {
  /** FLV codec id; -1 for an enhanced (fourCC) header. */
  codec: number;
  isKey: boolean;
  /** The payload is the decoder configuration (avcC), not a frame. */
  isConfig: boolean;
  /** Presentation minus decode time. Unit: ms. */
  ctsMs: number;
  data: Uint8Array;
};
export type AudioTag = { codec: number; isConfig: boolean; data: Uint8Array };

/** Reads a video payload; null when it is too short to hold its header. */
export function readVideoTag(payload: Uint8Array): VideoTag | null {
  const first = payload[0];
  if (first === undefined) return null;
  if ((first & 0x80) !== 0) {
    return { codec: -1, isKey: ((first >> 4) & 7) === 1, isConfig: (first & 15) === 0, ctsMs: 0, data: payload };
  }
  const codec = first & 15;
  const isKey = first >> 4 === 1;
  if (codec !== FLV_AVC) return { codec, isKey, isConfig: false, ctsMs: 0, data: payload.subarray(1) };
  if (payload.length < 5) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  // A signed 24-bit number: read with the byte after it, then shifted down again.
  const ctsMs = payload.length >= 6 ? view.getInt32(2) >> 8 : 0;
  return { codec, isKey, isConfig: payload[1] === 0, ctsMs, data: payload.subarray(5) };
}

/** Reads an audio payload; null when it is too short to hold its header. */
export function readAudioTag(payload: Uint8Array): AudioTag | null {
  const first = payload[0];
  if (first === undefined) return null;
  const codec = first >> 4;
  if (codec !== FLV_AAC) return { codec, isConfig: false, data: payload.subarray(1) };
  return payload.length < 2 ? null : { codec, isConfig: payload[1] === 0, data: payload.subarray(2) };
}

const FRAME_RATE_FIELD = Uint8Array.from([0, 9, ...Buffer.from('framerate'), 0]);

/** `framerate` of an onMetaData payload, frames per second; null when it does not say. A hint only: publishers get it wrong. */
export function metadataFrameRate(payload: Uint8Array): number | null {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const at = bytes.indexOf(FRAME_RATE_FIELD);
  if (at < 0 || at + FRAME_RATE_FIELD.length + 8 > bytes.length) return null;
  const rate = bytes.readDoubleBE(at + FRAME_RATE_FIELD.length);
  return Number.isFinite(rate) && rate > 0 ? rate : null;
}

/** Start of an FLV stream. The flags must be true to what follows: ffmpeg waits for a track that is announced and never comes. */
export function flvHeader(hasVideo: boolean, hasAudio: boolean): Uint8Array {
  return Uint8Array.from([0x46, 0x4c, 0x56, 1, (hasVideo ? 1 : 0) | (hasAudio ? 4 : 0), 0, 0, 0, 9, 0, 0, 0, 0]);
}

/**
 * One tag with the size field that follows it.
 * @param kind 8 audio, 9 video, 18 script
 * @param timestamp ms, taken modulo 2^32
 */
export function flvTag(kind: number, timestamp: number, payload: Uint8Array): Uint8Array {
  const tag = new Uint8Array(11 + payload.length + 4);
  const view = new DataView(tag.buffer);
  view.setUint32(0, ((kind << 24) | payload.length) >>> 0);
  // Low 24 bits, then the high 8: FLV's order.
  view.setUint32(4, (((timestamp & 0xffffff) << 8) | ((timestamp >>> 24) & 0xff)) >>> 0);
  tag.set(payload, 11);
  view.setUint32(11 + payload.length, 11 + payload.length);
  return tag;
}
