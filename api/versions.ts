// ETag and If-Match of records: a change names the version it was made from, or it is refused.

import type { Records } from '../platform/adapters/records.ts';
import { ObjectConflict } from '../platform/adapters/storage.ts';
import type { RecordKind } from '../platform/contract/object-keys.ts';
import type { RecordOf } from '../platform/contract/records.ts';
import { IfMatchRequired, VersionStale } from './errors.ts';

const bare = (etag: string): string => etag.trim().replace(/^W\//, '').replace(/^"|"$/g, '');

/** A store's ETag as a header value, always a strong quoted one. */
export const etagHeader = (etag: string): string => `"${bare(etag)}"`;

/**
 * Whether If-Match allows this version.
 * @throws IfMatchRequired VersionStale
 */
export function requireMatch(ifMatch: string | null, etag: string): void {
  if (ifMatch === null) throw new IfMatchRequired();
  const names = ifMatch.split(',').map(bare);
  if (!names.includes('*') && !names.includes(bare(etag))) throw new VersionStale();
}

/**
 * One conditional change of a record that was read with this ETag.
 * @returns the new ETag
 * @throws VersionStale when another change came first
 */
export async function replaceRecord<K extends RecordKind>(
  records: Pick<Records, 'replace'>,
  kind: K,
  value: RecordOf[K],
  etag: string,
): Promise<string> {
  try {
    return await records.replace(kind, value, etag);
  } catch (thrown) {
    if (thrown instanceof ObjectConflict) throw new VersionStale({ cause: thrown });
    throw thrown;
  }
}
