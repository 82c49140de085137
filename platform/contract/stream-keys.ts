// What the stream key index (streamKeyIndexKey) says of a key's hash: whose key it is, which of the two, and until when.
import { z } from 'zod';
import { StreamId } from './ids.ts';
import { KeyKind, type StreamRecord } from './records.ts';

/** `until`: ms since the epoch at which a rotated key expires (the reader compares it with its clock); null: it is in force. */
export type StreamKeyEntry = { stream: StreamId; key: KeyKind; until: number | null };

/** `{stream id}:{primary|backup}:{until}`; 0 for a key in force. */
export const formatStreamKeyEntry = ({ stream, key, until }: StreamKeyEntry): string =>
  `${stream}:${key}:${until ?? 0}`;

const Parts = z.object({ stream: StreamId, key: KeyKind, until: z.coerce.number<string>().int().nonnegative() });

/**
 * Reads an entry; the bare stream id of earlier versions is its primary key.
 * @returns null when the text is no entry
 */
export function parseStreamKeyEntry(text: string): StreamKeyEntry | null {
  const [stream, key = 'primary', until = '0', ...rest] = text.split(':');
  const parsed = Parts.safeParse({ stream, key, until });
  if (!parsed.success || rest.length > 0) return null;
  return { ...parsed.data, until: parsed.data.until === 0 ? null : parsed.data.until };
}

/** Hash -> entry of every key of a stream. A stream that is not enabled has none: its publishers are unknown. */
export function streamKeyEntries(record: StreamRecord): Map<string, StreamKeyEntry> {
  const entries = new Map<string, StreamKeyEntry>();
  if (record.status !== 'enabled') return entries;
  for (const { hash, key, until } of record.old_keys) entries.set(hash, { stream: record.id, key, until });
  if (record.backup_key_hash !== null)
    entries.set(record.backup_key_hash, { stream: record.id, key: 'backup', until: null });
  entries.set(record.key_hash, { stream: record.id, key: 'primary', until: null });
  return entries;
}
