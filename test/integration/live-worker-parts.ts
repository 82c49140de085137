// One live worker on connections of its own, as a transcoder puts it together; in the test's process or in one of its own.
import { join } from 'node:path';
import { createLeases } from '../../platform/adapters/leases.ts';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createRecords } from '../../platform/adapters/records.ts';
import { createRedis } from '../../platform/adapters/redis.ts';
import type { ObjectStorage, StorageSettings } from '../../platform/adapters/storage.ts';
import { createFsStorage } from '../../platform/adapters/storage-fs.ts';
import { createTimelineFollower, createTimelineWriter } from '../../platform/adapters/timeline-store.ts';
import { type NodeId, newId } from '../../platform/contract/ids.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics, type Metrics } from '../../platform/runtime/metrics.ts';
import { createLiveWorker, type LiveWorker, type LiveWorkerDeps } from '../../transcoder/live-worker.ts';
import { storeOnly } from '../support/store-only.ts';

/** Where a worker finds the rest of the platform. `store`: another one than the folder's. */
export type WorkerPlace = {
  redisUrl: string;
  folder: string;
  ringUrl: string;
  secret: string;
  ingest: NodeId;
  store?: StorageSettings;
};
export type RunningWorker = { node: NodeId; worker: LiveWorker; metrics: Metrics; close(): Promise<void> };

export const storeOf = ({ folder, store }: Pick<WorkerPlace, 'folder' | 'store'>): ObjectStorage =>
  store === undefined ? createFsStorage(join(folder, 'store')) : openStorage(store, silentLogger);

/** Other parts for a worker than the plain ones. */
export type WorkerChanges = (node: NodeId) => Partial<LiveWorkerDeps>;

/** Starts a worker with two rungs at most. */
export async function startWorker(place: WorkerPlace, changes: WorkerChanges = () => ({})): Promise<RunningWorker> {
  const redis = createRedis(place.redisUrl, silentLogger);
  await redis.start();
  const follower = createTimelineFollower(redis, silentLogger);
  await follower.start();
  const storage = storeOf(place);
  const ingest = { id: place.ingest, role: 'ingest', url: place.ringUrl, public_url: null, private_url: '' } as const;
  const info = { ...ingest, state: 'healthy', started_at: 0, pid: 0, version: '', load: {} } as const;
  const node = newId<NodeId>();
  const metrics = createMetrics(false);
  const worker = createLiveWorker(
    { node, internalSecret: place.secret, livePreset: 'ultrafast', liveMaxRungs: 2 },
    {
      storage,
      media: storeOnly(storage),
      records: createRecords(storage, redis, silentLogger),
      leases: createLeases(redis, silentLogger),
      timeline: createTimelineWriter(redis),
      follower,
      redis: redis.client,
      registry: { nodes: () => [info] },
      pictures: () => ({ segmentClosed: () => undefined, finish: async () => undefined }),
      announce: async () => undefined,
      log: silentLogger,
      metrics,
      ...changes(node),
    },
  );
  await worker.start();
  return {
    node,
    worker,
    metrics,
    async close() {
      await worker.close();
      await follower.close();
      await redis.close();
      await storage.close();
    },
  };
}
