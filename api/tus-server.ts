// The tus 1.0 side of a one-time upload address. The one file that names @tus/server: its handlers over our own store and locks.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { DataStore, type Lock, type Locker, Server, Upload } from '@tus/server';
import { UploadId } from '../platform/contract/ids.ts';
import { AppError } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { UploadLocks } from './upload-locks.ts';

/** What tus asks of the uploads; every call but `look` happens under the upload's lock. */
export interface TusUploads {
  /** A creation at the one-time address: forget what is stored, take the length (null: later). */
  begin(id: UploadId, length: number | null): Promise<void>;
  look(id: UploadId): Promise<{ offset: number; length: number | null; createdAt: number }>;
  declareLength(id: UploadId, length: number): Promise<void>;
  /** Stores a body from `offset` on; its tail too when it breaks off. @returns the new offset */
  store(id: UploadId, offset: number, body: Readable): Promise<number>;
  finish(id: UploadId): Promise<void>;
  cancel(id: UploadId): Promise<void>;
}
export type TusDeps = {
  uploads: TusUploads;
  locks: UploadLocks;
  uploadMaxBytes: number;
  statusOf: (error: AppError) => number;
  log: Logger;
  /** Answers the address of a request's path: creation answers it as Location. */
  addressOf: (path: string) => string;
};
export type TusHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** `/uploads/{id}.{secret}` -> id. The secret was checked at the door. */
function idOf(url: string): UploadId | undefined {
  const text = /\/uploads\/([A-Za-z0-9]+)\.[A-Za-z0-9]+$/.exec(new URL(url).pathname)?.[1];
  const parsed = UploadId.safeParse(text);
  return parsed.success ? parsed.data : undefined;
}

class ChunkStore extends DataStore {
  /** Bodies being stored. A broken connection makes tus unlock before their tails are stored: unlocking waits for them. */
  readonly storing = new Map<string, Promise<unknown>>();
  private readonly uploads: TusUploads;

  constructor(uploads: TusUploads) {
    super();
    this.uploads = uploads;
    this.extensions = ['creation', 'creation-defer-length', 'termination'];
  }

  override async create(upload: Upload): Promise<Upload> {
    await this.uploads.begin(UploadId.parse(upload.id), upload.size ?? null);
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const found = await this.uploads.look(UploadId.parse(id));
    return new Upload({
      id,
      offset: found.offset,
      creation_date: new Date(found.createdAt).toISOString(),
      ...(found.length === null ? {} : { size: found.length }),
    });
  }

  override async declareUploadLength(id: string, length: number): Promise<void> {
    await this.uploads.declareLength(UploadId.parse(id), length);
  }

  override async write(body: Readable, id: string, offset: number): Promise<number> {
    const stored = this.uploads.store(UploadId.parse(id), offset, body);
    const settled = stored.catch(() => undefined);
    this.storing.set(id, settled);
    try {
      return await stored;
    } finally {
      if (this.storing.get(id) === settled) this.storing.delete(id);
    }
  }

  override async remove(id: string): Promise<void> {
    await this.uploads.cancel(UploadId.parse(id));
  }
}

const lockerOver = (locks: UploadLocks, store: ChunkStore): Locker => ({
  newLock(id): Lock {
    let held: { unlock(): Promise<void> } | null = null;
    return {
      async lock(signal, cancelRequest) {
        held = await locks.lock(UploadId.parse(id), () => void cancelRequest(), signal);
      },
      async unlock() {
        await store.storing.get(id);
        await held?.unlock();
      },
    };
  },
});

/** Status and text of an error that passed through tus; undefined leaves tus's own. */
function answerOf(thrown: unknown, deps: TusDeps): { status_code: number; body: string } | undefined {
  const isTusError = typeof thrown === 'object' && thrown !== null && 'status_code' in thrown;
  if (isTusError) return undefined;
  const status = thrown instanceof AppError ? deps.statusOf(thrown) : 500;
  if (status >= 500) deps.log.error('upload request failed', { err: thrown });
  const text =
    thrown instanceof AppError && status < 500 ? thrown.message : 'the upload could not be stored; try again';
  return { status_code: status, body: `${text}\n` };
}

/**
 * Handles HEAD, PATCH, POST and DELETE of a one-time address. CORS and the secret are the caller's.
 * Source: tus 1.0.0 core, creation (answers the same address), creation-defer-length, termination.
 */
export function createTusHandler(deps: TusDeps): TusHandler {
  const store = new ChunkStore(deps.uploads);
  const server = new Server({
    path: '/uploads',
    datastore: store,
    locker: lockerOver(deps.locks, store),
    // The request that is taken over has nothing to wait for: its tail is stored as it ends. 0 would mean 3 s here.
    lockDrainTimeout: 1,
    maxSize: deps.uploadMaxBytes,
    allowedOrigins: () => false,
    namingFunction: (req) => idOf(req.url) ?? '',
    getFileIdFromRequest: (req) => idOf(req.url),
    generateUrl: (req) => deps.addressOf(new URL(req.url).pathname),
    async onUploadFinish(_req, upload) {
      await deps.uploads.finish(UploadId.parse(upload.id));
      return {};
    },
    onResponseError: (_req, thrown) => answerOf(thrown, deps),
  });
  return (req, res) => server.handle(req, res);
}
