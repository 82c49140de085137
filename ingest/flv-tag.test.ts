import { expect, test } from 'vitest';
import { RING_KEYFRAME, RING_KINDS, RING_SEQUENCE_HEADER } from '../platform/contract/ring.ts';
import { classifyTag } from './flv-tag.ts';

const H = RING_SEQUENCE_HEADER;
const K = RING_KEYFRAME;

test.each([
  ['AVC header', 9, [0x17, 0, 0, 0, 0], H],
  ['AVC key frame', 9, [0x17, 1, 0, 0, 0], K],
  ['AVC frame', 9, [0x27, 1, 0, 0, 0], 0],
  ['AVC end of sequence, marked as key', 9, [0x17, 2, 0, 0, 0], 0],
  ['video info frame', 9, [0x57, 0x01, 0, 0, 0], 0],
  ['enhanced HEVC header', 9, [0x90, 0x68, 0x76, 0x63, 0x31], H],
  ['enhanced HEVC key frame', 9, [0x91, 0x68, 0x76, 0x63, 0x31], K],
  ['enhanced HEVC key frame without offset', 9, [0x93, 0x68, 0x76, 0x63, 0x31], K],
  ['enhanced HEVC frame', 9, [0xa1, 0x68, 0x76, 0x63, 0x31], 0],
  ['enhanced end of sequence', 9, [0x92, 0x68, 0x76, 0x63, 0x31], 0],
  ['enhanced metadata', 9, [0x94, 0x68, 0x76, 0x63, 0x31], 0],
  ['a codec of old, key frame', 9, [0x12, 0, 0, 0, 0], K],
  ['AAC header', 8, [0xaf, 0, 0x12], H],
  ['AAC frame', 8, [0xaf, 1, 0x12], 0],
  ['MP3 frame', 8, [0x2f, 0, 0x12], 0],
  ['enhanced audio header', 8, [0x90, 0x4f, 0x70], H],
  ['enhanced audio frame', 8, [0x91, 0x4f, 0x70], 0],
])('%s', (_name, type, bytes, flags) => {
  expect(classifyTag({ type, timestamp: 5, body: Buffer.from(bytes) })).toMatchObject({
    kind: type,
    flags,
    timestamp: 5,
  });
});

test.each([
  ['empty audio', 8, []],
  ['empty video', 9, []],
  ['cut video', 9, [0x17, 1]],
  ['a shared object', 19, [1, 2, 3]],
  ['a script that is no AMF', 18, [0x42, 1]],
  ['an empty script', 18, []],
])('%s is for nobody', (_name, type, bytes) => {
  expect(classifyTag({ type, timestamp: 0, body: Buffer.from(bytes) })).toBeNull();
});

const amfText = (text: string) => Buffer.concat([Buffer.from([2, 0, text.length]), Buffer.from(text)]);

test('metadata loses its wrapping, in AMF0 and in the AMF3 envelope', () => {
  const bare = Buffer.concat([amfText('onMetaData'), Buffer.from([8, 0, 0, 0, 0, 0, 0, 9])]);
  const wrapped = Buffer.concat([amfText('@setDataFrame'), bare]);
  for (const [type, body] of [
    [18, bare],
    [18, wrapped],
    [15, Buffer.concat([Buffer.from([0]), wrapped])],
  ] as const) {
    const tag = classifyTag({ type, timestamp: 0, body });
    expect(tag).toMatchObject({ kind: RING_KINDS.script, isMetadata: true });
    expect(tag?.body.equals(bare)).toBe(true);
  }
  expect(classifyTag({ type: 18, timestamp: 0, body: amfText('onCuePoint') })).toMatchObject({ isMetadata: false });
});
