// The folder of a spool: DATA_DIR/spool/{host}--{pid}--{node}, one file per object, named so that a later process can read order and key
// out of it. Files are whole or not there; they outlive the process, not the disk's own write cache.
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkKey } from '../platform/adapters/storage.ts';
import type { NodeId } from '../platform/contract/ids.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import { codeOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { isLeftOver, isProcessAlive, processFolder } from './scratch.ts';

/** An object in the folder. Bytes: its size. */
export type SpooledFile = { name: string; key: ObjectKey; bytes: number };

/** Keys hold no tilde (storage.ts, checkKey), so it can stand for their slashes. */
const SEPARATOR = '~';
const PARTIAL = '.partial';

/** File name of the `sequence`-th object of a process; sorts in order. */
export const spoolName = (sequence: number, key: ObjectKey): string =>
  `${String(sequence).padStart(12, '0')}${SEPARATOR}${key.replaceAll('/', SEPARATOR)}`;

/** Key in a file name; null when the name is not one of ours. */
export function keyOfName(name: string): ObjectKey | null {
  const match = /^\d{12}~(.+)$/.exec(name);
  const key = match?.[1]?.replaceAll(SEPARATOR, '/') ?? '';
  try {
    checkKey(key);
  } catch {
    return null;
  }
  return key as ObjectKey;
}

/** Folders of this process in use: tests run several workers in one. */
const inUse = new Set<string>();

export class SpoolFolder {
  readonly #base: string;
  readonly #own: string;
  readonly #log: Logger;
  #sequence = 0;

  /** @param dataDir DATA_DIR */
  constructor(dataDir: string, node: NodeId, log: Logger) {
    this.#base = resolve(dataDir, 'spool');
    this.#own = processFolder(process.pid, node);
    this.#log = log;
  }

  async open(): Promise<void> {
    inUse.add(this.#own);
    await mkdir(join(this.#base, this.#own), { recursive: true, mode: 0o700 });
  }

  /** Leaves what it holds to a later process. */
  async close(): Promise<void> {
    inUse.delete(this.#own);
    try {
      await rmdir(join(this.#base, this.#own));
    } catch (thrown) {
      const code = codeOf(thrown);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw thrown;
    }
  }

  /** Says to processes of other machines that this folder is in use. */
  async touch(): Promise<void> {
    const now = new Date();
    await utimes(join(this.#base, this.#own), now, now);
  }

  #path(name: string): string {
    return join(this.#base, this.#own, name);
  }

  /** @throws what the file system throws; then nothing is kept */
  async write(key: ObjectKey, bytes: Uint8Array): Promise<SpooledFile> {
    const name = spoolName(this.#next(), key);
    const partial = this.#path(name + PARTIAL);
    try {
      await writeFile(partial, bytes, { mode: 0o600 });
      await rename(partial, this.#path(name));
    } catch (thrown) {
      await rm(partial, { force: true });
      throw thrown;
    }
    return { name, key, bytes: bytes.length };
  }

  read(file: SpooledFile): Promise<Buffer> {
    return readFile(this.#path(file.name));
  }

  async remove(file: SpooledFile): Promise<void> {
    await rm(this.#path(file.name), { force: true });
  }

  /** Takes over what processes that are gone have left, each file by one rename: of two takers one gets it. In order. */
  async adopt(): Promise<SpooledFile[]> {
    const adopted: SpooledFile[] = [];
    for (const folder of await readdir(this.#base)) {
      const path = join(this.#base, folder);
      const facts = await stat(path).catch(() => null);
      if (facts === null || !isLeftOver(folder, inUse, Date.now() - facts.mtimeMs, isProcessAlive)) continue;
      const names = (await readdir(path).catch(() => [])).sort();
      for (const name of names) {
        const file = await this.#adoptFile(path, name);
        if (file !== null) adopted.push(file);
      }
      await rmdir(path).catch(() => undefined);
      if (names.length > 0) this.#log.warn('objects of an ended process found', { folder, objects: names.length });
    }
    return adopted;
  }

  async #adoptFile(folder: string, name: string): Promise<SpooledFile | null> {
    const key = keyOfName(name);
    const from = join(folder, name);
    if (name.endsWith(PARTIAL) || key === null) {
      await rm(from, { force: true });
      return null;
    }
    const own = spoolName(this.#next(), key);
    try {
      await rename(from, this.#path(own));
      return { name: own, key, bytes: (await stat(this.#path(own))).size };
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') throw thrown;
      return null;
    }
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}
