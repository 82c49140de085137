import { expect, test } from 'vitest';
import { BitReader } from './bit-reader.ts';

const reader = (bits: string): BitReader =>
  new BitReader(Uint8Array.from(bits.match(/.{1,8}/g) ?? [], (byte) => Number.parseInt(byte.padEnd(8, '0'), 2)));

test('bits, most significant first, over the bounds of bytes', () => {
  const bits = reader('1010000111110000');
  expect(bits.bits(3)).toBe(0b101);
  expect(bits.flag()).toBe(false);
  expect(bits.bits(8)).toBe(0b00011111);
  expect(bits.bits(4)).toBe(0);
  expect(bits.isOver).toBe(false);
});

// Source: ITU-T H.264, tables 9-2 and 9-3.
test.each([
  ['1', 0, 0],
  ['010', 1, 1],
  ['011', 2, -1],
  ['00100', 3, 2],
  ['00111', 6, -3],
  ['0001010', 9, 5],
  [`${'0'.repeat(31)}1${'1'.repeat(30)}0`, 2 ** 32 - 3, 2 ** 31 - 1],
])('Exp-Golomb %s', (code, unsigned, signed) => {
  expect(reader(code).ue()).toBe(unsigned);
  expect(reader(code).se()).toBeCloseTo(signed);
  expect(reader(code).isOver).toBe(false);
});

test('past the end are zeros, and it says so', () => {
  const bits = reader('11111111');
  expect(bits.bits(8)).toBe(255);
  expect(bits.isOver).toBe(false);
  expect(bits.bits(4)).toBe(0);
  expect(bits.isOver).toBe(true);
});

test('a code of more than 32 bits is none, however many bytes follow', () => {
  const bits = reader(`${'0'.repeat(32)}${'1'.repeat(64)}`);
  expect(bits.ue()).toBe(0);
  expect(bits.isOver).toBe(true);
  expect(bits.bits(8)).toBe(0);
});
