// When the index watch waits, and that it ends what it began.
import { expect, test } from 'vitest';
import { indexWatch } from './record-watch.ts';

function recorded(ensureIndex: () => Promise<void> = async () => undefined) {
  const seen: string[] = [];
  const records = {
    async ensureIndex() {
      seen.push('ensured');
      await ensureIndex();
    },
    watchIndex() {
      seen.push('watched');
      return { close: async () => void seen.push('closed') };
    },
  };
  return { records, seen };
}

test.each([
  [true, ['ensured', 'watched', 'closed']],
  [false, ['watched', 'closed']],
])('awaited %s: %o, closed once', async (isAwaited, expected) => {
  const { records, seen } = recorded();
  const watch = indexWatch(records, { isAwaited });
  await watch.start();
  await watch.close();
  await watch.close();
  expect(seen).toEqual(expected);
});

test('without an index an awaited start fails and watches nothing', async () => {
  const { records, seen } = recorded(() => Promise.reject(new Error('redis is away')));
  const watch = indexWatch(records, { isAwaited: true });
  await expect(watch.start()).rejects.toThrow('redis is away');
  await watch.close();
  expect(seen).toEqual(['ensured']);
});
