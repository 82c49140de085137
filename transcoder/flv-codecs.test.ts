// Configurations as ffmpeg's AAC encoder writes them, checked against what ffprobe says of the same files.
import { describe, expect, test } from 'vitest';
import { isCopyableAac, readAacConfig, silentAacFrame } from './flv-codecs.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

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
