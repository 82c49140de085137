// Parameter sets as x264 and ffmpeg's AAC encoder write them, checked against what ffprobe says of the same files.
import { describe, expect, test } from 'vitest';
import { isCopyableAac, readAacConfig, readAvcConfig, silentAacFrame } from './flv-codecs.ts';

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
});

describe('readAacConfig', () => {
  test.each([
    ['118856e500', 2, 48_000, 1, true],
    ['1210', 2, 44_100, 2, true],
    ['1190', 2, 48_000, 2, true],
    ['1390', 2, 22_050, 2, false],
    ['2b920800', 5, 22_050, 2, false],
    ['11b0', 2, 48_000, 6, false],
  ])('%s', (hex, objectType, sampleRate, channels, isCopyable) => {
    const config = readAacConfig(bytes(hex));
    expect(config).toEqual({ objectType, sampleRate, channels });
    expect(config !== null && isCopyableAac(config)).toBe(isCopyable);
  });

  test('refuses what is too short or has no rate', () => {
    expect(readAacConfig(bytes('12'))).toBeNull();
    expect(readAacConfig(bytes('1690'))).toBeNull();
  });
});

test('silence fits its channels', () => {
  expect(silentAacFrame(1)).not.toEqual(silentAacFrame(2));
});
