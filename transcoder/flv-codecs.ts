// The AAC decoder configuration of a publisher: object type, rate and channels; and silence to stand in for it.
// Source: ISO/IEC 14496-3 1.6.2.1 (AudioSpecificConfig).
import { BitReader } from '../platform/hls/bit-reader.ts';

export type AacConfig = {
  /** MPEG-4 audio object type; 2 is AAC-LC. */
  objectType: number;
  sampleRate: number;
  /** 0: the stream itself tells. */
  channels: number;
};

const AAC_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/** Reads an AudioSpecificConfig; null when it makes no sense. */
export function readAacConfig(config: Uint8Array): AacConfig | null {
  if (config.length < 2) return null;
  const reader = new BitReader(config);
  let objectType = reader.bits(5);
  if (objectType === 31) objectType = 32 + reader.bits(6);
  const index = reader.bits(4);
  const sampleRate = index === 15 ? reader.bits(24) : AAC_RATES[index];
  const channels = reader.bits(4);
  if (sampleRate === undefined || sampleRate <= 0 || reader.isOver) return null;
  return { objectType, sampleRate, channels };
}

/**
 * Whether a player takes this AAC as it is: AAC-LC, mono or stereo, 44.1 or 48 kHz. Lower rates may hide SBR, so they are encoded anew.
 */
export const isCopyableAac = (config: AacConfig): boolean =>
  config.objectType === 2 &&
  (config.sampleRate === 44_100 || config.sampleRate === 48_000) &&
  (config.channels === 1 || config.channels === 2);

/** One silent AAC-LC frame (1,024 samples): stands in for audio that a publisher lost. */
export const silentAacFrame = (channels: number): Uint8Array =>
  channels === 1
    ? Uint8Array.from([0x00, 0xc8, 0x00, 0x80, 0x23, 0x80])
    : Uint8Array.from([0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80]);

/** Samples of one AAC frame. */
export const AAC_FRAME_SAMPLES = 1024;
