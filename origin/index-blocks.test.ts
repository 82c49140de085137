// Which index blocks are read for a window.
import { expect, test } from 'vitest';
import { indexBlockKey, indexPrefix, type ObjectKey } from '../platform/contract/object-keys.ts';
import { entriesOf, LIVE_CONTENT } from '../test/support/timelines.ts';
import { createBlockSource } from './index-blocks.ts';

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
      const entries = entriesOf(place.epoch, place.msn, place.msn + 29);
      const block = { version: 1, epoch: place.epoch, first_msn: place.msn, last_msn: place.msn + 29, entries };
      return { etag: '1', body: Buffer.from(JSON.stringify(block)) };
    },
  });
  const entries = await blocks.newest(LIVE_CONTENT, 60);
  expect(read).toEqual([90, 120, 150].map((msn) => indexBlockKey(LIVE_CONTENT, 2, msn)));
  const numbers = entries.map((entry) => entry.msn);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(numbers.at(-1)).toBe(179);
});

test('no blocks, no entries', async () => {
  const blocks = createBlockSource({
    async *list() {
      yield* [];
    },
    read: () => Promise.reject(new Error('not asked')),
  });
  expect(await blocks.newest(LIVE_CONTENT, 60)).toEqual([]);
});
