// Initialisation segments are read ahead, once, and again when that failed.
import { expect, test } from 'vitest';
import { initKey } from '../platform/contract/object-keys.ts';
import { A0, broadcastOf, epochOf, LIVE_CONTENT, V360, video360 } from '../test/support/timelines.ts';
import { LiveInits } from './live-inits.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));
const keyOf = (epoch: number, rendition = V360) => initKey({ content: LIVE_CONTENT, rendition, epoch });

test('of every rendition of the newest epochs, also of those nobody asks for', async () => {
  const read: string[] = [];
  const inits = new LiveInits({
    async read(key) {
      read.push(key);
      return { etag: '', body: Buffer.from(key) };
    },
  });
  const broadcast = broadcastOf({ epochs: [epochOf(1, 0), epochOf(2, 5), epochOf(3, 9, [video360])] });
  inits.note(broadcast);
  await settle();
  inits.note(broadcast);
  expect(read).toEqual([keyOf(2), keyOf(2, A0), keyOf(3)]);
  expect(inits.get(keyOf(2, A0))?.toString()).toBe(keyOf(2, A0));
  expect(inits.get(keyOf(1))).toBeNull();
});

test('what could not be read is tried again, but not at every note', async () => {
  let reads = 0;
  let now = 0;
  const inits = new LiveInits(
    {
      async read() {
        reads += 1;
        if (reads === 1) throw new Error('store away');
        return { etag: '', body: Buffer.from('init') };
      },
    },
    () => now,
  );
  const broadcast = broadcastOf({ epochs: [epochOf(1, 0, [video360])] });
  inits.note(broadcast);
  await settle();
  inits.note(broadcast);
  expect([reads, inits.get(keyOf(1))]).toEqual([1, null]);
  now = 1_000;
  inits.note(broadcast);
  await settle();
  expect([reads, inits.get(keyOf(1))?.toString()]).toEqual([2, 'init']);
});
