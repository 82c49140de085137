// Listing of the fs store in key order, as S3 lists: byte order of whole keys, records once with their newest version.
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectKey } from '../contract/object-keys.ts';
import { codeOf } from '../runtime/errors.ts';
import { type ObjectEntry, ObjectRefused, StorageUnavailable, VERSIONED_PREFIX } from './storage.ts';
import { isRecordFolder, newestVersion } from './storage-fs-versions.ts';

const PREFIX_PATTERN = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/?)*$/;

/**
 * Objects below a prefix, in key order; ones that vanish meanwhile are left out.
 * @throws ObjectRefused StorageUnavailable
 */
export async function* listFiles(root: string, prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectEntry> {
  if (prefix.length > 512 || !PREFIX_PATTERN.test(prefix) || prefix.includes('//')) {
    throw new ObjectRefused(prefix, 'not a prefix of any key');
  }
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  for await (const entry of walk(root, base, prefix)) {
    signal?.throwIfAborted();
    if (entry.key.startsWith(prefix)) yield entry;
  }
}

async function* walk(root: string, base: string, prefix: string): AsyncGenerator<ObjectEntry> {
  for (const item of await itemsOf(root, base)) {
    const key = `${base}${item.name}`;
    if (item.isDirectory()) {
      if (!key.startsWith(prefix) && !prefix.startsWith(`${key}/`)) continue;
      const record = key.startsWith(VERSIONED_PREFIX) ? await recordAt(root, key) : null;
      if (record === null) yield* walk(root, `${key}/`, prefix);
      else if (record !== 'deleted') yield record;
    } else if (!key.startsWith(VERSIONED_PREFIX)) {
      const found = await stat(join(root, key)).catch(() => null);
      if (found !== null) yield { key: key as ObjectKey, bytes: found.size };
    }
  }
}

/** The record in this folder; null when the folder only leads to records. */
async function recordAt(root: string, key: string): Promise<ObjectEntry | 'deleted' | null> {
  const folder = join(root, key);
  const names = await readdir(folder).catch(() => []);
  if (!isRecordFolder(names)) return null;
  const newest = await newestVersion(folder);
  return newest.isDeleted ? 'deleted' : { key: key as ObjectKey, bytes: newest.bytes };
}

async function itemsOf(root: string, base: string): Promise<Dirent[]> {
  try {
    const items = await readdir(join(root, base), { withFileTypes: true });
    const order = (item: Dirent) =>
      item.isDirectory() && !base.startsWith(VERSIONED_PREFIX) ? `${item.name}/` : item.name;
    return items
      .filter((item) => !item.name.startsWith('.'))
      .sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return [];
    throw new StorageUnavailable(`list ${base}`, { cause: thrown });
  }
}
