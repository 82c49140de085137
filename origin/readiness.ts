// Whether an origin can answer: Redis, the index in it, and the store, each asked at most once a second.

import { ObjectMissing, type ObjectStorage } from '../platform/adapters/storage.ts';
import { recordKey } from '../platform/contract/object-keys.ts';
import { indexMarkerKey } from '../platform/contract/redis-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Readiness } from '../platform/runtime/private-server.ts';
import { within } from '../platform/runtime/waits.ts';
import { CachedLookup } from './cached-lookup.ts';

export type ReadinessDeps = {
  redis: { get(key: string): Promise<string | null> };
  storage: Pick<ObjectStorage, 'head'>;
  /** Draining: no new requests wanted. */
  isDraining: () => boolean;
};

const CHECK_MS = 2_000;
/** A key that no record has: the store answers that it is missing. */
const probeKey = recordKey('asset', 'readiness');

export function createReadiness({ redis, storage, isDraining }: ReadinessDeps): Readiness {
  const checks = new CachedLookup<string[]>(
    { ttlMs: 1_000, staleMs: 0, capacity: 1, limitMs: 2 * CHECK_MS },
    async () => (await Promise.all([checkRedis(redis), checkStorage(storage)])).flat(),
  );
  return async () => [...(isDraining() ? ['draining'] : []), ...(await checks.get('all'))];
}

async function checkRedis(redis: ReadinessDeps['redis']): Promise<string[]> {
  try {
    const marker = await within(redis.get(indexMarkerKey), CHECK_MS, 'redis');
    return marker === null ? ['the index in redis is not built yet'] : [];
  } catch (thrown) {
    return [`redis: ${messageOf(thrown)}`];
  }
}

async function checkStorage(storage: ReadinessDeps['storage']): Promise<string[]> {
  try {
    await within(storage.head(probeKey), CHECK_MS, 'storage');
    return [];
  } catch (thrown) {
    return thrown instanceof ObjectMissing ? [] : [`storage: ${messageOf(thrown)}`];
  }
}
