// HPACK's fixed tables and its Huffman code. Source: RFC 7541, appendices A and B.

export type Field = { readonly name: string; readonly value: string };

/** Appendix A: entry 1 is the first. */
export const STATIC_FIELDS: readonly Field[] = [
  { name: ':authority', value: '' },
  { name: ':method', value: 'GET' },
  { name: ':method', value: 'POST' },
  { name: ':path', value: '/' },
  { name: ':path', value: '/index.html' },
  { name: ':scheme', value: 'http' },
  { name: ':scheme', value: 'https' },
  { name: ':status', value: '200' },
  { name: ':status', value: '204' },
  { name: ':status', value: '206' },
  { name: ':status', value: '304' },
  { name: ':status', value: '400' },
  { name: ':status', value: '404' },
  { name: ':status', value: '500' },
  { name: 'accept-charset', value: '' },
  { name: 'accept-encoding', value: 'gzip, deflate' },
  { name: 'accept-language', value: '' },
  { name: 'accept-ranges', value: '' },
  { name: 'accept', value: '' },
  { name: 'access-control-allow-origin', value: '' },
  { name: 'age', value: '' },
  { name: 'allow', value: '' },
  { name: 'authorization', value: '' },
  { name: 'cache-control', value: '' },
  { name: 'content-disposition', value: '' },
  { name: 'content-encoding', value: '' },
  { name: 'content-language', value: '' },
  { name: 'content-length', value: '' },
  { name: 'content-location', value: '' },
  { name: 'content-range', value: '' },
  { name: 'content-type', value: '' },
  { name: 'cookie', value: '' },
  { name: 'date', value: '' },
  { name: 'etag', value: '' },
  { name: 'expect', value: '' },
  { name: 'expires', value: '' },
  { name: 'from', value: '' },
  { name: 'host', value: '' },
  { name: 'if-match', value: '' },
  { name: 'if-modified-since', value: '' },
  { name: 'if-none-match', value: '' },
  { name: 'if-range', value: '' },
  { name: 'if-unmodified-since', value: '' },
  { name: 'last-modified', value: '' },
  { name: 'link', value: '' },
  { name: 'location', value: '' },
  { name: 'max-forwards', value: '' },
  { name: 'proxy-authenticate', value: '' },
  { name: 'proxy-authorization', value: '' },
  { name: 'range', value: '' },
  { name: 'referer', value: '' },
  { name: 'refresh', value: '' },
  { name: 'retry-after', value: '' },
  { name: 'server', value: '' },
  { name: 'set-cookie', value: '' },
  { name: 'strict-transport-security', value: '' },
  { name: 'transfer-encoding', value: '' },
  { name: 'user-agent', value: '' },
  { name: 'vary', value: '' },
  { name: 'via', value: '' },
  { name: 'www-authenticate', value: '' },
];

/** Appendix B: bits per symbol, 0 to 255 in lines of sixteen, and EOS. The code is canonical: shorter first, then by symbol. */
const CODE_BITS: readonly number[] = `
13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6
5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7
7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5
6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
30`
  .trim()
  .split(/\s+/)
  .map(Number);
const EOS = 256;

/** Tables of 256 entries, one behind the other, the root first. Entry: `bits << 9 | symbol`, minus the number of the next table, or 0 for a code there is none of. */
const tables = buildTables();
/** Room for what the largest header block can say: 8 bits in may be 8/5 symbols out. */
const decoded = Buffer.allocUnsafe(65_536);
const LONGEST_BYTES = 40_000;

function buildTables(): Int32Array {
  const order = CODE_BITS.map((bits, symbol) => ({ bits, symbol })).sort(
    (a, b) => a.bits - b.bits || a.symbol - b.symbol,
  );
  const built: number[] = new Array(256).fill(0);
  let code = 0;
  let width = 0;
  for (const { bits, symbol } of order) {
    code <<= bits - width;
    width = bits;
    place(built, code, bits, symbol);
    code += 1;
  }
  return Int32Array.from(built);
}

function place(built: number[], code: number, bits: number, symbol: number): void {
  let table = 0;
  let left = bits;
  while (left > 8) {
    left -= 8;
    const at = table * 256 + ((code >>> left) & 255);
    if (built[at] === 0) {
      built[at] = -(built.length / 256);
      for (let i = 0; i < 256; i += 1) built.push(0);
    }
    table = -(built[at] ?? 0);
  }
  const from = table * 256 + ((code << (8 - left)) & 255);
  for (let i = 0; i < 1 << (8 - left); i += 1) built[from + i] = (left << 9) | symbol;
}

/**
 * Decodes bytes [from, to).
 * @returns one character per byte; null: no valid code, EOS in it, or padding that is longer than 7 bits or not all ones
 * Source: RFC 7541, section 5.2.
 */
export function decodeHuffman(bytes: Buffer, from: number, to: number): string | null {
  if (to - from > LONGEST_BYTES) return null;
  let [bits, count, table, length, open] = [0, 0, 0, 0, 0];
  for (let i = from; i < to; i += 1) {
    bits = ((bits << 8) | (bytes[i] ?? 0)) & 0xffff;
    count += 8;
    open += 8;
    while (count >= 8) {
      const entry = tables[table * 256 + ((bits >>> (count - 8)) & 255)] ?? 0;
      if (entry > 0) {
        if ((entry & 511) === EOS) return null;
        decoded[length] = entry & 255;
        length += 1;
        count -= entry >>> 9;
        [table, open] = [0, count];
      } else if (entry === 0) return null;
      else {
        count -= 8;
        table = -entry;
      }
    }
  }
  // What is left is shorter than a byte: symbols that fit in, then padding.
  for (;;) {
    const entry = tables[table * 256 + ((bits << (8 - count)) & 255)] ?? 0;
    if (entry <= 0 || entry >>> 9 > count || count === 0) break;
    decoded[length] = entry & 255;
    length += 1;
    count -= entry >>> 9;
    [table, open] = [0, count];
  }
  const ones = (1 << count) - 1;
  return open > 7 || (bits & ones) !== ones ? null : decoded.toString('latin1', 0, length);
}
