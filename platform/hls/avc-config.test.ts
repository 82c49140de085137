// Parameter sets as x264 writes them, checked against what ffprobe says of the same files.
import { describe, expect, test } from 'vitest';
import { readAvcConfig } from './avc-config.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

describe('readAvcConfig', () => {
  test.each([
    ['0142c00dffe100176742c00dda05067e7c0440000003004000000f03c50aa801000468ce0fc8', 320, 180, 1, 30],
    ['0142c02affe100176742c02ada01e0089f97011000003e90001d4c00f1832a01000468ce0fc8', 1920, 1080, 1, 60_000 / 1001],
    ['0142c01effe100186742c01eda02d049b041000003000100000300320f162ea001000468ce0fc8', 720, 576, 16 / 11, 25],
    ['01f40015ffe1001967f40015919681b1fe7f011000000300100000030300f162ea01000568ce0f1920fff8f800', 426, 240, 1, 24],
    [
      '014d401effe10019674d401ef405a3dbff006400631000003e90000ea601f142aa01000468de0fc8',
      720,
      480,
      100 / 99,
      30_000 / 1001,
    ],
  ])('%s', (hex, width, height, aspect, fps) => {
    const config = readAvcConfig(bytes(hex));
    expect(config).toMatchObject({ width, height });
    expect(config?.pixelAspect).toBeCloseTo(aspect, 4);
    expect(config?.fps).toBeCloseTo(fps, 3);
  });

  test.each(['', '01', '0142c00dffe1', '0142c00dffe000', '0142c00dffe100ff6742', '0142c00dffe1000467420000'])(
    'finds nothing in %j',
    (hex) => {
      expect(readAvcConfig(bytes(hex))).toBeNull();
    },
  );

  test.each([
    ['baseline', '0142c00bffe1001c6742c00bda05067e7ffc000c00104000000300400000030283c50aa801000468ce0fc8', 320, 180],
    [
      'high, cropped',
      '01640028ffe1001f67640028acd940780227e5ffc000c00104000003000400000300283c60c65801000468ef8fcbfdf8f800',
      1_920,
      1_080,
    ],
    ['interlaced', '014d4016ffe1001c674d4016f405a126ffc0040003c4000003000400000300287c50aa8001000468de0fc8', 720, 576],
    [
      '4:2:2',
      '017a0016ffe1001e677a0016bcb405217f113ffe05a807862000000300200000030141e2c5d401000468ce0fc8fef8f800',
      642,
      362,
    ],
    [
      '4:4:4, odd',
      '01f4000affe1001d67f4000a9196872f8c93ff0134012f10000003001000000300a0f1226a01000568ce0f1920fff8f800',
      101,
      77,
    ],
    [
      'upright',
      '0142c028ffe1001d6742c028da01100f1e5fff0040001b10000003001000000300a0f1832a01000468ce0fc8',
      1_080,
      1_920,
    ],
  ])('the size: %s', (_name, hex, width, height) => {
    expect(readAvcConfig(bytes(hex))).toMatchObject({ width, height });
  });

  test('what cannot be read is no size, whatever the bytes', () => {
    const good = Buffer.from(
      '0142c00bffe1001c6742c00bda05067e7ffc000c00104000000300400000030283c50aa801000468ce0fc8',
      'hex',
    );
    for (let length = 0; length < 15; length++) expect(readAvcConfig(good.subarray(0, length))).toBeNull();
    let state = 7;
    for (let round = 0; round < 2_000; round++) {
      const changed = Buffer.from(good);
      for (let i = 0; i < 4; i++) {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
        changed[state % changed.length] = state >> 16;
      }
      const config = readAvcConfig(changed);
      if (config !== null) expect(Math.max(config.width, config.height)).toBeLessThanOrEqual(16_384);
    }
  });

  test.each([
    ['a picture order cycle of 255 frames', 255, '1', { width: 320, height: 240 }],
    ['one of 256 is none', 256, '1', null],
    ['a number of more than 32 bits', 255, '0'.repeat(40), null],
  ])('%s', (_name, cycle, setId, size) => {
    const config = readAvcConfig(withOrderCycle(cycle, setId));
    if (size === null) expect(config).toBeNull();
    else expect(config).toMatchObject(size);
  });
});

const ue = (value: number): string => {
  const code = (value + 1).toString(2);
  return '0'.repeat(code.length - 1) + code;
};

/** Baseline, 320x240, its picture order told by a cycle. @param setId the first number, as bits */
function withOrderCycle(frames: number, setId: string): Uint8Array {
  const order = [ue(1), '0', ue(0), ue(0), ue(frames), '1'.repeat(frames)];
  const picture = [ue(1), '0', ue(19), ue(14), '1', '1', '0', '0'];
  const bits = [setId, ue(0), ...order, ...picture, '1'].join('');
  const set = [0x67, 66, 0xc0, 0x1e, ...(bits.match(/.{1,8}/g) ?? []).map((byte) => parseInt(byte.padEnd(8, '0'), 2))];
  return Uint8Array.from([1, 66, 0xc0, 0x1e, 0xff, 0xe1, set.length >> 8, set.length & 0xff, ...set, 1, 0, 0]);
}
