import { expect, test } from 'vitest';
import { type ClassifiedTag, classifyTag } from './flv-tag.ts';
import { type HeldTag, STANDBY_KEEP_BYTES, STANDBY_KEEP_MS, StandbyBuffer } from './standby-buffer.ts';

function tag(type: number, bytes: number[], text: string): ClassifiedTag {
  const made = classifyTag({ type, timestamp: 0, body: Buffer.concat([Buffer.from(bytes), Buffer.from(text)]) });
  if (made === null) throw new Error('not a tag');
  return made;
}
const videoHeader = (text: string) => tag(9, [0x17, 0, 0, 0, 0], text);
const audioHeader = (text: string) => tag(8, [0xaf, 0], text);
const key = (text: string) => tag(9, [0x17, 1, 0, 0, 0], text);
const frame = (text: string) => tag(9, [0x27, 1, 0, 0, 0], text);
const sound = (text: string) => tag(8, [0xaf, 1], text);
const texts = (held: HeldTag[] | null) =>
  held?.map(({ tag: { kind, body }, arrival }) => `${body.subarray(kind === 9 ? 5 : 2).toString()}@${arrival}`) ?? null;

test('hands out from the first key frame after a moment, headers first, each tag once', () => {
  const buffer = new StandbyBuffer();
  buffer.push(videoHeader('vh'), 0);
  buffer.push(audioHeader('ah'), 0);
  expect(buffer.push(key('k0'), 100)).toBe(true);
  expect(buffer.push(frame('f0'), 600)).toBe(false);
  buffer.push(key('k1'), 1_100);
  buffer.push(sound('s1'), 1_200);
  expect(buffer.newestCut).toBe(1_100);
  expect(texts(buffer.takeAfter(1_100))).toBeNull();
  expect(texts(buffer.takeAfter(1_099))).toEqual(['vh@1100', 'ah@1100', 'k1@1100', 's1@1200']);
  expect(buffer.takeAfter(0)).toBeNull();
  expect(buffer.bytes).toBe(0);
});

test('keeps a few seconds, back to a key frame', () => {
  const buffer = new StandbyBuffer();
  for (let at = 0; at <= 20_000; at += 1_000) buffer.push(key(`k${at}`), at);
  const held = texts(buffer.takeAfter(-1));
  expect(held?.[0]).toBe(`k${20_000 - STANDBY_KEEP_MS}@${20_000 - STANDBY_KEEP_MS}`);
  expect(held?.length).toBe(5);
});

test('keeps the newest group however long it is, but never more than its bytes', () => {
  const buffer = new StandbyBuffer();
  buffer.push(key('k'), 0);
  buffer.push(frame('late'), 60_000);
  expect(texts(buffer.takeAfter(-1))).toEqual(['k@0', 'late@60000']);
  const big = 'x'.repeat(1024 * 1024);
  buffer.push(key('again'), 60_100);
  for (let i = 0; i < 40; i++) {
    buffer.push(frame(big), 60_200);
    expect(buffer.bytes).toBeLessThanOrEqual(STANDBY_KEEP_BYTES);
  }
  // The group that grew too large is of no use; the next one is.
  expect(buffer.takeAfter(-1)).toBeNull();
  buffer.push(key('next'), 60_300);
  expect(texts(buffer.takeAfter(-1))).toEqual(['next@60300']);
});

test('a publisher that was on air stands by with the headers it sent then', () => {
  const buffer = new StandbyBuffer();
  buffer.observe(videoHeader('vh'));
  buffer.observe(key('shown'));
  buffer.observe(videoHeader('vh2'));
  expect(buffer.bytes).toBe(0);
  buffer.push(frame('cut'), 5);
  buffer.push(key('k'), 10);
  expect(texts(buffer.takeAfter(-1))).toEqual(['vh2@10', 'k@10']);
});

test('without a picture every sound is a place to begin', () => {
  const buffer = new StandbyBuffer();
  buffer.push(audioHeader('ah'), 0);
  expect(buffer.push(sound('s0'), 10)).toBe(true);
  expect(buffer.push(sound('s1'), 30)).toBe(true);
  expect(texts(buffer.takeAfter(10))).toEqual(['ah@30', 's1@30']);
});

test('keeps copies: a body is valid during the call only', () => {
  const buffer = new StandbyBuffer();
  const sent = key('k');
  buffer.push(sent, 0);
  sent.body.fill(0);
  expect(texts(buffer.takeAfter(-1))).toEqual(['k@0']);
});
