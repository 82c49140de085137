// What an FLV tag body is: key frame, sequence header, metadata. Nothing here decodes media.
import { RING_KEYFRAME, RING_KINDS, RING_SEQUENCE_HEADER } from '../platform/contract/ring.ts';
import { readAmf0 } from './amf0.ts';

/** A message body as RTMP carries it. */
export type FlvTag = {
  /** RTMP message type: 8 audio, 9 video, 18 data (AMF0), 15 data (AMF3 envelope). */
  type: number;
  /** Unit: ms, 32 bits. */
  timestamp: number;
  body: Buffer;
};

export type ClassifiedTag = { kind: number; flags: number; timestamp: number; body: Buffer; isMetadata: boolean };

/**
 * Whether a reader may begin at this tag: a key frame, or any sound while there is no picture.
 * @param hasVideo a video tag came before in this session
 */
export function isCut(tag: ClassifiedTag, hasVideo: boolean): boolean {
  if ((tag.flags & RING_KEYFRAME) !== 0) return true;
  return tag.kind === RING_KINDS.audio && (tag.flags & RING_SEQUENCE_HEADER) === 0 && !hasVideo;
}

/** Which of the headers in force a tag replaces: the metadata, or a codec's sequence header. Null: none. */
export function headerSlotOf(tag: ClassifiedTag): 'metadata' | 'video' | 'audio' | null {
  if (tag.isMetadata) return 'metadata';
  if ((tag.flags & RING_SEQUENCE_HEADER) === 0) return null;
  if (tag.kind === RING_KINDS.video) return 'video';
  return tag.kind === RING_KINDS.audio ? 'audio' : null;
}

/** Enhanced RTMP's form of a tag: a bit of a video tag's first byte, a sound format of an audio tag's. The codec's four characters follow. */
export const EXTENDED_VIDEO = 0x80;
export const EXTENDED_AUDIO = 9;

const AMF3_DATA = 15;
const SET_DATA_FRAME = amfString('@setDataFrame');
const ON_METADATA = amfString('onMetaData');

/**
 * Sorts a tag; null for what no reader needs (empty or cut bodies, broken scripts).
 * Source: Adobe FLV 10.1, annex E.4; Enhanced RTMP v2.
 */
export function classifyTag(tag: FlvTag): ClassifiedTag | null {
  if (tag.type === RING_KINDS.audio) return media(tag, audioFlags(tag.body));
  if (tag.type === RING_KINDS.video) return media(tag, videoFlags(tag.body));
  if (tag.type === RING_KINDS.script) return script(tag.timestamp, tag.body);
  return tag.type === AMF3_DATA ? script(tag.timestamp, tag.body.subarray(1)) : null;
}

function media(tag: FlvTag, flags: number | null): ClassifiedTag | null {
  if (flags === null) return null;
  return { kind: tag.type, flags, timestamp: tag.timestamp, body: tag.body, isMetadata: false };
}

const AAC = 10;

function audioFlags(body: Buffer): number | null {
  const [first, second] = body;
  if (first === undefined || second === undefined) return null;
  const format = first >> 4;
  if (format === AAC) return second === 0 ? RING_SEQUENCE_HEADER : 0;
  if (format === EXTENDED_AUDIO) return (first & 0x0f) === 0 ? RING_SEQUENCE_HEADER : 0;
  return 0;
}

const CODECS_WITH_HEADER = [7, 12];
const KEY = 1;

function videoFlags(body: Buffer): number | null {
  const [first, second] = body;
  if (first === undefined || second === undefined || body.length < 5) return null;
  const isKey = ((first >> 4) & 0x07) === KEY;
  if ((first & EXTENDED_VIDEO) !== 0) {
    const packet = first & 0x0f;
    if (packet === 0) return RING_SEQUENCE_HEADER;
    return isKey && (packet === 1 || packet === 3) ? RING_KEYFRAME : 0;
  }
  if (!CODECS_WITH_HEADER.includes(first & 0x0f)) return isKey ? RING_KEYFRAME : 0;
  if (second === 0) return RING_SEQUENCE_HEADER;
  return second === 1 && isKey ? RING_KEYFRAME : 0;
}

/** Encoders wrap metadata in `@setDataFrame`; an FLV file has it bare. */
function script(timestamp: number, body: Buffer): ClassifiedTag | null {
  const bare = startsWith(body, SET_DATA_FRAME) ? body.subarray(SET_DATA_FRAME.length) : body;
  try {
    readAmf0(bare);
  } catch {
    return null;
  }
  return { kind: RING_KINDS.script, flags: 0, timestamp, body: bare, isMetadata: startsWith(bare, ON_METADATA) };
}

const startsWith = (body: Buffer, head: Buffer): boolean => body.subarray(0, head.length).equals(head);

function amfString(text: string): Buffer {
  return Buffer.concat([Buffer.from([2, text.length >> 8, text.length & 0xff]), Buffer.from(text)]);
}
