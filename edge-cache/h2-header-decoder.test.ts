// Header blocks of HTTP/2 against the examples of RFC 7541, appendix C, and against what no encoder would send.
import { describe, expect, it } from 'vitest';
import { HeaderDecoder } from './h2-header-decoder.ts';
import { encodeHead, NO_TABLE } from './h2-header-encoder.ts';

const LIMITS = { listBytes: 16_384, fields: 64 };
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** One `name: value` line per field; null: refused. */
function read(decoder: HeaderDecoder, block: string | Buffer): string[] | null {
  const bytes = typeof block === 'string' ? bytesOf(block) : block;
  // In the middle of other bytes, as blocks lie in what a socket brings.
  const framed = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]);
  const list = decoder.decode(framed, 6, 6 + bytes.length);
  return list === null ? null : list.fields.map(({ name, value }) => `${name}: ${value}`);
}

const FIRST = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
const SECOND = [...FIRST, 'cache-control: no-cache'];
const THIRD = [
  ':method: GET',
  ':scheme: https',
  ':path: /index.html',
  ':authority: www.example.com',
  'custom-key: custom-value',
];
const DATE = 'date: Mon, 21 Oct 2013 20:13:21 GMT';
const LOCATION = 'location: https://www.example.com';
const COOKIE = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const ANSWERS = [
  [':status: 302', 'cache-control: private', DATE, LOCATION],
  [':status: 307', 'cache-control: private', DATE, LOCATION],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    LOCATION,
    'content-encoding: gzip',
    COOKIE,
  ],
];

describe('the examples of RFC 7541', () => {
  it.each([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', 'custom-key: custom-header'],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path'],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret'],
    ['C.2.4', '82', ':method: GET'],
  ])('%s: one field', (_name, hex, expected) => {
    expect(read(new HeaderDecoder(LIMITS), hex)).toEqual([expected]);
  });

  it.each([
    [
      'C.3: requests without Huffman code',
      4_096,
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      [FIRST, SECOND, THIRD],
    ],
    [
      'C.4: requests with Huffman code',
      4_096,
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      [FIRST, SECOND, THIRD],
    ],
    [
      'C.5: answers without Huffman code, a table of 256 bytes',
      256,
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120
         474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738
         666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33
         3630 303b 2076 6572 7369 6f6e 3d31`,
      ],
      ANSWERS,
    ],
    [
      'C.6: answers with Huffman code, a table of 256 bytes',
      256,
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
         63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7
         b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
      ANSWERS,
    ],
  ])('%s', (_name, tableBytes, blocks, expected) => {
    const decoder = new HeaderDecoder(LIMITS, tableBytes);
    expect(blocks.map((block) => read(decoder, block.replaceAll(/\s/g, '')))).toEqual(expected);
  });
});

describe('a header block is refused', () => {
  it.each([
    ['with index 0', '80'],
    ['with an index beyond both tables', 'be'],
    ['with the name of an entry beyond both tables', '7f00 0161'],
    ['that ends inside an integer', '7f'],
    ['with an integer that never ends', 'ffffffffffffffffffffff'],
    ['with an integer beyond all bounds', 'ffffffffff0f'],
    ['with zeros without end', 'ff80808080808080808080808000'],
    ['that ends before its value', '0001 61'],
    ['with a value longer than the block', '0001 6105 61'],
    ['with a table larger than allowed', '3fe2 1f'],
    ['with a new table size after a field', '8220'],
    ['with 8 bits of padding', '0001 6182 1fff'],
    ['with zeros for padding', '0001 6181 18'],
    ['with the end of text spelled out', '0001 6184 ffff ffff'],
  ])('%s', (_name, hex) => {
    expect(read(new HeaderDecoder(LIMITS), hex)).toBeNull();
  });
});

describe('the table', () => {
  it('is as large as the peer says, and empty after a field larger than that', () => {
    const decoder = new HeaderDecoder(LIMITS);
    expect(read(decoder, '4001 6101 31')).toEqual(['a: 1']);
    expect(read(decoder, 'be')).toEqual(['a: 1']);
    // 34 bytes hold this entry, 33 none.
    expect(read(decoder, '3f03 be')).toEqual(['a: 1']);
    expect(read(decoder, '3f02')).toEqual([]);
    expect(read(decoder, 'be')).toBeNull();
    expect(read(decoder, '4001 6202 3232')).toEqual(['b: 22']);
    expect(read(decoder, 'be')).toBeNull();
  });

  it('tells that it changed, and only then', () => {
    const decoder = new HeaderDecoder(LIMITS);
    read(decoder, '82 0001 6101 31');
    expect(decoder.changes).toBe(0);
    read(decoder, '4001 6101 31');
    expect(decoder.changes).toBe(1);
    read(decoder, 'be');
    expect(decoder.changes).toBe(1);
  });

  it('follows a list that is over the limits', () => {
    const decoder = new HeaderDecoder({ listBytes: 100, fields: 2 });
    const one = bytesOf('4001 6101 31');
    expect(decoder.decode(Buffer.concat([one, one, one]), 0, 15)).toMatchObject({ isTooLarge: true });
    const long = Buffer.concat([bytesOf('4001 627f 01'), Buffer.alloc(128, 'x')]);
    expect(decoder.decode(long, 0, long.length)).toEqual({ fields: [], isTooLarge: true });
    expect(read(decoder, 'bf')).toEqual(['a: 1']);
  });
});

describe('the head of an answer', () => {
  /** Without Date, which every one has. */
  const decode = (block: string): string[] => {
    const lines = read(new HeaderDecoder(LIMITS), Buffer.from(block, 'latin1')) ?? [];
    expect(Math.abs(Date.parse(lines[1]?.slice('date: '.length) ?? '') - Date.now())).toBeLessThan(5_000);
    return lines.filter((line) => !line.startsWith('date: '));
  };

  it('is read back as it was, whatever its length, without what HTTP/2 forbids', () => {
    const long = 'v'.repeat(500);
    const headers = {
      etag: '"a"',
      'x-cache': 'HIT',
      'content-type': 'text/plain',
      connection: 'close',
      'x-long': long,
    };
    expect(decode(NO_TABLE + encodeHead({ status: 200, headers }))).toEqual([
      ':status: 200',
      'etag: "a"',
      'x-cache: HIT',
      'content-type: text/plain',
      `x-long: ${long}`,
    ]);
    expect(decode(encodeHead({ status: 431, headers: {} }))).toEqual([':status: 431']);
  });

  it('is the same from parts, the fixed ones encoded once', () => {
    const fixed = { etag: '"a"', 'x-cache': 'HIT' };
    const head = (age: string) => decode(encodeHead({ status: 206, headers: {}, parts: { fixed, moment: { age } } }));
    expect(head('1')).toEqual([':status: 206', 'etag: "a"', 'x-cache: HIT', 'age: 1']);
    fixed.etag = 'looked at once';
    expect(head('2')).toEqual([':status: 206', 'etag: "a"', 'x-cache: HIT', 'age: 2']);
  });
});
