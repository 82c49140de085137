// Assets: reading, changing, cancel, retry, delete. Each change is one conditional put; what follows from it the reconciler can repeat.

import type { Records } from '../platform/adapters/records.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { AssetId, UploadId } from '../platform/contract/ids.ts';
import { indexPrefix, mediaPrefix, type ObjectKey, uploadPrefix } from '../platform/contract/object-keys.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import { NotAllowedNow, NotFound } from './errors.ts';
import { replaceRecord, requireMatch } from './versions.ts';
import type { Progress } from './views.ts';
import type { VodJobs } from './vod-jobs.ts';

export type AssetsDeps = {
  records: Pick<Records, 'get' | 'update' | 'replace' | 'remove' | 'list'>;
  storage: Pick<ObjectStorage, 'list' | 'delete'>;
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
  /** Hides the asset, removes its objects, then its record. Harmless when repeated. */
  remove(id: AssetId): Promise<void>;
  /** The rest of remove() for a record that says `deleting`. @returns false while a worker still holds it */
  finishRemoval(asset: AssetRecord): Promise<boolean>;
  /** Writes why it failed, unless it is no longer preparing. */
  fail(id: AssetId, type: string, messages: string[]): Promise<void>;
}

/** How long a worker gets to stop before its objects are removed. Unit: ms. */
const WORKER_STOP_MS = 5_000;
const DELETE_BATCH = 500;

async function removePrefix(storage: AssetsDeps['storage'], prefix: string): Promise<void> {
  let batch: ObjectKey[] = [];
  for await (const entry of storage.list(prefix)) {
    batch.push(entry.key);
    if (batch.length < DELETE_BATCH) continue;
    await storage.delete(batch);
    batch = [];
  }
  if (batch.length > 0) await storage.delete(batch);
}

export function createAssets(deps: AssetsDeps): Assets {
  const { records, storage, vodJobs, log } = deps;
  const follow = async (what: string, asset: AssetId, step: () => Promise<unknown>) => {
    try {
      await step();
    } catch (thrown) {
      log.warn(`${what} left to the reconciler`, { asset, reason: messageOf(thrown) });
    }
  };
  const get = async (id: AssetId) => {
    const found = await records.get('asset', id);
    if (!found || found.value.status === 'deleting') throw new NotFound('asset');
    return found;
  };

  async function fail(id: AssetId, type: string, messages: string[]): Promise<void> {
    await records.update('asset', id, (a) =>
      a.status === 'preparing' ? { ...a, status: 'errored', errors: { type, messages } } : null,
    );
    await follow('event', id, () => deps.publish({ type: 'asset', id }));
  }

  async function finishRemoval(asset: AssetRecord): Promise<boolean> {
    const deadline = Date.now() + WORKER_STOP_MS;
    while ((await deps.holder(leaseNames.vod(asset.id))) !== null) {
      if (Date.now() > deadline) return false;
      await delay(100);
    }
    await removePrefix(storage, mediaPrefix(asset.content_id));
    await removePrefix(storage, indexPrefix(asset.content_id));
    if (asset.source.type === 'upload') {
      if (!asset.source.complete) await deps.abandonUpload(asset.source.upload_id);
      await removePrefix(storage, uploadPrefix(asset.source.upload_id));
    }
    await records.remove('asset', asset.id);
    await follow('progress', asset.id, () => deps.progress.remove(asset.id));
    log.info('asset deleted', { asset: asset.id });
    return true;
  }

  return {
    get,
    fail,
    finishRemoval,
    async list(limit, cursor) {
      const page = await records.list('asset', { limit, cursor });
      return { ...page, values: page.values.filter((asset) => asset.status !== 'deleting') };
    },
    progress: (id) => deps.progress.read(id),
    async change(id, change, ifMatch) {
      const found = await get(id);
      requireMatch(ifMatch, found.etag);
      const value = {
        ...found.value,
        title: change.title ?? found.value.title,
        description: change.description ?? found.value.description,
        updated_at: Date.now(),
      };
      const etag = await replaceRecord(records, 'asset', value, found.etag);
      await follow('event', id, () => deps.publish({ type: 'asset', id }));
      return { value, etag };
    },
    async cancel(id) {
      const { value } = await get(id);
      if (value.status !== 'preparing') throw new NotAllowedNow(`an asset that is ${value.status} cannot be cancelled`);
      await records.update('asset', id, (a) => (a.status === 'preparing' ? { ...a, cancel_requested: true } : null));
      await follow('cancel', id, async () => {
        await deps.publish({ type: 'cancel-vod', id });
        await vodJobs.removeWaiting(id, value.term);
        const isHeld = (await deps.holder(leaseNames.vod(id))) !== null;
        if (!isHeld && !(await vodJobs.isOpen(id, value.term))) await fail(id, 'CANCELLED', ['cancelled by request']);
      });
      return (await get(id)).value;
    },
    async retry(id, requestId) {
      const { value } = await get(id);
      const isUploaded = value.source.type === 'upload' && value.source.complete;
      if (value.status !== 'errored' || !isUploaded)
        throw new NotAllowedNow('only an errored asset whose upload is complete can be tried again');
      const after = await records.update('asset', id, (a) =>
        a.status === 'errored' ? { ...a, status: 'preparing', errors: null, cancel_requested: false } : null,
      );
      if (!after) throw new NotFound('asset');
      await follow('progress', id, () => deps.progress.remove(id));
      await follow('job', id, () => vodJobs.ensure(id, after.value.term, requestId));
      await follow('event', id, () => deps.publish({ type: 'asset', id }));
      return after.value;
    },
    async remove(id) {
      const after = await records.update('asset', id, (a) =>
        a.status === 'deleting' ? null : { ...a, status: 'deleting' },
      );
      if (!after) throw new NotFound('asset');
      await follow('deletion', id, async () => {
        await deps.publish({ type: 'cancel-vod', id });
        await deps.publish({ type: 'asset', id });
        await vodJobs.removeWaiting(id, after.value.term);
        await finishRemoval(after.value);
      });
    },
  };
}
