// Uploads: creation, the one-time address, completion, cancel, expiry. Records first; queue and events follow and are repaired by the reconciler.
import { createHash } from 'node:crypto';
import type { Records } from '../platform/adapters/records.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import { type AssetId, contentOf, newId, type PlaybackId, randomText, UploadId } from '../platform/contract/ids.ts';
import type {
  AssetRecord,
  NewAssetSettings,
  PlaybackEntry,
  PlaybackPolicy,
  UploadRecord,
} from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import { secretsEqual } from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { SpaceCheck } from './disk-space.ts';
import { NotAllowedNow, NotFound, RequestInvalid, UploadGone, UploadOffsetConflict, UploadTooLarge } from './errors.ts';
import { type ChunkStorage, readChain, removeChunks } from './upload-chunks.ts';
import type { UploadLocks } from './upload-locks.ts';
import type { VodJobs } from './vod-jobs.ts';

export type UploadsConfig = { publicUrl: string; uploadMaxBytes: number; uploadExpiryMs: number };
export type UploadsDeps = {
  records: Pick<Records, 'get' | 'create' | 'update' | 'list'>;
  storage: ChunkStorage;
  locks: UploadLocks;
  vodJobs: VodJobs;
  publish: (event: PlatformEvent) => Promise<void>;
  requireSpace: SpaceCheck;
  /** Deletes the asset of an upload that will not be. */
  removeAsset: (asset: AssetId) => Promise<void>;
  log: Logger;
};
export type NewUpload = {
  cors_origin: string;
  new_asset_settings: NewAssetSettings;
  timeout: number | null;
  length: number | null;
  filename: string;
};

export interface Uploads {
  /** @returns the record and its one-time address, shown this once */
  create(request: NewUpload): Promise<{ record: UploadRecord; url: string }>;
  get(id: UploadId): Promise<UploadRecord>;
  list(limit: number, cursor: string | null): Promise<{ values: UploadRecord[]; nextCursor: string | null }>;
  /** Bytes stored so far. */
  offset(record: UploadRecord): Promise<number>;
  /** The upload behind `{id}.{secret}`. @throws NotFound */
  open(address: string): Promise<UploadRecord>;
  /** Sets the length once known. @throws UploadTooLarge DiskLow UploadGone */
  declareLength(id: UploadId, length: number | null): Promise<void>;
  /** All bytes are durable: the asset goes to the queue. Harmless when repeated. @throws UploadOffsetConflict UploadGone */
  complete(id: UploadId, requestId: string): Promise<UploadRecord>;
  /**
   * @param hasLock the caller already holds the upload's lock
   * @throws NotAllowedNow unless it is waiting
   */
  cancel(id: UploadId, hasLock?: boolean): Promise<UploadRecord>;
  /** Ends a waiting upload whose asset is being deleted; no error when it is over or missing. */
  abandon(id: UploadId): Promise<void>;
  /** Ends a waiting upload as `timed_out`. */
  expire(id: UploadId): Promise<void>;
}

/** Hash under which a secret is kept. */
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** One playback id per policy. */
export const playbackIdsFor = (policies: PlaybackPolicy[]): PlaybackEntry[] =>
  [...new Set(policies)].map((policy) => ({ id: newId<PlaybackId>(), policy }));

const ADDRESS = /^([A-Za-z0-9]{16,40})\.([A-Za-z0-9]{16,64})$/;

function assetFor(upload: UploadRecord): AssetRecord {
  return {
    version: 1,
    id: upload.asset_id,
    status: 'preparing',
    created_at: upload.created_at,
    updated_at: upload.created_at,
    title: upload.new_asset_settings.title,
    description: upload.new_asset_settings.description,
    playback_ids: playbackIdsFor(upload.new_asset_settings.playback_policies),
    content_id: contentOf(upload.asset_id),
    source: { type: 'upload', upload_id: upload.id, complete: false },
    term: 0,
    cancel_requested: false,
    errors: null,
    input: null,
    planned: [],
    renditions: [],
    images_writer: null,
    range: null,
    duration_s: null,
    size_bytes: null,
  };
}

function uploadFor(request: NewUpload, secret: string, expiryMs: number): UploadRecord {
  const now = Date.now();
  return {
    version: 1,
    id: newId<UploadId>(),
    status: 'waiting',
    created_at: now,
    updated_at: now,
    expires_at: now + (request.timeout === null ? expiryMs : Math.min(expiryMs, request.timeout * 1_000)),
    asset_id: newId<AssetId>(),
    secret_hash: hashOf(secret),
    cors_origin: request.cors_origin,
    length: request.length,
    filename: request.filename,
    new_asset_settings: request.new_asset_settings,
  };
}

/** A hint or a queue entry that fails costs seconds: the reconciler does it again. */
async function follow(deps: UploadsDeps, what: string, id: string, step: () => Promise<unknown>): Promise<void> {
  try {
    await step();
  } catch (thrown) {
    deps.log.warn(`${what} left to the reconciler`, { id, reason: messageOf(thrown) });
  }
}

async function getUpload(deps: UploadsDeps, id: UploadId): Promise<UploadRecord> {
  const found = await deps.records.get('upload', id);
  if (!found) throw new NotFound('upload');
  return found.value;
}

async function createUpload(
  config: UploadsConfig,
  deps: UploadsDeps,
  request: NewUpload,
): Promise<{ record: UploadRecord; url: string }> {
  if (request.length !== null && request.length > config.uploadMaxBytes)
    throw new UploadTooLarge(config.uploadMaxBytes);
  await deps.requireSpace(request.length ?? 0);
  const secret = randomText(32);
  const record = uploadFor(request, secret, config.uploadExpiryMs);
  // The upload's record comes last: an asset without one is found and removed by the reconciler.
  await deps.records.create('asset', assetFor(record));
  await deps.records.create('upload', record);
  await follow(deps, 'event', record.asset_id, () => deps.publish({ type: 'asset', id: record.asset_id }));
  return { record, url: `${config.publicUrl}/uploads/${record.id}.${secret}` };
}

async function openUpload(deps: UploadsDeps, address: string): Promise<UploadRecord> {
  const [, id = '', secret = ''] = ADDRESS.exec(address) ?? [];
  const parsed = UploadId.safeParse(id);
  if (!parsed.success) throw new NotFound('upload');
  const record = await getUpload(deps, parsed.data);
  if (!secretsEqual(hashOf(secret), record.secret_hash)) throw new NotFound('upload');
  const isOverdue = record.status === 'waiting' && Date.now() > record.expires_at;
  return isOverdue ? { ...record, status: 'timed_out' } : record;
}

/** Ends a waiting upload: record first, then whoever sends bytes, then bytes and asset. */
async function endUpload(
  deps: UploadsDeps,
  id: UploadId,
  status: 'cancelled' | 'timed_out',
  how: { hasLock?: boolean; keepsAsset?: boolean } = {},
): Promise<UploadRecord> {
  const before = await getUpload(deps, id);
  if (before.status !== 'waiting') return before;
  const result = await deps.records.update('upload', id, (u) => (u.status === 'waiting' ? { ...u, status } : null));
  const now = result?.value ?? before;
  if (now.status !== status) return now;
  await follow(deps, 'removal of a given-up upload', id, async () => {
    const lock = how.hasLock ? null : await deps.locks.lock(id, () => undefined);
    try {
      await removeChunks(deps.storage, id);
    } finally {
      await lock?.unlock();
    }
    if (!how.keepsAsset) await deps.removeAsset(now.asset_id);
  });
  deps.log.info('upload ended', { upload: id, status });
  return now;
}

/** @throws UploadOffsetConflict RequestInvalid unless every announced byte is stored, in one chain */
async function requireAllBytes(deps: UploadsDeps, upload: UploadRecord): Promise<void> {
  const chain = await readChain(deps.storage, upload.id);
  if (chain.offset !== upload.length || chain.strays.length > 0) throw new UploadOffsetConflict(chain.offset);
  if (chain.offset === 0) throw new RequestInvalid(['an empty file cannot be a video']);
}

async function completeUpload(deps: UploadsDeps, id: UploadId, requestId: string): Promise<UploadRecord> {
  const { records, log } = deps;
  const upload = await getUpload(deps, id);
  if (upload.status !== 'waiting' && upload.status !== 'asset_created') throw new UploadGone(upload.status);
  if (upload.status === 'waiting') await requireAllBytes(deps, upload);
  const asset = await records.update('asset', upload.asset_id, (a) =>
    a.status === 'preparing' && a.source.type === 'upload' && !a.source.complete
      ? { ...a, source: { ...a.source, complete: true } }
      : null,
  );
  const after = await records.update('upload', id, (u) =>
    u.status === 'waiting' ? { ...u, status: 'asset_created' } : null,
  );
  const now = after?.value ?? upload;
  if (now.status !== 'asset_created') throw new UploadGone(now.status);
  if (asset?.value.status === 'preparing') {
    const term = asset.value.term;
    await follow(deps, 'job', upload.asset_id, () => deps.vodJobs.ensure(upload.asset_id, term, requestId));
  }
  await follow(deps, 'event', upload.asset_id, () => deps.publish({ type: 'asset', id: upload.asset_id }));
  log.info('upload complete', { upload: id, asset: upload.asset_id, bytes: upload.length, request: requestId });
  return now;
}

export function createUploads(config: UploadsConfig, deps: UploadsDeps): Uploads {
  const { records, storage } = deps;
  return {
    create: (request) => createUpload(config, deps, request),
    get: (id) => getUpload(deps, id),
    list: (limit, cursor) => records.list('upload', { limit, cursor }),
    open: (address) => openUpload(deps, address),
    complete: (id, requestId) => completeUpload(deps, id, requestId),
    async offset(record) {
      if (record.status === 'asset_created') return record.length ?? 0;
      return record.status === 'waiting' ? (await readChain(storage, record.id)).offset : 0;
    },
    async declareLength(id, length) {
      if ((length ?? 0) > config.uploadMaxBytes) throw new UploadTooLarge(config.uploadMaxBytes);
      await deps.requireSpace(length ?? 0);
      const result = await records.update('upload', id, (u) => (u.status === 'waiting' ? { ...u, length } : null));
      if (!result) throw new NotFound('upload');
      if (result.value.status !== 'waiting') throw new UploadGone(result.value.status);
    },
    async cancel(id, hasLock = false) {
      const after = await endUpload(deps, id, 'cancelled', { hasLock });
      if (after.status !== 'cancelled')
        throw new NotAllowedNow(`an upload that is ${after.status} cannot be cancelled`);
      return after;
    },
    async abandon(id) {
      if ((await records.get('upload', id)) !== null) await endUpload(deps, id, 'cancelled', { keepsAsset: true });
    },
    async expire(id) {
      await endUpload(deps, id, 'timed_out');
    },
  };
}
