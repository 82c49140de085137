// Names of the codecs an RTMP publisher may send, classic and Enhanced RTMP. Workers use H.264 and AAC.
// Source: Adobe FLV 10.1, annex E.4; Enhanced RTMP v2.
import { EXTENDED_AUDIO, EXTENDED_VIDEO } from './flv-tag.ts';

export const VIDEO_FOR_VIEWERS = 'h264';
export const AUDIO_FOR_VIEWERS = 'aac';

const CLASSIC_VIDEO: Record<number, string> = {
  2: 'h263',
  3: 'screen',
  4: 'vp6',
  5: 'vp6',
  6: 'screen',
  7: 'h264',
  12: 'hevc',
};
const CLASSIC_AUDIO: Record<number, string> = {
  0: 'pcm',
  1: 'adpcm',
  2: 'mp3',
  3: 'pcm',
  4: 'nellymoser',
  5: 'nellymoser',
  6: 'nellymoser',
  7: 'g711',
  8: 'g711',
  10: 'aac',
  11: 'speex',
  14: 'mp3',
};
const FOUR_CC: Record<string, string> = {
  avc1: 'h264',
  hvc1: 'hevc',
  av01: 'av1',
  vp08: 'vp8',
  vp09: 'vp9',
  mp4a: 'aac',
  Opus: 'opus',
  'ac-3': 'ac3',
  'ec-3': 'eac3',
  fLaC: 'flac',
  '.mp3': 'mp3',
};

/** @param body of a video tag, at least five bytes */
export function videoCodecOf(body: Buffer): string {
  const first = body[0] ?? 0;
  if ((first & EXTENDED_VIDEO) !== 0) return fourCcOf(body);
  return CLASSIC_VIDEO[first & 0x0f] ?? 'unknown';
}

/** @param body of an audio tag */
export function audioCodecOf(body: Buffer): string {
  const format = (body[0] ?? 0) >> 4;
  return format === EXTENDED_AUDIO ? fourCcOf(body) : (CLASSIC_AUDIO[format] ?? 'unknown');
}

const fourCcOf = (body: Buffer): string => FOUR_CC[body.toString('latin1', 1, 5)] ?? 'unknown';
