// ISO BMFF boxes: finds, reads and writes them in memory. Pure; the CMAF reader stands on it. Source: ISO/IEC 14496-12, 4.2.

/** The bytes are not a sound box structure. `code` is for logs. */
export class BoxMalformed extends Error {
  readonly code = 'BOX_MALFORMED';
  constructor(reason: string) {
    super(`not a sound MP4 box structure: ${reason}`);
    this.name = 'BoxMalformed';
  }
}

export type Box = {
  /** Four characters. */
  type: string;
  /** Offset of the header in the bytes it was read from. */
  start: number;
  /** Header and payload. Unit: bytes. */
  size: number;
  headerBytes: number;
};

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Big-endian reader over one byte range; every read is checked against the range. */
export class BoxCursor {
  at: number;
  readonly end: number;
  readonly #view: DataView;

  /** @param at first byte; @param end one past the last */
  constructor(bytes: Uint8Array, at: number, end: number) {
    if (at < 0 || end > bytes.length || at > end) throw new BoxMalformed('a range lies outside the bytes');
    this.#view = viewOf(bytes);
    this.at = at;
    this.end = end;
  }

  #take(count: number): number {
    const at = this.at;
    if (at + count > this.end) throw new BoxMalformed('a field runs over the end of its box');
    this.at = at + count;
    return at;
  }

  skip(count: number): this {
    this.#take(count);
    return this;
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }
  u24(): number {
    return this.u16() * 256 + this.u8();
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4));
  }
  /** @throws BoxMalformed above 2^53 */
  u64(): number {
    const value = this.u32() * 4_294_967_296 + this.u32();
    if (!Number.isSafeInteger(value)) throw new BoxMalformed('a 64-bit number is too large');
    return value;
  }
  /** @throws BoxMalformed beyond 2^53 on either side */
  i64(): number {
    const value = this.i32() * 4_294_967_296 + this.u32();
    if (!Number.isSafeInteger(value)) throw new BoxMalformed('a 64-bit number is too large');
    return value;
  }
}

/**
 * Header of the box at `at`.
 * @returns null when the header itself is not whole yet; its payload may lie beyond the bytes
 * @throws BoxMalformed when the size is smaller than the header
 */
export function peekBox(bytes: Uint8Array, at: number): Box | null {
  if (at + 8 > bytes.length) return null;
  const view = viewOf(bytes);
  const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
  let size = view.getUint32(at);
  let headerBytes = 8;
  if (size === 1) {
    if (at + 16 > bytes.length) return null;
    size = view.getUint32(at + 8) * 4_294_967_296 + view.getUint32(at + 12);
    headerBytes = 16;
  } else if (size === 0) {
    throw new BoxMalformed(`${type} has no size: open-ended boxes do not occur in fragmented files`);
  }
  if (size < headerBytes || !Number.isSafeInteger(size)) throw new BoxMalformed(`${type} claims ${size} bytes`);
  return { type, start: at, size, headerBytes };
}

/**
 * Boxes that follow one another in a range, without their children.
 * @param from first byte, @param to one past the last; the whole array when left out
 * @throws BoxMalformed when a box runs over the end
 */
export function readBoxes(bytes: Uint8Array, from = 0, to = bytes.length): Box[] {
  const boxes: Box[] = [];
  let at = from;
  while (at < to) {
    const box = peekBox(bytes, at);
    if (box === null || at + box.size > to) throw new BoxMalformed('a box runs over the end of its parent');
    boxes.push(box);
    at += box.size;
  }
  return boxes;
}

/** Children of a container box. @param skip bytes of fields before the first child */
export const childrenOf = (bytes: Uint8Array, box: Box, skip = 0): Box[] =>
  readBoxes(bytes, box.start + box.headerBytes + skip, box.start + box.size);

/** First child along a path of container boxes: `findBox(bytes, moov, 'trak', 'mdia', 'mdhd')`; null when one is missing. */
export function findBox(bytes: Uint8Array, within: Box, ...path: string[]): Box | null {
  let box: Box | null = within;
  for (const type of path) {
    if (box === null) return null;
    box = childrenOf(bytes, box).find((child) => child.type === type) ?? null;
  }
  return box;
}

/** Like findBox. @throws BoxMalformed naming the path when a box is missing */
export function needBox(bytes: Uint8Array, within: Box, ...path: string[]): Box {
  const box = findBox(bytes, within, ...path);
  if (box === null) throw new BoxMalformed(`${[within.type, ...path].join('/')} is missing`);
  return box;
}

/** Cursor over a box's payload. */
export const cursorOf = (bytes: Uint8Array, box: Box): BoxCursor =>
  new BoxCursor(bytes, box.start + box.headerBytes, box.start + box.size);

/** Joins byte arrays. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Big-endian 32-bit words as bytes; negative values in two's complement. */
export function words(...values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 4);
  const view = viewOf(bytes);
  values.forEach((value, index) => {
    view.setUint32(index * 4, value >>> 0);
  });
  return bytes;
}

/** A box of these payloads, header included. @param type four characters */
export function writeBox(type: string, ...payloads: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = payloads.reduce((sum, payload) => sum + payload.length, 8);
  const name = Uint8Array.from(type, (letter) => letter.charCodeAt(0));
  return concatBytes([words(size), name, ...payloads]);
}

/** Big-endian 16-bit words as bytes. */
export function halves(...values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 2);
  const view = viewOf(bytes);
  values.forEach((value, index) => {
    view.setUint16(index * 2, value & 0xffff);
  });
  return bytes;
}
