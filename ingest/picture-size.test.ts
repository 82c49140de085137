import { expect, test } from 'vitest';
import { pictureSizeOf } from './picture-size.ts';

// Sequence headers as x264 writes them into FLV.
test.each([
  [
    'baseline',
    '17000000000142c00bffe1001c6742c00bda05067e7ffc000c00104000000300400000030283c50aa801000468ce0fc8',
    320,
    180,
  ],
  [
    'high, cropped',
    '170000000001640028ffe1001f67640028acd940780227e5ffc000c00104000003000400000300283c60c65801000468ef8fcbfdf8f800',
    1_920,
    1_080,
  ],
  [
    'interlaced',
    '1700000000014d4016ffe1001c674d4016f405a126ffc0040003c4000003000400000300287c50aa8001000468de0fc8',
    720,
    576,
  ],
  [
    '4:2:2',
    '1700000000017a0016ffe1001e677a0016bcb405217f113ffe05a807862000000300200000030141e2c5d401000468ce0fc8fef8f800',
    642,
    362,
  ],
  [
    '4:4:4, odd',
    '170000000001f4000affe1001d67f4000a9196872f8c93ff0134012f10000003001000000300a0f1226a01000568ce0f1920fff8f800',
    101,
    77,
  ],
  [
    'upright',
    '17000000000142c028ffe1001d6742c028da01100f1e5fff0040001b10000003001000000300a0f1832a01000468ce0fc8',
    1_080,
    1_920,
  ],
])('%s', (_name, hex, width, height) => {
  expect(pictureSizeOf(Buffer.from(hex, 'hex'))).toEqual({ width, height });
});

test('what cannot be read is no size, whatever the bytes', () => {
  const good = Buffer.from(
    '17000000000142c00bffe1001c6742c00bda05067e7ffc000c00104000000300400000030283c50aa801000468ce0fc8',
    'hex',
  );
  for (let length = 0; length < 20; length++) expect(pictureSizeOf(good.subarray(0, length))).toBeNull();
  let state = 7;
  for (let round = 0; round < 2_000; round++) {
    const bytes = Buffer.from(good);
    for (let i = 0; i < 4; i++) {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      bytes[5 + (state % (bytes.length - 5))] = state >> 16;
    }
    const size = pictureSizeOf(bytes);
    if (size !== null) expect(Math.max(size.width, size.height)).toBeLessThanOrEqual(16_384);
  }
});
