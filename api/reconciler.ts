// Puts right what broke off between two steps: records say what should be, this makes queue, objects and dependent records follow.
// One api process does it, under the lease `reconciler`. Nothing here is needed while all goes well.
import type { AssetId, BroadcastId, StreamId, UploadId } from '../platform/contract/ids.ts';
import type { AssetRecord, BroadcastRecord, StreamRecord, UploadRecord } from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';

export type OpenThing =
  | { kind: 'asset'; id: AssetId }
  | { kind: 'upload'; id: UploadId }
  | { kind: 'stream'; id: StreamId }
  | { kind: 'broadcast'; id: BroadcastId };

/** What happened to the last job of an asset; null: the queue knows none, or one is open. */
export type FailedJob = { finishedAt: number; reason: string };

export interface ReconcilerDeps {
  /** Records of a kind by id; null when missing. */
  asset(id: AssetId): Promise<AssetRecord | null>;
  upload(id: UploadId): Promise<UploadRecord | null>;
  stream(id: StreamId): Promise<StreamRecord | null>;
  broadcast(id: BroadcastId): Promise<BroadcastRecord | null>;
  /** Every id of the store, in any order. */
  everything(): AsyncIterable<OpenThing>;
  /** Ids that index and queue know as recent or live: cheap. */
  recent(): Promise<OpenThing[]>;
  /** Changes whenever the Redis index was built anew; null while it is missing. */
  indexMark(): Promise<string | null>;

  hasHolder(lease: { vod: AssetId } | { live: BroadcastId } | { upload: UploadId }): Promise<boolean>;
  hasOpenJob(asset: AssetRecord): Promise<boolean>;
  lastFailure(asset: AssetRecord): Promise<FailedJob | null>;
  enqueue(asset: AssetRecord): Promise<void>;
  failAsset(id: AssetId, type: string, messages: string[]): Promise<void>;
  /** @returns false while it has to wait */
  finishAssetRemoval(asset: AssetRecord): Promise<boolean>;
  removeAsset(id: AssetId): Promise<void>;
  storedBytes(upload: UploadRecord): Promise<number>;
  completeUpload(id: UploadId): Promise<void>;
  expireUpload(id: UploadId): Promise<void>;
  finishStreamRemoval(stream: StreamRecord): Promise<boolean>;
  /** Null while the registry does not answer. */
  isIngestAlive(node: string): boolean | null;
  endBroadcast(id: BroadcastId): Promise<void>;

  now(): number;
  repaired(kind: string): void;
  log: Logger;
}

export interface Reconciler {
  /** Looks at open things; every 30th time, after a rebuild and at the first, at everything. */
  pass(signal: AbortSignal): Promise<void>;
  /** Hint that this thing changed. */
  touch(thing: OpenThing): void;
}

/** Passes between two looks at everything: 60 s at one pass each 2 s. */
const PASSES_PER_SCAN = 30;
const PASSES_PER_HOUR = 1_800;
/** A worker that lost its lease to an emptied Redis takes it again within this; only then is an asset an orphan. Unit: ms. */
export const ORPHAN_MS = 4_000;
/** Beyond the reconnect window. Unit: ms. */
export const ABANDONED_MS = 15_000;

const keyOf = (thing: OpenThing): string => `${thing.kind}:${thing.id}`;

export function createReconciler(deps: ReconcilerDeps): Reconciler {
  const open = new Map<string, OpenThing>();
  /** Since when a thing has looked forsaken. Unit: ms. */
  const forsakenSince = new Map<string, number>();
  /** Found finished by a scan: not read again until touched, or an hour later. */
  const settled = new Set<string>();
  let passes = 0;
  let lastMark: string | null = null;

  /** True once `key` has been forsaken for `ms` in each look. */
  const isForsaken = (key: string, isNow: boolean, ms: number): boolean => {
    if (!isNow) {
      forsakenSince.delete(key);
      return false;
    }
    const since = forsakenSince.get(key) ?? deps.now();
    forsakenSince.set(key, since);
    return deps.now() - since >= ms;
  };
  const report = (kind: string, id: string) => {
    deps.repaired(kind);
    deps.log.info('repaired', { kind, id });
  };

  /** Each check answers whether the thing may still need a look. */
  async function checkAsset(id: AssetId): Promise<boolean> {
    const asset = await deps.asset(id);
    if (asset === null || asset.status === 'ready' || asset.status === 'errored') return false;
    if (asset.status === 'deleting') {
      const isDone = await deps.finishAssetRemoval(asset);
      if (isDone) report('asset-deletion', id);
      return !isDone;
    }
    if (asset.source.type !== 'upload') return false;
    if (!asset.source.complete) return await checkUnfilled(asset, asset.source.upload_id);
    const isForgotten = !(await deps.hasHolder({ vod: id })) && !(await deps.hasOpenJob(asset));
    if (!isForsaken(`asset:${id}`, isForgotten, ORPHAN_MS)) return true;
    forsakenSince.delete(`asset:${id}`);
    await resume(asset);
    return true;
  }

  async function resume(asset: AssetRecord): Promise<void> {
    const failure = await deps.lastFailure(asset);
    if (asset.cancel_requested) await deps.failAsset(asset.id, 'CANCELLED', ['cancelled by request']);
    else if (failure && failure.finishedAt >= asset.updated_at)
      await deps.failAsset(asset.id, 'UNKNOWN', [failure.reason]);
    else await deps.enqueue(asset);
    report(asset.cancel_requested ? 'asset-cancel' : failure ? 'asset-failure' : 'asset-job', asset.id);
  }

  /** An asset whose upload is over or never came to be. */
  async function checkUnfilled(asset: AssetRecord, uploadId: UploadId): Promise<boolean> {
    const upload = await deps.upload(uploadId);
    if (upload?.status === 'waiting') return true;
    const key = `unfilled:${asset.id}`;
    if (!isForsaken(key, true, ORPHAN_MS)) return true;
    forsakenSince.delete(key);
    if (upload?.status === 'asset_created') await deps.completeUpload(uploadId);
    else await deps.removeAsset(asset.id);
    report('asset-without-upload', asset.id);
    return true;
  }

  async function checkUpload(id: UploadId): Promise<boolean> {
    const upload = await deps.upload(id);
    if (upload === null || upload.status !== 'waiting') return false;
    if (await deps.hasHolder({ upload: id })) return true;
    if (upload.length !== null && (await deps.storedBytes(upload)) === upload.length) {
      await deps.completeUpload(id);
      report('upload-complete', id);
      return false;
    }
    if (deps.now() <= upload.expires_at) return true;
    await deps.expireUpload(id);
    report('upload-expired', id);
    return false;
  }

  async function checkStream(id: StreamId): Promise<boolean> {
    const stream = await deps.stream(id);
    if (stream === null || stream.status !== 'deleting') return false;
    const isDone = await deps.finishStreamRemoval(stream);
    if (isDone) report('stream-deletion', id);
    return !isDone;
  }

  async function checkBroadcast(id: BroadcastId): Promise<boolean> {
    const broadcast = await deps.broadcast(id);
    if (broadcast === null) return false;
    if (broadcast.status === 'ended') {
      // Only the note in the live list may be left over.
      await deps.endBroadcast(id);
      return false;
    }
    const isTended = await isBroadcastTended(broadcast);
    if (isTended === null) return true;
    const limitMs = broadcast.reconnect_window_s * 1_000 + ABANDONED_MS;
    if (!isForsaken(`broadcast:${id}`, !isTended, limitMs)) return true;
    forsakenSince.delete(`broadcast:${id}`);
    await deps.endBroadcast(id);
    report('broadcast-abandoned', id);
    return false;
  }

  /** Live: an ingest node carries it. Ending: a worker still closes it. Null: nobody can tell now. */
  async function isBroadcastTended(broadcast: BroadcastRecord): Promise<boolean | null> {
    if (broadcast.status === 'ending') return await deps.hasHolder({ live: broadcast.id });
    return broadcast.ingest === null ? false : deps.isIngestAlive(broadcast.ingest.node);
  }

  function check(thing: OpenThing): Promise<boolean> {
    if (thing.kind === 'asset') return checkAsset(thing.id);
    if (thing.kind === 'upload') return checkUpload(thing.id);
    return thing.kind === 'stream' ? checkStream(thing.id) : checkBroadcast(thing.id);
  }

  async function look(thing: OpenThing): Promise<void> {
    try {
      if (await check(thing)) open.set(keyOf(thing), thing);
      else {
        open.delete(keyOf(thing));
        settled.add(keyOf(thing));
      }
    } catch (thrown) {
      open.set(keyOf(thing), thing);
      deps.log.warn('repair failed; tried again', { kind: thing.kind, id: thing.id, reason: messageOf(thrown) });
    }
  }

  return {
    async pass(signal) {
      const mark = await deps.indexMark().catch(() => null);
      const isRebuilt = mark !== null && mark !== lastMark;
      const isScan = passes % PASSES_PER_SCAN === 0 || isRebuilt;
      passes += 1;
      lastMark = mark;
      if (isRebuilt || passes % PASSES_PER_HOUR === 0) settled.clear();
      const seen = new Set<string>();
      const once = async (thing: OpenThing) => {
        if (signal.aborted || seen.has(keyOf(thing)) || settled.has(keyOf(thing))) return;
        seen.add(keyOf(thing));
        await look(thing);
      };
      for (const thing of [...open.values()]) await once(thing);
      for (const thing of await deps.recent().catch(() => [])) await once(thing);
      if (!isScan) return;
      for await (const thing of deps.everything()) {
        if (signal.aborted) return;
        await once(thing);
      }
    },
    touch(thing) {
      settled.delete(keyOf(thing));
      open.set(keyOf(thing), thing);
    },
  };
}
