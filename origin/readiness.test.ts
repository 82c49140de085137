// What makes an origin ready, one fault at a time.
import { expect, test } from 'vitest';
import { ObjectMissing, StorageUnavailable } from '../platform/adapters/storage.ts';
import { createReadiness } from './readiness.ts';

type Setting = { marker?: string | null; redisFault?: Error; storageFault?: Error; isDraining?: boolean };

function build({ marker = '1', redisFault, storageFault, isDraining = false }: Setting) {
  const asked = { redis: 0, storage: 0 };
  const readiness = createReadiness({
    redis: {
      async get() {
        asked.redis += 1;
        if (redisFault) throw redisFault;
        return marker;
      },
    },
    storage: {
      async head(key) {
        asked.storage += 1;
        throw storageFault ?? new ObjectMissing(key);
      },
    },
    isDraining: () => isDraining,
  });
  return { readiness, asked };
}

test.each([
  ['all well', {}, []],
  ['no index', { marker: null }, ['the index in redis is not built yet']],
  ['redis away', { redisFault: new Error('no answer') }, ['redis: no answer']],
  ['store away', { storageFault: new StorageUnavailable('head') }, ['storage: the object store failed to head']],
  ['draining', { isDraining: true }, ['draining']],
] satisfies [string, Setting, string[]][])('%s', async (_name, setting, expected) => {
  expect(await build(setting).readiness()).toEqual(expected);
});

test('however often asked, Redis and store are asked once a second', async () => {
  const { readiness, asked } = build({});
  for (let round = 0; round < 20; round += 1) await readiness();
  expect(asked).toEqual({ redis: 1, storage: 1 });
});
