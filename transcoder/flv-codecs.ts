// Decoder configurations of a publisher: picture size and rate out of the AVC parameter set, rate and channels out of the AAC one.
// Sources: ISO/IEC 14496-15 5.3.3 (avcC), ITU-T H.264 7.3.2.1 and E.1 (SPS, VUI), ISO/IEC 14496-3 1.6.2.1 (AudioSpecificConfig).

export type AvcConfig = {
  /** Coded picture after cropping. */
  width: number;
  height: number;
  /** Shape of a pixel, width over height; 1 is square. */
  pixelAspect: number;
  /** From the VUI timing; null when it is not there. */
  fps: number | null;
};

export type AacConfig = {
  /** MPEG-4 audio object type; 2 is AAC-LC. */
  objectType: number;
  sampleRate: number;
  /** 0: the stream itself tells. */
  channels: number;
};

/** Reads bits, most significant first; past the end it reads zeros, as a truncated parameter set must not throw here. */
class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isOver(): boolean {
    return this.#at > this.#bytes.length * 8;
  }

  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i += 1) {
      const byte = this.#bytes[this.#at >> 3] ?? 0;
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
      this.#at += 1;
    }
    return value;
  }
  flag(): boolean {
    return this.bits(1) === 1;
  }
  /** Exp-Golomb, unsigned. */
  ue(): number {
    let zeros = 0;
    while (zeros < 32 && !this.flag()) zeros += 1;
    return 2 ** zeros - 1 + this.bits(zeros);
  }
  /** Exp-Golomb, signed. */
  se(): number {
    const value = this.ue();
    return value % 2 === 1 ? (value + 1) / 2 : -value / 2;
  }
}

/** Removes the emulation prevention bytes (00 00 03 -> 00 00). */
function withoutEscapes(unit: Uint8Array): Uint8Array {
  const plain: number[] = [];
  let zeros = 0;
  for (const byte of unit) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    plain.push(byte);
  }
  return Uint8Array.from(plain);
}

/** Table E-1; 255 carries its own numbers. */
const PIXEL_ASPECTS: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 1],
  [12, 11],
  [10, 11],
  [16, 11],
  [40, 33],
  [24, 11],
  [20, 11],
  [32, 11],
  [80, 33],
  [18, 11],
  [15, 11],
  [64, 33],
  [160, 99],
  [4, 3],
  [3, 2],
  [2, 1],
];

/** Profiles whose SPS carries chroma format and scaling lists. */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

function skipScalingLists(reader: BitReader, count: number): void {
  for (let list = 0; list < count; list += 1) {
    if (!reader.flag()) continue;
    let last = 8;
    let next = 8;
    for (let i = 0; i < (list < 6 ? 16 : 64) && !reader.isOver; i += 1) {
      if (next !== 0) next = (last + reader.se() + 256) % 256;
      if (next !== 0) last = next;
    }
  }
}

function readVui(reader: BitReader): { pixelAspect: number; fps: number | null } {
  let pixelAspect = 1;
  if (reader.flag()) {
    const index = reader.bits(8);
    const [num, den] = index === 255 ? [reader.bits(16), reader.bits(16)] : (PIXEL_ASPECTS[index] ?? [1, 1]);
    if (num > 0 && den > 0) pixelAspect = num / den;
  }
  if (reader.flag()) reader.flag();
  if (reader.flag()) {
    reader.bits(4);
    if (reader.flag()) reader.bits(24);
  }
  if (reader.flag()) {
    reader.ue();
    reader.ue();
  }
  if (!reader.flag()) return { pixelAspect, fps: null };
  const unitsInTick = reader.bits(32);
  const timeScale = reader.bits(32);
  // A tick is a field: two to a frame.
  const fps = unitsInTick > 0 && !reader.isOver ? timeScale / (2 * unitsInTick) : null;
  return { pixelAspect, fps };
}

/** Reads a sequence parameter set, its NAL header byte included; null when it makes no sense. */
export function readSps(unit: Uint8Array): AvcConfig | null {
  const reader = new BitReader(withoutEscapes(unit));
  reader.bits(8);
  const profile = reader.bits(8);
  reader.bits(16);
  reader.ue();
  let chroma = 1;
  if (HIGH_PROFILES.has(profile)) {
    chroma = reader.ue();
    if (chroma === 3) reader.flag();
    reader.ue();
    reader.ue();
    reader.flag();
    if (reader.flag()) skipScalingLists(reader, chroma === 3 ? 12 : 8);
  }
  reader.ue();
  const orderType = reader.ue();
  if (orderType === 0) reader.ue();
  if (orderType === 1) {
    reader.flag();
    reader.se();
    reader.se();
    const cycle = reader.ue();
    for (let i = 0; i < cycle && !reader.isOver; i += 1) reader.se();
  }
  reader.ue();
  reader.flag();
  const widthUnits = reader.ue() + 1;
  const heightUnits = reader.ue() + 1;
  const isFrameOnly = reader.flag();
  if (!isFrameOnly) reader.flag();
  reader.flag();
  const crop = reader.flag() ? [reader.ue(), reader.ue(), reader.ue(), reader.ue()] : [0, 0, 0, 0];
  const [left = 0, right = 0, top = 0, bottom = 0] = crop;
  const fields = isFrameOnly ? 1 : 2;
  const width = widthUnits * 16 - (left + right) * (chroma === 1 || chroma === 2 ? 2 : 1);
  const height = heightUnits * 16 * fields - (top + bottom) * (chroma === 1 ? 2 : 1) * fields;
  if (reader.isOver || width <= 0 || height <= 0 || width > 16_384 || height > 16_384) return null;
  const vui = reader.flag() ? readVui(reader) : { pixelAspect: 1, fps: null };
  return { width, height, ...vui };
}

/** Reads an AVCDecoderConfigurationRecord (avcC); null when it holds no sound SPS. */
export function readAvcConfig(record: Uint8Array): AvcConfig | null {
  if (record.length < 8 || record[0] !== 1) return null;
  const count = (record[5] ?? 0) & 31;
  const bytes = ((record[6] ?? 0) << 8) | (record[7] ?? 0);
  if (count === 0 || bytes < 4 || 8 + bytes > record.length) return null;
  return readSps(record.subarray(8, 8 + bytes));
}

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
