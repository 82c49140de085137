import { describe, expect, test } from 'vitest';
import { readAmf0 } from './amf0.ts';
import { RtmpMalformed } from './errors.ts';

const text = (value: string): Buffer => Buffer.concat([Buffer.from([2, 0, value.length]), Buffer.from(value)]);
const named = (name: string, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), value]);
const END = Buffer.from([0, 0, 9]);
const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes.writeDoubleBE(value, 1);
  return bytes;
};
const object = (...fields: Buffer[]): Buffer => Buffer.concat([Buffer.from([3]), ...fields, END]);
const nested = (depth: number): Buffer => {
  let value = number(1);
  for (let i = 0; i < depth; i++) value = object(named('a', value));
  return value;
};

describe('readAmf0', () => {
  test('reads a command as encoders send it', () => {
    const list = Buffer.concat([Buffer.from([10, 0, 0, 0, 2]), text('av01'), text('hvc1')]);
    const map = Buffer.concat([Buffer.from([8, 0, 0, 0, 1]), named('*', number(4)), END]);
    const body = Buffer.concat([
      text('connect'),
      number(1),
      object(
        named('app', text('live')),
        named('fourCcList', list),
        named('map', map),
        named('tcUrl', text('rtmp://a/live')),
      ),
      Buffer.from([5, 6, 1, 1]),
    ]);
    const [name, transaction, fields, ...rest] = readAmf0(body);
    expect([name, transaction]).toEqual(['connect', 1]);
    // What follows an associative array keeps its place.
    expect({ ...(fields as object) }).toMatchObject({
      app: 'live',
      fourCcList: ['av01', 'hvc1'],
      tcUrl: 'rtmp://a/live',
    });
    expect(rest).toEqual([null, undefined, true]);
  });

  test.each([
    ['date', Buffer.concat([Buffer.from([11]), number(7).subarray(1), Buffer.alloc(2)]), 7],
    ['long string', Buffer.concat([Buffer.from([12, 0, 0, 0, 2]), Buffer.from('ab')]), 'ab'],
    ['reference', Buffer.from([7, 0, 1]), undefined],
    ['empty array', Buffer.from([10, 0, 0, 0, 0]), []],
  ])('reads a %s', (_name, body, expected) => {
    expect(readAmf0(body)).toEqual([expected]);
  });

  test("names are the peer's choice and reach no prototype", () => {
    const [value] = readAmf0(object(named('__proto__', object(named('admin', number(1))))));
    expect((value as Record<string, unknown>)['admin']).toBeUndefined();
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a cut number', Buffer.from([0, 1, 2])],
    ['a cut string', Buffer.from([2, 0, 9, 65])],
    ['a long string of four billion', Buffer.from([12, 255, 255, 255, 255, 65])],
    ['an object without end', Buffer.concat([Buffer.from([3]), named('a', number(1))])],
    ['an array shorter than it says', Buffer.concat([Buffer.from([10, 0, 0, 0, 9]), number(1)])],
    ['an unknown kind', Buffer.from([0x42])],
    ['nesting of nine', nested(9)],
    ['nesting of a thousand', nested(1_000)],
    ['five hundred and thirteen values', Buffer.concat(Array.from({ length: 513 }, () => Buffer.from([5])))],
  ])('refuses %s', (_name, body) => {
    expect(() => readAmf0(body)).toThrow(RtmpMalformed);
  });

  test('allows what lies on the limits', () => {
    expect(readAmf0(nested(8))).toHaveLength(1);
    expect(readAmf0(Buffer.alloc(512, 5))).toHaveLength(512);
  });
});
