// Requests at `/uploads/{id}.{secret}`: CORS of this upload, then tus or a plain PUT (whole, or in ranges). No token beside the address.
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { UploadRecord } from '../platform/contract/records.ts';
import { AppError } from '../platform/runtime/errors.ts';
import { requestIdOf } from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { SpaceCheck } from './disk-space.ts';
import { RequestInvalid, UploadGone, UploadInterrupted, UploadTooLarge } from './errors.ts';
import { createTusHandler, type TusUploads } from './tus-server.ts';
import { type ChunkStorage, readChain, removeChunks, writeChunks } from './upload-chunks.ts';
import type { UploadLocks } from './upload-locks.ts';
import type { Uploads } from './uploads.ts';

export type UploadAddressDeps = {
  uploads: Uploads;
  storage: ChunkStorage;
  locks: UploadLocks;
  requireSpace: SpaceCheck;
  publicUrl: string;
  uploadMaxBytes: number;
  onStored: (bytes: number) => void;
  log: Logger;
  statusOf: (error: AppError) => number;
};

const METHODS = 'HEAD, POST, PATCH, PUT, DELETE, OPTIONS';
const REQUEST_HEADERS =
  'content-type, content-range, tus-resumable, upload-length, upload-offset, upload-metadata, upload-defer-length, x-requested-with, x-http-method-override, x-request-id';
const RESPONSE_HEADERS =
  'location, range, tus-resumable, tus-version, upload-offset, upload-length, upload-defer-length';

/** Allows the origin that the upload was made for, and no other. */
function allowOrigin(req: Request, res: Response, upload: UploadRecord): void {
  const origin = req.get('origin');
  res.vary('origin');
  if (origin === undefined || upload.cors_origin === '') return;
  if (upload.cors_origin !== '*' && upload.cors_origin !== origin) return;
  res.set({
    'access-control-allow-origin': upload.cors_origin === '*' ? '*' : origin,
    'access-control-expose-headers': RESPONSE_HEADERS,
  });
}

const sizeOf = (text: string | undefined): number | null =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;

type ContentRange = { first: number | null; total: number };
/** `bytes 0-9/100`, or `bytes * /100` (without the space) to ask how far it is. Null: no such header. */
export function parseContentRange(text: string | undefined): ContentRange | null {
  if (text === undefined) return null;
  const match = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})$/.exec(text);
  if (!match) throw new RequestInvalid(['Content-Range must look like `bytes 0-9/100`']);
  const first = match[1] === undefined ? null : Number(match[1]);
  const total = Number(match[3]);
  if (first !== null && (Number(match[2]) < first || Number(match[2]) >= total))
    throw new RequestInvalid(['Content-Range does not fit its own total']);
  return { first, total };
}

/** What tus needs, from the uploads and the chunk store. */
export function tusUploads(deps: UploadAddressDeps): TusUploads {
  const { uploads, storage } = deps;
  return {
    async begin(id, length) {
      await removeChunks(storage, id);
      await uploads.declareLength(id, length);
    },
    async look(id) {
      const record = await uploads.get(id);
      if (record.status !== 'waiting' && record.status !== 'asset_created') throw new UploadGone(record.status);
      return { offset: await uploads.offset(record), length: record.length, createdAt: record.created_at };
    },
    declareLength: (id, length) => uploads.declareLength(id, length),
    async store(id, offset, body) {
      const record = await uploads.get(id);
      if (record.status !== 'waiting') throw new UploadGone(record.status);
      await deps.requireSpace(record.length === null ? 0 : record.length - offset);
      const { strays } = await readChain(storage, id);
      if (strays.length > 0) await storage.delete(strays);
      const limitBytes = record.length ?? deps.uploadMaxBytes;
      return await writeChunks(storage, body, { upload: id, offset, limitBytes, onStored: deps.onStored });
    },
    async finish(id) {
      await uploads.complete(id, `upload-${id}`);
    },
    async cancel(id) {
      await uploads.cancel(id, true);
    },
  };
}

/** A body that breaks off is the client's or the network's doing, not a fault of ours. */
async function writeBody(req: Request, write: () => Promise<number>): Promise<number> {
  try {
    const offset = await write();
    if (!req.complete) throw new UploadInterrupted();
    return offset;
  } catch (thrown) {
    if (thrown instanceof AppError || req.complete) throw thrown;
    throw new UploadInterrupted({ cause: thrown });
  }
}

/** The plain PUT. Without Content-Range it starts over; with one it goes on from where the stored bytes end. */
function createPut(deps: UploadAddressDeps): (req: Request, res: Response, upload: UploadRecord) => Promise<void> {
  const { uploads, storage, locks } = deps;
  async function receive(req: Request, upload: UploadRecord, range: ContentRange | null): Promise<number> {
    const total = range ? range.total : sizeOf(req.get('content-length'));
    if (total !== null && total > deps.uploadMaxBytes) throw new UploadTooLarge(deps.uploadMaxBytes);
    const stored = range ? (await readChain(storage, upload.id)).offset : 0;
    await deps.requireSpace(Math.max(0, (total ?? 0) - stored));
    if (range && range.first !== stored) return stored;
    if (!range) await removeChunks(storage, upload.id);
    if (total !== upload.length) await uploads.declareLength(upload.id, total);
    const limitBytes = total ?? deps.uploadMaxBytes;
    const body = req.iterator({ destroyOnReturn: false });
    const write = { upload: upload.id, offset: stored, limitBytes, onStored: deps.onStored };
    const offset = await writeBody(req, () => writeChunks(storage, body, write));
    if (total === null) await uploads.declareLength(upload.id, offset);
    return offset;
  }
  return async (req, res, upload) => {
    const range = parseContentRange(req.get('content-range'));
    // A client that is gone already must not take the place of the one that came after it.
    if (req.destroyed && !req.complete) throw new UploadInterrupted();
    const lock = await locks.lock(upload.id, () => void req.destroy(new UploadInterrupted()));
    let isComplete = false;
    try {
      const offset = await receive(req, upload, range);
      isComplete = range === null || offset === range.total;
      if (!isComplete && offset > 0) res.set('range', `bytes=0-${offset - 1}`);
    } finally {
      await lock.unlock();
    }
    if (!isComplete) {
      res.status(308).end();
      return;
    }
    const done = await uploads.complete(upload.id, requestIdOf(res));
    res.status(200).json({ data: { id: done.id, status: done.status, asset_id: done.asset_id } });
  };
}

/** Answers every request below `/uploads`; unknown addresses and wrong secrets are 404, used-up ones 410. */
export function createUploadAddress(deps: UploadAddressDeps): Router {
  const tus = createTusHandler({
    uploads: tusUploads(deps),
    locks: deps.locks,
    uploadMaxBytes: deps.uploadMaxBytes,
    statusOf: deps.statusOf,
    log: deps.log,
    addressOf: (path) => `${deps.publicUrl}${path}`,
  });
  const put = createPut(deps);
  const handle: RequestHandler<{ address: string }> = async (req, res) => {
    res.set('cache-control', 'no-store');
    const upload = await deps.uploads.open(req.params.address);
    allowOrigin(req, res, upload);
    if (req.method === 'OPTIONS') {
      res.set({
        'access-control-allow-methods': METHODS,
        'access-control-allow-headers': REQUEST_HEADERS,
        'access-control-max-age': '3600',
        'tus-resumable': '1.0.0',
        'tus-version': '1.0.0',
        'tus-extension': 'creation,creation-defer-length,termination',
        'tus-max-size': String(deps.uploadMaxBytes),
      });
      res.status(204).end();
      return;
    }
    // A client whose last answer was lost asks with HEAD and learns that everything arrived; no byte is taken any more.
    const isQuestion = req.method === 'HEAD' && upload.status === 'asset_created';
    if (upload.status !== 'waiting' && !isQuestion) throw new UploadGone(upload.status);
    if (req.method === 'PUT') await put(req as Request, res, upload);
    else await tus(req, res);
  };
  const router = Router();
  router.all('/uploads/:address', handle);
  return router;
}
