// Puts right what broke off between two steps: records say what should be, this makes queue, objects and dependent records follow.
// One api process does it, under the lease `reconciler`. Nothing here is needed while all goes well.
import type { AssetId, BroadcastId, ContentId, StreamId, UploadId } from '../platform/contract/ids.ts';
import type { AssetRecord, UploadRecord } from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { BroadcastRepairs, type BroadcastRepairsDeps, type NextLook } from './broadcast-repairs.ts';
import { Forsaken } from './forsaken.ts';

export type OpenThing =
  | { kind: 'asset'; id: AssetId }
  | { kind: 'upload'; id: UploadId }
  | { kind: 'stream'; id: StreamId }
  | { kind: 'broadcast'; id: BroadcastId }
  | { kind: 'content'; id: ContentId };

/** What happened to the last job of an asset; null: the queue knows none, or one is open. */
export type FailedJob = { finishedAt: number; reason: string };

export interface ReconcilerDeps extends BroadcastRepairsDeps {
  /** Records of a kind by id; null when missing. */
  asset(id: AssetId): Promise<AssetRecord | null>;
  upload(id: UploadId): Promise<UploadRecord | null>;
  /** Every id of the store, in any order. */
  everything(): AsyncIterable<OpenThing>;
  /** Broadcasts that Redis lists as live: one command. */
  live(): Promise<OpenThing[]>;
  /** The newest of each kind: a list and some reads. */
  recent(): Promise<OpenThing[]>;
  /** Changes whenever the Redis index was built anew; null while it is missing. */
  indexMark(): Promise<string | null>;

  hasHolder(lease: { vod: AssetId } | { upload: UploadId }): Promise<boolean>;
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
/** Between two looks at the newest, for things of which no event came: 10 s. */
const PASSES_PER_LIST = 5;
const PASSES_PER_HOUR = 1_800;
/** A worker that lost its lease to an emptied Redis takes it again within this; only then is an asset an orphan. Unit: ms. */
export const ORPHAN_MS = 4_000;

const keyOf = (thing: OpenThing): string => `${thing.kind}:${thing.id}`;

class RecordReconciler implements Reconciler {
  private readonly deps: ReconcilerDeps;
  private readonly open = new Map<string, OpenThing>();
  /** Open things that want no look before this time. Unit: ms. */
  private readonly notBefore = new Map<string, number>();
  private readonly forsaken: Forsaken;
  private readonly broadcasts: BroadcastRepairs;
  /** Found finished by a scan: not read again until touched, or an hour later. */
  private readonly settled = new Set<string>();
  private passes = 0;
  private lastMark: string | null = null;

  constructor(deps: ReconcilerDeps) {
    this.deps = deps;
    this.forsaken = new Forsaken(deps.now);
    const report = (kind: string, id: string) => this.report(kind, id);
    this.broadcasts = new BroadcastRepairs(deps, this.forsaken, report, (id) => this.touch({ kind: 'broadcast', id }));
  }

  private report(kind: string, id: string): void {
    this.deps.repaired(kind);
    this.deps.log.info('repaired', { kind, id });
  }

  /** Each check answers whether the thing may still need a look. */
  private async checkAsset(id: AssetId): Promise<boolean> {
    const asset = await this.deps.asset(id);
    if (asset === null || asset.status === 'ready' || asset.status === 'errored') return false;
    if (asset.status === 'deleting') {
      const isDone = await this.deps.finishAssetRemoval(asset);
      if (isDone) this.report('asset-deletion', id);
      return !isDone;
    }
    if (asset.source.type !== 'upload') return false;
    if (!asset.source.complete) return await this.checkUnfilled(asset, asset.source.upload_id);
    const isForgotten = !(await this.deps.hasHolder({ vod: id })) && !(await this.deps.hasOpenJob(asset));
    if (!this.forsaken.isFor(`asset:${id}`, isForgotten, ORPHAN_MS)) return true;
    await this.resume(asset);
    return true;
  }

  private async resume(asset: AssetRecord): Promise<void> {
    const failure = await this.deps.lastFailure(asset);
    if (asset.cancel_requested) await this.deps.failAsset(asset.id, 'CANCELLED', ['cancelled by request']);
    else if (failure && failure.finishedAt >= asset.updated_at)
      await this.deps.failAsset(asset.id, 'UNKNOWN', [failure.reason]);
    else await this.deps.enqueue(asset);
    this.report(asset.cancel_requested ? 'asset-cancel' : failure ? 'asset-failure' : 'asset-job', asset.id);
  }

  /** An asset whose upload is over or never came to be. */
  private async checkUnfilled(asset: AssetRecord, uploadId: UploadId): Promise<boolean> {
    const upload = await this.deps.upload(uploadId);
    if (upload?.status === 'waiting') {
      this.open.set(`upload:${uploadId}`, { kind: 'upload', id: uploadId });
      return true;
    }
    if (!this.forsaken.isFor(`unfilled:${asset.id}`, true, ORPHAN_MS)) return true;
    if (upload?.status === 'asset_created') await this.deps.completeUpload(uploadId);
    else await this.deps.removeAsset(asset.id);
    this.report('asset-without-upload', asset.id);
    return true;
  }

  private async checkUpload(id: UploadId): Promise<boolean> {
    const upload = await this.deps.upload(id);
    if (upload === null || upload.status !== 'waiting') return false;
    if (await this.deps.hasHolder({ upload: id })) return true;
    if (upload.length !== null && (await this.deps.storedBytes(upload)) === upload.length) {
      await this.deps.completeUpload(id);
      this.report('upload-complete', id);
      return false;
    }
    if (this.deps.now() <= upload.expires_at) return true;
    await this.deps.expireUpload(id);
    this.report('upload-expired', id);
    return false;
  }

  private check(thing: OpenThing): Promise<NextLook> {
    if (thing.kind === 'asset') return this.checkAsset(thing.id);
    if (thing.kind === 'upload') return this.checkUpload(thing.id);
    if (thing.kind === 'stream') return this.broadcasts.checkStream(thing.id);
    return thing.kind === 'broadcast'
      ? this.broadcasts.checkBroadcast(thing.id)
      : this.broadcasts.checkContent(thing.id);
  }

  private async look(thing: OpenThing): Promise<void> {
    const key = keyOf(thing);
    this.notBefore.delete(key);
    try {
      const next = await this.check(thing);
      if (typeof next === 'number') this.notBefore.set(key, this.deps.now() + next);
      if (next !== false) this.open.set(key, thing);
      else {
        this.open.delete(key);
        this.settled.add(key);
      }
    } catch (thrown) {
      this.open.set(key, thing);
      this.deps.log.warn('repair failed; tried again', { kind: thing.kind, id: thing.id, reason: messageOf(thrown) });
    }
  }

  async pass(signal: AbortSignal): Promise<void> {
    const mark = await this.deps.indexMark().catch(() => null);
    const isRebuilt = mark !== null && mark !== this.lastMark;
    const isScan = this.passes % PASSES_PER_SCAN === 0 || isRebuilt;
    this.passes += 1;
    this.lastMark = mark;
    if (isRebuilt || this.passes % PASSES_PER_HOUR === 0) this.settled.clear();
    const seen = new Set<string>();
    const once = async (thing: OpenThing) => {
      const key = keyOf(thing);
      if (signal.aborted || seen.has(key) || this.settled.has(key)) return;
      if (this.deps.now() < (this.notBefore.get(key) ?? 0)) return;
      seen.add(key);
      await this.look(thing);
    };
    for (const thing of [...this.open.values()]) await once(thing);
    for (const thing of await this.deps.live().catch(() => [])) await once(thing);
    if (this.passes % PASSES_PER_LIST === 0)
      for (const thing of await this.deps.recent().catch(() => [])) await once(thing);
    if (!isScan) return;
    for await (const thing of this.deps.everything()) {
      if (signal.aborted) return;
      await once(thing);
    }
  }

  touch(thing: OpenThing): void {
    this.settled.delete(keyOf(thing));
    this.notBefore.delete(keyOf(thing));
    this.open.set(keyOf(thing), thing);
  }
}

export const createReconciler = (deps: ReconcilerDeps): Reconciler => new RecordReconciler(deps);
