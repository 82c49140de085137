// Version files of one record, `{key}/v{n}`. A used number is never free again: old versions are emptied, not removed,
// so a writer that slept between looking and linking meets EEXIST instead of winning with stale knowledge.
import { open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../runtime/errors.ts';

const VERSION_NAME = /^v([1-9][0-9]{0,14})$/;

export type NewestVersion = { version: number; isDeleted: boolean; bytes: number; modifiedAt: number };

export const versionPath = (folder: string, version: number): string => join(folder, `v${version}`);
/** ETag of a record: names its version, quoted. */
export const versionEtag = (version: number): string => `"v${version}"`;
/** Whether a folder with these names is a record. */
export const isRecordFolder = (names: string[]): boolean => names.some((name) => VERSION_NAME.test(name));

/**
 * The newest version of a record; an empty file is a deletion. A missing folder counts as deleted at version 0.
 */
export async function newestVersion(folder: string): Promise<NewestVersion> {
  let before = -1;
  for (;;) {
    const version = highest(await namesOf(folder));
    if (version === 0) return { version: 0, isDeleted: true, bytes: 0, modifiedAt: 0 };
    const found = await stat(versionPath(folder, version));
    // Empty: deleted, or emptied because newer ones came since the listing. The second look tells.
    if (found.size > 0 || version === before) {
      return { version, isDeleted: found.size === 0, bytes: found.size, modifiedAt: found.mtimeMs };
    }
    before = version;
  }
}

async function namesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

function highest(names: string[]): number {
  let version = 0;
  for (const name of names) {
    const match = VERSION_NAME.exec(name);
    if (match) version = Math.max(version, Number(match[1]));
  }
  return version;
}

/**
 * Empties a version that two newer ones have replaced; its name stays taken. A failure costs disk space only.
 * @param temp unused path on the same file system
 */
export async function pruneVersion(folder: string, version: number, temp: string): Promise<void> {
  if (version < 1) return;
  try {
    const handle = await open(temp, 'wx', 0o640);
    await handle.close();
    await rename(temp, versionPath(folder, version));
  } catch {
    // The next put of this record tries again with the version after it.
  }
}
