// FLV tags: headers read as publishers write them, bytes written as ffmpeg reads them.
import { describe, expect, test } from 'vitest';
import { flvHeader, flvTag, metadataFrameRate, readAudioTag, readVideoTag } from './flv-tags.ts';

describe('readVideoTag', () => {
  test('key frame with a composition offset', () => {
    const tag = readVideoTag(Uint8Array.from([0x17, 1, 0, 0, 67, 9, 9]));
    expect(tag).toMatchObject({ codec: 7, isKey: true, isConfig: false, ctsMs: 67 });
    expect(tag?.data).toEqual(Uint8Array.from([9, 9]));
  });
  test('negative composition offset', () => {
    expect(readVideoTag(Uint8Array.from([0x27, 1, 0xff, 0xff, 0xfe, 9]))).toMatchObject({ isKey: false, ctsMs: -2 });
  });
  test('decoder configuration', () => {
    expect(readVideoTag(Uint8Array.from([0x17, 0, 0, 0, 0, 1]))).toMatchObject({ isConfig: true, codec: 7 });
  });
  test('enhanced header', () => {
    expect(readVideoTag(Uint8Array.from([0x90, ...Buffer.from('hvc1')]))).toMatchObject({ codec: -1, isConfig: true });
  });
  test('another codec, and nothing', () => {
    expect(readVideoTag(Uint8Array.from([0x22, 1]))).toMatchObject({ codec: 2 });
    expect(readVideoTag(new Uint8Array(0))).toBeNull();
    expect(readVideoTag(Uint8Array.from([0x17, 1]))).toBeNull();
  });
});

test('readAudioTag tells configuration, AAC and others apart', () => {
  expect(readAudioTag(Uint8Array.from([0xaf, 0, 0x12, 0x10]))).toMatchObject({ codec: 10, isConfig: true });
  expect(readAudioTag(Uint8Array.from([0xaf, 1, 5]))?.data).toEqual(Uint8Array.from([5]));
  expect(readAudioTag(Uint8Array.from([0x2f, 1]))).toMatchObject({ codec: 2, isConfig: false });
  expect(readAudioTag(Uint8Array.from([0xaf]))).toBeNull();
});

test('flvTag writes size, extended timestamp and trailer', () => {
  const tag = flvTag(9, 0x01_02_03_04, Uint8Array.from([1, 2, 3]));
  expect(Buffer.from(tag).toString('hex')).toBe('0900000302030401000000' + '010203' + '0000000e');
});

test('flvHeader announces only the tracks that come', () => {
  expect([flvHeader(true, true)[4], flvHeader(true, false)[4], flvHeader(false, true)[4]]).toEqual([5, 1, 4]);
});

describe('metadataFrameRate', () => {
  const field = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([
      Buffer.from('02000a6f6e4d65746144617461', 'hex'),
      Buffer.from([0, 9]),
      Buffer.from('framerate'),
      Buffer.from([0]),
      bytes,
    ]);
  };
  test.each([
    [29.97, 29.97],
    [0, null],
    [Number.NaN, null],
  ])('%d', (value, expected) => {
    expect(metadataFrameRate(field(value))).toBe(expected);
  });
  test('absent or cut off', () => {
    expect(metadataFrameRate(Buffer.from('nothing'))).toBeNull();
    expect(metadataFrameRate(field(30).subarray(0, 28))).toBeNull();
  });
});
