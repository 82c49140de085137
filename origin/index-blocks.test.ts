// Which index blocks are read for a window.
import { expect, test } from 'vitest';
import { indexBlockKey, indexPrefix, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { IndexBlock } from '../platform/contract/timeline.ts';
import { blockOf, entriesOf, LIVE_CONTENT } from '../test/support/timelines.ts';
import { createBlockSource, readNewestBlocks, readPlaces } from './index-blocks.ts';

test('the newest blocks that reach back over the window, in order; other files there are passed over', async () => {
  const places = [0, 30, 60, 90, 120, 150].map((msn) => ({ epoch: msn < 90 ? 1 : 2, msn }));
  const read: string[] = [];
  const keys = places.map(({ epoch, msn }) => indexBlockKey(LIVE_CONTENT, epoch, msn));
  const blocks = createBlockSource({
    async *list() {
      const other = `${indexPrefix(LIVE_CONTENT)}v360.writer0001.json` as ObjectKey;
      for (const key of [...keys, other].sort()) yield { key, bytes: 1 };
    },
    async read(key) {
      read.push(key);
      const place = places[keys.indexOf(key)] ?? { epoch: 0, msn: 0 };
      const block = blockOf(entriesOf(place.epoch, place.msn, place.msn + 29));
      return { etag: '1', body: Buffer.from(JSON.stringify(block)) };
    },
  });
  const found: number[] = [];
  await readNewestBlocks(blocks, LIVE_CONTENT, 60, (some) => found.push(...some.map((block) => block.first_msn)));
  expect(read).toEqual([150, 120, 90].map((msn) => indexBlockKey(LIVE_CONTENT, 2, msn)));
  expect(found).toEqual([150, 120, 90]);
  const all: IndexBlock[] = [];
  await readPlaces(blocks, LIVE_CONTENT, await blocks.places(LIVE_CONTENT), (some) => all.push(...some));
  expect(all.map((block) => [block.epoch, block.first_msn, block.segments.length])).toEqual(
    places.map(({ epoch, msn }) => [epoch, msn, 30]),
  );
});

test('a window of twelve hours is read with bounded parallelism', async () => {
  const keys = Array.from({ length: 720 }, (_none, index) => indexBlockKey(LIVE_CONTENT, 1, index * 30));
  let reading = 0;
  let most = 0;
  const blocks = createBlockSource({
    async *list() {
      for (const key of keys) yield { key, bytes: 1 };
    },
    async read(key) {
      reading += 1;
      most = Math.max(most, reading);
      await new Promise((resolve) => setImmediate(resolve));
      reading -= 1;
      const msn = keys.indexOf(key) * 30;
      return { etag: '1', body: Buffer.from(JSON.stringify(blockOf(entriesOf(1, msn, msn + 1)))) };
    },
  });
  let batches = 0;
  await readNewestBlocks(blocks, LIVE_CONTENT, 21_600, () => {
    batches += 1;
  });
  expect(most).toBeLessThanOrEqual(16);
  expect(batches).toBe(45);
});

test('no blocks, no reads', async () => {
  const blocks = createBlockSource({
    async *list() {
      yield* [];
    },
    read: () => Promise.reject(new Error('not asked')),
  });
  expect(await blocks.places(LIVE_CONTENT)).toEqual([]);
  await readNewestBlocks(blocks, LIVE_CONTENT, 60, () => expect.unreachable());
});
