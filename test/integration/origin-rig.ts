// Starts real origins inside a test process: own ports, a shared Redis and store.
import { createOrigin } from '../../origin/service.ts';
import type { StorageSettings } from '../../platform/adapters/storage.ts';
import { type NodeId, newId } from '../../platform/contract/ids.ts';
import { headers } from '../../platform/contract/routes.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';

export const TEST_SECRET = 'a secret of at least 32 characters';

export type RunningOrigin = {
  url: string;
  privateUrl: string;
  /** As an edge asks: with the internal secret. */
  get(path: string, more?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
};

/** @param storage settings of the store shared by all origins of the test */
export async function startOrigin(redisUrl: string, storage: StorageSettings): Promise<RunningOrigin> {
  const config = {
    port: 0,
    bindHost: '127.0.0.1',
    advertisedHost: '127.0.0.1',
    privatePort: 0,
    internalSecret: TEST_SECRET,
    redisUrl,
    liveWindowS: 120,
    storage,
  };
  const context = { role: 'origin', node: newId<NodeId>(), log: silentLogger, metrics: createMetrics(false) } as const;
  const service = createOrigin(config, context);
  await service.start();
  const { url, private_url: privateUrl } = service.addresses();
  return {
    url,
    privateUrl,
    get: (path, more = {}) => fetch(`${url}${path}`, { headers: { [headers.internal]: TEST_SECRET, ...more } }),
    async close() {
      await service.drain?.();
      await service.close();
    },
  };
}
