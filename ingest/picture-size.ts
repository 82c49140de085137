// Width and height from an H.264 sequence header, so that the status page shows what the encoder really sends. Nothing else is decoded.
export type PictureSize = { width: number; height: number };

/** Bytes before the AVCDecoderConfigurationRecord in a video tag, of either form: four of codec and packet type, one of frame type. */
const RECORD_AT = 5;
/** Profiles whose parameter set carries chroma format and scaling lists. Source: H.264, 7.3.2.1.1. */
const HIGH_PROFILES = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
const MAX_SIDE = 16_384;

/**
 * @param body a video tag's body with the sequence header
 * @returns null when it cannot be read
 * Source: ISO/IEC 14496-15, 5.3.3.1; H.264, 7.3.2.1.1.
 */
export function pictureSizeOf(body: Buffer): PictureSize | null {
  try {
    const at = RECORD_AT + 6;
    if (((body[at - 1] ?? 0) & 0x1f) === 0) return null;
    const bytes = body.readUInt16BE(at);
    const size = readParameterSet(new BitReader(withoutEscapes(body.subarray(at + 3, at + 2 + bytes))));
    return isPlausible(size) ? size : null;
  } catch (thrown) {
    if (thrown instanceof RangeError) return null;
    throw thrown;
  }
}

const isPlausible = ({ width, height }: PictureSize): boolean =>
  width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE;

function readParameterSet(bits: BitReader): PictureSize {
  const profile = bits.take(8);
  bits.take(16);
  bits.unsigned();
  const chroma = HIGH_PROFILES.includes(profile) ? readChroma(bits) : 1;
  bits.unsigned();
  readOrder(bits);
  bits.unsigned();
  bits.take(1);
  const widthBlocks = bits.unsigned() + 1;
  const heightBlocks = bits.unsigned() + 1;
  const isProgressive = bits.take(1);
  if (isProgressive === 0) bits.take(1);
  bits.take(1);
  const [left, right, top, bottom] = bits.take(1) === 1 ? readCrop(bits) : [0, 0, 0, 0];
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = (chroma === 1 ? 2 : 1) * (2 - isProgressive);
  return {
    width: widthBlocks * 16 - (left + right) * unitX,
    height: heightBlocks * 16 * (2 - isProgressive) - (top + bottom) * unitY,
  };
}

const readCrop = (bits: BitReader): [number, number, number, number] => [
  bits.unsigned(),
  bits.unsigned(),
  bits.unsigned(),
  bits.unsigned(),
];

function readChroma(bits: BitReader): number {
  const chroma = bits.unsigned();
  if (chroma === 3) bits.take(1);
  bits.unsigned();
  bits.unsigned();
  bits.take(1);
  if (bits.take(1) === 1) {
    const lists = chroma === 3 ? 12 : 8;
    for (let i = 0; i < lists; i++) if (bits.take(1) === 1) skipScalingList(bits, i < 6 ? 16 : 64);
  }
  return chroma;
}

function skipScalingList(bits: BitReader, size: number): void {
  let last = 8;
  let next = 8;
  for (let i = 0; i < size; i++) {
    if (next !== 0) next = (last + bits.signed() + 256) % 256;
    if (next !== 0) last = next;
  }
}

function readOrder(bits: BitReader): void {
  const type = bits.unsigned();
  if (type === 0) bits.unsigned();
  if (type !== 1) return;
  bits.take(1);
  bits.signed();
  bits.signed();
  const cycle = bits.unsigned();
  if (cycle > 255) throw new RangeError('a cycle of more than 255 frames');
  for (let i = 0; i < cycle; i++) bits.signed();
}

/** Removes the byte 3 that follows two zero bytes inside a unit. */
function withoutEscapes(unit: Buffer): Buffer {
  const bytes: number[] = [];
  let zeros = 0;
  for (const byte of unit) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    bytes.push(byte);
  }
  return Buffer.from(bytes);
}

/** Reads past the end throw RangeError. */
class BitReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  take(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.bytes[this.at >> 3];
      if (byte === undefined) throw new RangeError('past the end');
      value = value * 2 + ((byte >> (7 - (this.at & 7))) & 1);
      this.at += 1;
    }
    return value;
  }

  /** Exponential Golomb code. Source: H.264, 9.1. */
  unsigned(): number {
    let zeros = 0;
    while (this.take(1) === 0) {
      zeros += 1;
      if (zeros > 31) throw new RangeError('a code of more than 32 bits');
    }
    return 2 ** zeros - 1 + this.take(zeros);
  }

  signed(): number {
    const code = this.unsigned();
    return code % 2 === 0 ? -code / 2 : (code + 1) / 2;
  }
}
