// Object store in a folder. Records are version files that are linked into place, so the file system itself decides every race;
// media are linked to their final name once. Nothing is visible before it is whole and on disk.
import { randomUUID } from 'node:crypto';
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import type { ObjectKey } from '../contract/object-keys.ts';
import { AppError, codeOf } from '../runtime/errors.ts';
import {
  type ByteRange,
  checkKey,
  keyEtag,
  ObjectConflict,
  type ObjectHead,
  ObjectMissing,
  ObjectRefused,
  type ObjectStorage,
  type PutCondition,
  StorageFull,
  StorageUnavailable,
  VERSIONED_PREFIX,
} from './storage.ts';
import { listFiles } from './storage-fs-listing.ts';
import { newestVersion, pruneVersion, versionEtag, versionPath } from './storage-fs-versions.ts';
import { proveStorage } from './storage-proof.ts';

const STALE_TEMP_MS = 3_600_000;
/** Tries of one read or unconditional write that keeps meeting other writers. */
const RACE_TRIES = 50;

/** What head() says of a key; the store keeps bytes only. */
const CONTENT_TYPES: Record<string, string> = {
  '.m4s': 'video/iso.segment',
  '.mp4': 'video/mp4',
  '.json': 'application/json',
  '.jpg': 'image/jpeg',
  '.vtt': 'text/vtt',
};
const contentTypeOf = (key: string): string =>
  key.startsWith(VERSIONED_PREFIX) ? 'application/json' : (CONTENT_TYPES[extname(key)] ?? 'application/octet-stream');

/** Rethrows as one of the storage errors. */
function wrap(thrown: unknown, key: string, what: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (thrown instanceof AppError) return thrown;
  const code = codeOf(thrown);
  if (what !== 'store' && (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR')) {
    return new ObjectMissing(key, { cause: thrown });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') return new StorageFull({ cause: thrown });
  return new StorageUnavailable(`${what} ${key}`, { cause: thrown });
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and its parents, each new name on disk before it is used. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Writes a stream into a file, one chunk at a time; stops as soon as it is longer than announced. @returns bytes seen */
async function copyTo(handle: FileHandle, body: Readable, bytes: number, signal?: AbortSignal): Promise<number> {
  if (signal) addAbortSignal(signal, body);
  let seen = 0;
  for await (const chunk of body) {
    const part = chunk as Buffer;
    seen += part.length;
    if (seen > bytes) break;
    for (let at = 0; at < part.length; ) at += (await handle.write(part, at)).bytesWritten;
  }
  return seen;
}

class FsStorage implements ObjectStorage {
  readonly description: string;
  readonly #root: string;
  readonly #temp: string;

  constructor(root: string) {
    this.#root = resolve(root);
    this.#temp = join(this.#root, '.tmp');
    this.description = `fs ${root}`;
  }

  async put(
    key: ObjectKey,
    body: Buffer | Readable,
    options: { bytes: number; contentType: string; condition?: PutCondition; signal?: AbortSignal },
  ): Promise<string> {
    checkKey(key);
    const isVersioned = key.startsWith(VERSIONED_PREFIX);
    if (isVersioned && options.bytes === 0) throw new ObjectRefused(key, 'a record is never empty');
    if (!isVersioned && options.condition !== undefined && 'ifMatch' in options.condition) {
      throw new ObjectRefused(key, 'only records are replaced under If-Match');
    }
    const temp = join(this.#temp, randomUUID());
    try {
      await this.#writeTemp(temp, body, options.bytes, options.signal);
      options.signal?.throwIfAborted();
      return isVersioned
        ? await this.#linkVersion(key, temp, options.condition)
        : await this.#linkFile(key, temp, options.condition !== undefined);
    } catch (thrown) {
      throw wrap(thrown, key, 'store', options.signal);
    } finally {
      if (body instanceof Readable) body.destroy();
      await rm(temp, { force: true });
    }
  }

  async #writeTemp(temp: string, body: Buffer | Readable, bytes: number, signal?: AbortSignal): Promise<void> {
    await makeFolder(this.#temp);
    const handle = await open(temp, 'wx', 0o640);
    try {
      if (Buffer.isBuffer(body)) await handle.writeFile(body);
      const written = Buffer.isBuffer(body) ? body.length : await copyTo(handle, body, bytes, signal);
      if (written !== bytes) throw new StorageUnavailable(`store ${written} bytes that were announced as ${bytes}`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Media: the link is the commit. Without a condition an older file gives way whole. */
  async #linkFile(key: ObjectKey, temp: string, isNew: boolean): Promise<string> {
    const path = join(this.#root, key);
    for (let tries = 0; ; tries += 1) {
      try {
        await makeFolder(dirname(path));
        await (isNew ? link(temp, path) : rename(temp, path));
        await syncFolder(dirname(path));
        return keyEtag(key);
      } catch (thrown) {
        if (codeOf(thrown) === 'EEXIST') throw new ObjectConflict(key, { cause: thrown });
        // A delete may remove the empty folder between mkdir and link.
        if (codeOf(thrown) !== 'ENOENT' || tries >= RACE_TRIES) throw thrown;
      }
    }
  }

  /** Records: whoever links the next version number wins; the condition is judged against the version before it. */
  async #linkVersion(key: ObjectKey, temp: string, condition: PutCondition | undefined): Promise<string> {
    const folder = join(this.#root, key);
    await makeFolder(folder);
    for (let tries = 0; ; tries += 1) {
      const newest = await newestVersion(folder);
      if (condition !== undefined) {
        const current = newest.isDeleted ? null : versionEtag(newest.version);
        const isMet = 'ifMatch' in condition ? condition.ifMatch === current : current === null;
        if (!isMet) throw new ObjectConflict(key);
      }
      try {
        await link(temp, versionPath(folder, newest.version + 1));
      } catch (thrown) {
        if (codeOf(thrown) !== 'EEXIST') throw thrown;
        if (condition !== undefined || tries >= RACE_TRIES) throw new ObjectConflict(key, { cause: thrown });
        continue;
      }
      await syncFolder(folder);
      await pruneVersion(folder, newest.version - 1, join(this.#temp, randomUUID()));
      return versionEtag(newest.version + 1);
    }
  }

  /** File that holds the key's bytes now, with its head. */
  async #locate(key: ObjectKey): Promise<{ path: string; head: ObjectHead }> {
    checkKey(key);
    const path = join(this.#root, key);
    const contentType = contentTypeOf(key);
    if (!key.startsWith(VERSIONED_PREFIX)) {
      const found = await stat(path);
      if (!found.isFile()) throw new ObjectMissing(key);
      return { path, head: { bytes: found.size, etag: keyEtag(key), contentType, modifiedAt: found.mtimeMs } };
    }
    const newest = await newestVersion(path);
    if (newest.isDeleted) throw new ObjectMissing(key);
    const { version, bytes, modifiedAt } = newest;
    return { path: versionPath(path, version), head: { bytes, etag: versionEtag(version), contentType, modifiedAt } };
  }

  async get(
    key: ObjectKey,
    options: { range?: ByteRange; signal?: AbortSignal } = {},
  ): Promise<{ head: ObjectHead; body: Readable }> {
    options.signal?.throwIfAborted();
    try {
      if (key.startsWith(VERSIONED_PREFIX)) return await this.#getVersion(key, options.range);
      const { path, head } = await this.#locate(key);
      const handle = await open(path, 'r');
      const body = handle.createReadStream({
        ...(options.range ? { start: options.range.first, end: options.range.last } : {}),
        ...(options.signal ? { signal: options.signal } : {}),
      });
      return { head, body };
    } catch (thrown) {
      throw wrap(thrown, key, 'read', options.signal);
    }
  }

  /** A version may be emptied between look-up and read when two newer ones came: look again. */
  async #getVersion(key: ObjectKey, range?: ByteRange): Promise<{ head: ObjectHead; body: Readable }> {
    for (let tries = 0; ; tries += 1) {
      const { path, head } = await this.#locate(key);
      const bytes = await readFile(path);
      if (bytes.length > 0) {
        const body = range ? bytes.subarray(range.first, range.last + 1) : bytes;
        return { head: { ...head, bytes: bytes.length }, body: Readable.from([body], { objectMode: false }) };
      }
      if (tries >= RACE_TRIES) throw new StorageUnavailable(`read ${key}: it changes too fast`);
    }
  }

  async read(key: ObjectKey, options: { signal?: AbortSignal } = {}): Promise<{ etag: string; body: Buffer }> {
    const { head, body } = await this.get(key, options);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of body) chunks.push(chunk as Buffer);
      return { etag: head.etag, body: Buffer.concat(chunks) };
    } catch (thrown) {
      throw wrap(thrown, key, 'read', options.signal);
    }
  }

  async head(key: ObjectKey, options: { signal?: AbortSignal } = {}): Promise<ObjectHead> {
    options.signal?.throwIfAborted();
    try {
      return (await this.#locate(key)).head;
    } catch (thrown) {
      throw wrap(thrown, key, 'look up');
    }
  }

  list(prefix: string, options: { signal?: AbortSignal } = {}) {
    return listFiles(this.#root, prefix, options.signal);
  }

  async delete(keys: ObjectKey[], options: { signal?: AbortSignal } = {}): Promise<void> {
    for (const key of keys) {
      options.signal?.throwIfAborted();
      checkKey(key);
      try {
        await (key.startsWith(VERSIONED_PREFIX) ? this.#bury(key) : this.#unlink(key));
      } catch (thrown) {
        throw wrap(thrown, key, 'delete');
      }
    }
  }

  /** A deleted record leaves an empty newest version: no stale If-Match can win later, the key may be made again. */
  async #bury(key: ObjectKey): Promise<void> {
    const folder = join(this.#root, key);
    const temp = join(this.#temp, randomUUID());
    for (let tries = 0; tries < RACE_TRIES; tries += 1) {
      const newest = await newestVersion(folder);
      if (newest.isDeleted) return;
      await this.#writeTemp(temp, Buffer.alloc(0), 0);
      try {
        await link(temp, versionPath(folder, newest.version + 1));
        await syncFolder(folder);
        for (const old of [newest.version, newest.version - 1]) {
          await pruneVersion(folder, old, join(this.#temp, randomUUID()));
        }
        return;
      } catch (thrown) {
        if (codeOf(thrown) !== 'EEXIST') throw thrown;
      } finally {
        await rm(temp, { force: true });
      }
    }
    throw new StorageUnavailable(`delete ${key}: it changes too fast`);
  }

  async #unlink(key: ObjectKey): Promise<void> {
    const path = join(this.#root, key);
    await rm(path, { force: true });
    for (let folder = dirname(path); folder !== this.#root; folder = dirname(folder)) {
      try {
        await rmdir(folder);
      } catch {
        return;
      }
    }
  }

  async prove(): Promise<void> {
    await makeFolder(this.#temp);
    await this.#sweepTemp();
    const key = await proveStorage(this);
    await rm(join(this.#root, key), { recursive: true, force: true });
  }

  /** Files left by processes that were killed while writing. */
  async #sweepTemp(): Promise<void> {
    for (const name of await readdir(this.#temp)) {
      const path = join(this.#temp, name);
      const found = await stat(path).catch(() => null);
      if (found !== null && Date.now() - found.mtimeMs > STALE_TEMP_MS) await rm(path, { force: true });
    }
  }

  async freeBytes(): Promise<number | null> {
    try {
      await makeFolder(this.#root);
      const found = await statfs(this.#root);
      return found.bavail * found.bsize;
    } catch {
      return null;
    }
  }

  async close(): Promise<void> {}
}

/**
 * Object store below one folder of a local file system (or a network one with atomic link).
 * @param root folder; made at the first write
 */
export function createFsStorage(root: string): ObjectStorage {
  return new FsStorage(root);
}
