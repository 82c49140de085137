// HPACK, the reading side: one decoder per connection turns header blocks into fields. Source: RFC 7541.
import { decodeHuffman, type Field, STATIC_FIELDS } from './h2-header-tables.ts';

export type HeaderList = {
  fields: Field[];
  /** More than the limits allow: the fields are not all there, but the table has followed. */
  isTooLarge: boolean;
};

export type HeaderLimits = {
  /** Names, values and 32 for each field. Source: RFC 9113, section 6.5.2. Unit: bytes. */
  listBytes: number;
  fields: number;
};

/** SETTINGS_HEADER_TABLE_SIZE that the peer may use: the default. Unit: bytes. */
const TABLE_BYTES = 4_096;
/** Section 4.1. Unit: bytes. */
const ENTRY_BYTES = 32;
const LARGEST_INTEGER = 2 ** 28;
const BROKEN = -1;
const NOTHING: Buffer = Buffer.alloc(0);

const sizeOf = ({ name, value }: Field): number => name.length + value.length + ENTRY_BYTES;

export class HeaderDecoder {
  readonly #limits: HeaderLimits;
  readonly #mostBytes: number;
  /** The newest last. */
  readonly #table: Field[] = [];
  #tableBytes = 0;
  #tableLimit: number;
  #changes = 0;
  // The block being read.
  #block: Buffer = NOTHING;
  #at = 0;
  #end = 0;

  /** @param tableBytes most that the dynamic table may hold */
  constructor(limits: HeaderLimits, tableBytes = TABLE_BYTES) {
    this.#limits = limits;
    this.#mostBytes = tableBytes;
    this.#tableLimit = tableBytes;
  }

  /** Grows whenever a block changes the table: blocks in between that are the same byte for byte say the same. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Decodes bytes [from, to), a whole header block. Every block of a connection must pass here, in order.
   * @returns null: COMPRESSION_ERROR, and no block after it can be read
   */
  decode(block: Buffer, from: number, to: number): HeaderList | null {
    [this.#block, this.#at, this.#end] = [block, from, to];
    const list = this.#list();
    // An idle connection keeps nothing of what its socket brought.
    this.#block = NOTHING;
    return list;
  }

  #list(): HeaderList | null {
    const fields: Field[] = [];
    let listBytes = 0;
    let isTooLarge = false;
    while (this.#at < this.#end) {
      const first = this.#block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        if (fields.length > 0 || isTooLarge || !this.#resize()) return null;
        continue;
      }
      const field = first >= 0x80 ? this.#indexed() : this.#literal(first);
      if (field === null) return null;
      listBytes += sizeOf(field);
      if (listBytes > this.#limits.listBytes || fields.length >= this.#limits.fields) isTooLarge = true;
      else fields.push(field);
    }
    return { fields, isTooLarge };
  }

  #indexed(): Field | null {
    return this.#entry(this.#integer(7));
  }

  #literal(first: number): Field | null {
    const isKept = first >= 0x40;
    const index = this.#integer(isKept ? 6 : 4);
    const name = index === 0 ? this.#text() : (this.#entry(index)?.name ?? null);
    if (name === null) return null;
    const value = this.#text();
    if (value === null) return null;
    const field = { name, value };
    if (isKept) this.#keep(field);
    return field;
  }

  #entry(index: number): Field | null {
    if (index <= 0) return null;
    const isStatic = index <= STATIC_FIELDS.length;
    const field = isStatic
      ? STATIC_FIELDS[index - 1]
      : this.#table[this.#table.length - (index - STATIC_FIELDS.length)];
    return field ?? null;
  }

  #keep(field: Field): void {
    this.#changes += 1;
    this.#evict(this.#tableLimit - sizeOf(field));
    // Larger than the whole table: it stays empty. Source: section 4.4.
    if (sizeOf(field) > this.#tableLimit) return;
    this.#table.push(field);
    this.#tableBytes += sizeOf(field);
  }

  #evict(toBytes: number): void {
    while (this.#tableBytes > toBytes) {
      const oldest = this.#table.shift();
      if (oldest === undefined) return;
      this.#tableBytes -= sizeOf(oldest);
    }
  }

  #resize(): boolean {
    const bytes = this.#integer(5);
    if (bytes === BROKEN || bytes > this.#mostBytes) return false;
    this.#changes += 1;
    this.#tableLimit = bytes;
    this.#evict(bytes);
    return true;
  }

  /** Section 5.1. */
  #integer(prefixBits: number): number {
    if (this.#at >= this.#end) return BROKEN;
    const most = (1 << prefixBits) - 1;
    let value = (this.#block[this.#at] ?? 0) & most;
    this.#at += 1;
    if (value < most) return value;
    for (let weight = 1; this.#at < this.#end; weight *= 128) {
      const byte = this.#block[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 127) * weight;
      // Leading zeros without end are refused with the numbers that no length or index ever reaches.
      if (value > LARGEST_INTEGER || weight > LARGEST_INTEGER) return BROKEN;
      if (byte < 128) return value;
    }
    return BROKEN;
  }

  /** Section 5.2. */
  #text(): string | null {
    const isHuffman = ((this.#block[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    if (length === BROKEN || length > this.#end - from) return null;
    this.#at = from + length;
    return isHuffman ? decodeHuffman(this.#block, from, this.#at) : this.#block.toString('latin1', from, this.#at);
  }
}
