// Assets: reading, changing, cancel, retry, delete. Each change is one conditional put; what follows from it the reconciler can repeat.

import type { Records } from '../platform/adapters/records.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { AssetId, UploadId } from '../platform/contract/ids.ts';
import { uploadPrefix } from '../platform/contract/object-keys.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import { type Contents, removePrefix } from './contents.ts';
import { NotAllowedNow, NotFound } from './errors.ts';
import type { Recordings } from './recordings.ts';
import { replaceRecord, requireMatch } from './versions.ts';
import type { Progress } from './views.ts';
import type { VodJobs } from './vod-jobs.ts';

export type AssetsDeps = {
  records: Pick<Records, 'get' | 'update' | 'replace' | 'remove' | 'list'>;
  storage: Pick<ObjectStorage, 'list' | 'delete'>;
  contents: Contents;
  recordings: Pick<Recordings, 'forget'>;
  vodJobs: VodJobs;
  /** Token of whoever holds a lease, or null. */
  holder: (lease: string) => Promise<string | null>;
  /** What the worker said last; null without Redis or word. */
  progress: { read(asset: AssetId): Promise<Progress | null>; remove(asset: AssetId): Promise<void> };
  /** Ends an upload whose asset goes away, so that no more of its bytes are stored. */
  abandonUpload: (upload: UploadId) => Promise<void>;
  publish: (event: PlatformEvent) => Promise<void>;
  log: Logger;
};
export type Versioned<T> = { value: T; etag: string };

export interface Assets {
  /** @throws NotFound, also while it is being deleted */
  get(id: AssetId): Promise<Versioned<AssetRecord>>;
  list(limit: number, cursor: string | null): Promise<{ values: AssetRecord[]; nextCursor: string | null }>;
  progress(id: AssetId): Promise<Progress | null>;
  /** @throws IfMatchRequired VersionStale NotFound */
  change(
    id: AssetId,
    change: { title?: string | undefined; description?: string | undefined },
    ifMatch: string | null,
  ): Promise<Versioned<AssetRecord>>;
  /** Stops work on a preparing asset; it becomes errored `CANCELLED`. @throws NotAllowedNow */
  cancel(id: AssetId): Promise<AssetRecord>;
  /** An errored asset goes to the queue again; finished renditions are kept. @throws NotAllowedNow */
  retry(id: AssetId, requestId: string): Promise<AssetRecord>;
  /** Hides the asset, leaves its content (whose objects go with the last holder), then removes the record. Harmless when repeated. */
  remove(id: AssetId): Promise<void>;
  /** The rest of remove() for a record that says `deleting`. @returns false while a worker still holds it */
  finishRemoval(asset: AssetRecord): Promise<boolean>;
  /** Writes why it failed, unless it is no longer preparing. */
  fail(id: AssetId, type: string, messages: string[]): Promise<void>;
}

/** How long a worker gets to stop before its objects are removed. Unit: ms. */
const WORKER_STOP_MS = 5_000;

async function follow(deps: AssetsDeps, what: string, asset: AssetId, step: () => Promise<unknown>): Promise<void> {
  try {
    await step();
  } catch (thrown) {
    deps.log.warn(`${what} left to the reconciler`, { asset, reason: messageOf(thrown) });
  }
}

async function getAsset(deps: AssetsDeps, id: AssetId): Promise<Versioned<AssetRecord>> {
  const found = await deps.records.get('asset', id);
  if (!found || found.value.status === 'deleting') throw new NotFound('asset');
  return found;
}

async function failAsset(deps: AssetsDeps, id: AssetId, type: string, messages: string[]): Promise<void> {
  await deps.records.update('asset', id, (a) =>
    a.status === 'preparing' ? { ...a, status: 'errored', errors: { type, messages } } : null,
  );
  await follow(deps, 'event', id, () => deps.publish({ type: 'asset', id }));
}

async function finishRemoval(deps: AssetsDeps, asset: AssetRecord): Promise<boolean> {
  const { records, storage } = deps;
  const deadline = Date.now() + WORKER_STOP_MS;
  while ((await deps.holder(leaseNames.vod(asset.id))) !== null) {
    if (Date.now() > deadline) return false;
    await delay(100);
  }
  await deps.recordings.forget(asset);
  await deps.contents.leave(asset.content_id, asset.id);
  if (asset.source.type === 'upload') {
    if (!asset.source.complete) await deps.abandonUpload(asset.source.upload_id);
    await removePrefix(storage, uploadPrefix(asset.source.upload_id));
  }
  await records.remove('asset', asset.id);
  await follow(deps, 'progress', asset.id, () => deps.progress.remove(asset.id));
  deps.log.info('asset deleted', { asset: asset.id });
  return true;
}

async function cancelAsset(deps: AssetsDeps, id: AssetId): Promise<AssetRecord> {
  const { value } = await getAsset(deps, id);
  if (value.status !== 'preparing') throw new NotAllowedNow(`an asset that is ${value.status} cannot be cancelled`);
  await deps.records.update('asset', id, (a) => (a.status === 'preparing' ? { ...a, cancel_requested: true } : null));
  await follow(deps, 'cancel', id, async () => {
    await deps.publish({ type: 'cancel-vod', id });
    if (value.source.type === 'upload' && !value.source.complete) await deps.abandonUpload(value.source.upload_id);
    await deps.vodJobs.removeWaiting(id, value.term);
    // A worker that holds it writes the end itself, when it has stopped.
    const isHeld = (await deps.holder(leaseNames.vod(id))) !== null;
    if (!isHeld && !(await deps.vodJobs.isOpen(id, value.term)))
      await failAsset(deps, id, 'CANCELLED', ['cancelled by request']);
  });
  return (await getAsset(deps, id)).value;
}

async function retryAsset(deps: AssetsDeps, id: AssetId, requestId: string): Promise<AssetRecord> {
  const { value } = await getAsset(deps, id);
  const isUploaded = value.source.type === 'upload' && value.source.complete;
  if (value.status !== 'errored' || !isUploaded)
    throw new NotAllowedNow('only an errored asset whose upload is complete can be tried again');
  const after = await deps.records.update('asset', id, (a) =>
    a.status === 'errored' ? { ...a, status: 'preparing', errors: null, cancel_requested: false } : null,
  );
  if (!after) throw new NotFound('asset');
  await follow(deps, 'progress', id, () => deps.progress.remove(id));
  await follow(deps, 'job', id, () => deps.vodJobs.ensure(id, after.value.term, requestId));
  await follow(deps, 'event', id, () => deps.publish({ type: 'asset', id }));
  return after.value;
}

async function removeAsset(deps: AssetsDeps, id: AssetId): Promise<void> {
  const after = await deps.records.update('asset', id, (a) =>
    a.status === 'deleting' ? null : { ...a, status: 'deleting' },
  );
  if (!after) throw new NotFound('asset');
  await follow(deps, 'deletion', id, async () => {
    await deps.publish({ type: 'cancel-vod', id });
    await deps.publish({ type: 'asset', id });
    await deps.vodJobs.removeWaiting(id, after.value.term);
    await finishRemoval(deps, after.value);
  });
}

export function createAssets(deps: AssetsDeps): Assets {
  return {
    get: (id) => getAsset(deps, id),
    fail: (id, type, messages) => failAsset(deps, id, type, messages),
    finishRemoval: (asset) => finishRemoval(deps, asset),
    progress: (id) => deps.progress.read(id),
    cancel: (id) => cancelAsset(deps, id),
    retry: (id, requestId) => retryAsset(deps, id, requestId),
    remove: (id) => removeAsset(deps, id),
    async list(limit, cursor) {
      const page = await deps.records.list('asset', { limit, cursor });
      return { ...page, values: page.values.filter((asset) => asset.status !== 'deleting') };
    },
    async change(id, change, ifMatch) {
      const found = await getAsset(deps, id);
      requireMatch(ifMatch, found.etag);
      const value = {
        ...found.value,
        title: change.title ?? found.value.title,
        description: change.description ?? found.value.description,
        updated_at: Date.now(),
      };
      const etag = await replaceRecord(deps.records, 'asset', value, found.etag);
      await follow(deps, 'event', id, () => deps.publish({ type: 'asset', id }));
      return { value, etag };
    },
  };
}
