// Where the reconciler's questions are answered: store, Redis, queue, registry.

import type { EventBus } from '../platform/adapters/event-bus.ts';
import type { Leases } from '../platform/adapters/leases.ts';
import type { JobQueue } from '../platform/adapters/queue.ts';
import type { Records } from '../platform/adapters/records.ts';
import type { RedisConnection } from '../platform/adapters/redis.ts';
import type { Registry } from '../platform/adapters/registry.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { AssetId, BroadcastId, ContentId, StreamId, UploadId } from '../platform/contract/ids.ts';
import { liveJobId } from '../platform/contract/jobs.ts';
import { RECORD_KINDS, type RecordKind, recordPrefix } from '../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord, RecordOf } from '../platform/contract/records.ts';
import { indexMarkerKey, leases as leaseNames, liveBroadcastsKey } from '../platform/contract/redis-keys.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Assets } from './assets.ts';
import type { BroadcastRepairsDeps } from './broadcast-repairs.ts';
import type { Contents } from './contents.ts';
import { type LiveStreams, withEnding } from './live-streams.ts';
import type { JobRow } from './overview.ts';
import { removeParts } from './part-removal.ts';
import type { Presence } from './presence.ts';
import type { OpenThing, ReconcilerDeps } from './reconciler.ts';
import type { Recordings } from './recordings.ts';
import { readChain } from './upload-chunks.ts';
import type { Uploads } from './uploads.ts';
import type { VodJobs } from './vod-jobs.ts';

export type ReconcilerParts = {
  records: Records;
  storage: ObjectStorage;
  redis: RedisConnection;
  leases: Leases;
  registry: Registry;
  events: EventBus;
  jobs: (limit: number) => Promise<JobRow[]>;
  queue: Pick<JobQueue, 'enqueue'>;
  vodJobs: VodJobs;
  assets: Assets;
  contents: Contents;
  recordings: Recordings;
  presence: Presence;
  removeTimeline: (content: ContentId) => Promise<void>;
  uploads: Uploads;
  streams: LiveStreams;
  repaired: (kind: string) => void;
  log: Logger;
};

/** Newest things of a kind that a pass looks at. */
const RECENT = 50;
/** The registry's word counts while it is this fresh. Unit: ms. */
const REGISTRY_FRESH_MS = 5_000;

/** Name below `records/{kind}/` -> what to look at; null for a name that is no id. */
function thingOf(kind: RecordKind, name: string): OpenThing | null {
  const schemas = { asset: AssetId, upload: UploadId, stream: StreamId, broadcast: BroadcastId, content: ContentId };
  const id = schemas[kind].safeParse(name);
  return id.success ? ({ kind, id: id.data } as OpenThing) : null;
}

async function* everyRecord(storage: Pick<ObjectStorage, 'list'>): AsyncIterable<OpenThing> {
  for (const kind of RECORD_KINDS) {
    const prefix = recordPrefix(kind);
    for await (const entry of storage.list(prefix)) {
      const thing = thingOf(kind, entry.key.slice(prefix.length).split('/')[0] ?? '');
      if (thing) yield thing;
    }
  }
}

async function recentThings(parts: ReconcilerParts): Promise<OpenThing[]> {
  const kinds = ['asset', 'upload', 'stream', 'broadcast'] as const;
  const pages = await Promise.all(
    kinds.map(async (kind) => {
      const page = await parts.records.list(kind, { limit: RECENT, cursor: null });
      return page.values.flatMap((value) => thingOf(kind, value.id) ?? []);
    }),
  );
  return pages.flat();
}

async function liveBroadcasts(parts: ReconcilerParts): Promise<OpenThing[]> {
  const ids = Object.keys(await parts.redis.client.hGetAll(liveBroadcastsKey));
  return ids.flatMap((id) => thingOf('broadcast', id) ?? []);
}

async function lastFailure(parts: ReconcilerParts, asset: AssetRecord) {
  const mine = (await parts.jobs(500)).filter((job) => job.id.split(':')[1] === asset.id);
  const latest = mine.sort((a, b) => b.created_at - a.created_at)[0];
  if (latest?.state !== 'failed' || latest.finished_at === null) return null;
  return { finishedAt: latest.finished_at, reason: latest.failed_reason ?? 'the job failed' };
}

async function endBroadcast(parts: ReconcilerParts, id: BroadcastId): Promise<void> {
  let isNew = false;
  await parts.records.update('broadcast', id, (b) => {
    isNew = b.status !== 'ended';
    return isNew ? { ...b, status: 'ended', ended_at: Date.now(), ingest: null } : null;
  });
  await parts.redis.client.hDel(liveBroadcastsKey, id);
  if (isNew) await parts.events.publish({ type: 'broadcast', id });
}

async function beginEnding(parts: ReconcilerParts, id: BroadcastId): Promise<void> {
  await parts.records.update('broadcast', id, withEnding);
  await parts.events.publish({ type: 'broadcast', id });
}

function enqueueClosing(parts: ReconcilerParts, { id, term }: BroadcastRecord): Promise<'added' | 'present'> {
  const next = term + 1;
  const payload = { version: 1, broadcast_id: id, term: next, place: 'leader' } as const;
  return parts.queue.enqueue('live', liveJobId(id, next), payload);
}

async function hasRecord(parts: ReconcilerParts, id: string): Promise<boolean> {
  return (await parts.records.get('asset', id)) !== null || (await parts.records.get('broadcast', id)) !== null;
}

/** Streams, broadcasts and contents. */
function broadcastDeps(parts: ReconcilerParts, read: ReadRecord): BroadcastRepairsDeps {
  const { contents, leases, presence, recordings, registry, streams } = parts;
  return {
    stream: (id) => read('stream', id),
    broadcast: (id) => read('broadcast', id),
    content: (id) => read('content', id),
    hasRecord: (holder) => hasRecord(parts, holder),
    isCarried: async (id) => (await leases.holder(leaseNames.live(id))) !== null,
    isIngestAlive: (node) =>
      registry.ageMs() > REGISTRY_FRESH_MS ? null : registry.nodes('ingest').some((known) => known.id === node),
    isSpooled: (id) => presence.encodes(id).some(({ spooled }) => spooled > 0),
    beginEnding: (id) => beginEnding(parts, id),
    enqueueClosing: (broadcast) => enqueueClosing(parts, broadcast),
    endBroadcast: (id) => endBroadcast(parts, id),
    record: (broadcast) => recordings.record(broadcast),
    leave: (content, holder) => contents.leave(content, holder),
    finishContentRemoval: (content) => contents.finishRemoval(content),
    removeParts: (broadcast) => removeParts(parts, broadcast),
    finishStreamRemoval: (stream) => streams.finishRemoval(stream),
    dropOldKeys: (stream) => streams.keys.dropExpired(stream.id),
    now: Date.now,
  };
}

type ReadRecord = <K extends RecordKind>(kind: K, id: string) => Promise<RecordOf[K] | null>;

/** Wires the reconciler to the parts of the api. */
export function reconcilerDeps(parts: ReconcilerParts): ReconcilerDeps {
  const { records, leases, assets, uploads } = parts;
  const read: ReadRecord = async (kind, id) => (await records.get(kind, id))?.value ?? null;
  return {
    ...broadcastDeps(parts, read),
    asset: (id) => read('asset', id),
    upload: (id) => read('upload', id),
    everything: () => everyRecord(parts.storage),
    live: () => liveBroadcasts(parts),
    recent: () => recentThings(parts),
    indexMark: () => parts.redis.client.get(indexMarkerKey),
    async hasHolder(lease) {
      const name = 'vod' in lease ? leaseNames.vod(lease.vod) : leaseNames.upload(lease.upload);
      return (await leases.holder(name)) !== null;
    },
    hasOpenJob: (asset) => parts.vodJobs.isOpen(asset.id, asset.term),
    lastFailure: (asset) => lastFailure(parts, asset),
    async enqueue(asset) {
      await parts.vodJobs.ensure(asset.id, asset.term, 'reconciler');
    },
    failAsset: (id, type, messages) => assets.fail(id, type, messages),
    finishAssetRemoval: (asset) => assets.finishRemoval(asset),
    removeAsset: (id) => assets.remove(id),
    async storedBytes(upload) {
      const chain = await readChain(parts.storage, upload.id);
      return chain.strays.length === 0 ? chain.offset : -1;
    },
    async completeUpload(id) {
      await uploads.complete(id, 'reconciler');
    },
    expireUpload: (id) => uploads.expire(id),
    repaired: parts.repaired,
    log: parts.log,
  };
}
