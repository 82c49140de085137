// Texts made once, kept for a while, within a bound.
import { expect, test } from 'vitest';
import { LiveTexts } from './live-texts.ts';

function build() {
  const world = { now: 0, written: 0 };
  const texts = new LiveTexts(() => world.now);
  const of = (name: string, length = 10) =>
    texts.of(name, () => {
      world.written += 1;
      return 'x'.repeat(length);
    });
  return { world, texts, of };
}

test('the same name is written once, with one ETag', () => {
  const { world, of } = build();
  expect(of('a')).toBe(of('a'));
  expect(world.written).toBe(1);
  expect(of('a')?.etag).toBe(of('b')?.etag);
});

test('nothing to show is not kept', () => {
  const { texts } = build();
  expect(texts.of('a', () => null)).toBeNull();
  expect(texts.of('a', () => 'text')?.body.toString()).toBe('text');
});

test('what is older than any viewer goes with the next text', () => {
  const { world, of } = build();
  of('a');
  world.now = 10_000;
  of('b');
  world.now = 15_001;
  of('c');
  of('b');
  expect(world.written).toBe(3);
  of('a');
  expect(world.written).toBe(4);
});

test('long texts go early', () => {
  const { world, of } = build();
  for (let index = 0; index < 40; index += 1) of(`${index}`, 2_000_000);
  of('39', 2_000_000);
  expect(world.written).toBe(40);
  of('0', 2_000_000);
  expect(world.written).toBe(41);
});
