// The H.264 decoder configuration of a publisher or a file: picture size, shape of a pixel and rate out of its parameter set. Pure.
// Sources: ISO/IEC 14496-15 5.3.3 (avcC), ITU-T H.264 7.3.2.1 and E.1 (SPS, VUI).
import { BitReader } from './bit-reader.ts';

/** What a decoder configuration says of the picture. */
export type AvcConfig = {
  /** Coded picture after cropping. */
  width: number;
  height: number;
  /** Shape of a pixel, width over height; 1 is square. */
  pixelAspect: number;
  /** From the VUI timing; null when it is not there. */
  fps: number | null;
};

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

const MAX_SIDE = 16_384;
/** Frames of a picture order cycle. Source: ITU-T H.264, 7.4.2.1.1. */
const MAX_ORDER_CYCLE = 255;
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
function readSps(unit: Uint8Array): AvcConfig | null {
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
    if (cycle > MAX_ORDER_CYCLE) return null;
    for (let i = 0; i < cycle; i += 1) reader.se();
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
  if (reader.isOver || width <= 0 || height <= 0 || width > MAX_SIDE || height > MAX_SIDE) return null;
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
