// Between timeline entries and index blocks: a closed segment's entries become one row of a block, and a row becomes an entry again.
import { createHash } from 'node:crypto';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, RenditionName } from '../platform/contract/ids.ts';
import { indexPrefix, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { BlockSegment, RenditionPart, TimelineEntry } from '../platform/contract/timeline.ts';

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** The row of a closed segment. @param entries all of its entries, ascending, the last one closing it */
export function segmentOf(entries: readonly TimelineEntry[]): BlockSegment | null {
  const first = entries[0];
  const last = entries.at(-1);
  if (first === undefined || last === undefined || !last.last) return null;
  const renditions: BlockSegment['renditions'] = {};
  for (const [name, { segment }] of Object.entries(last.renditions) as [RenditionName, RenditionPart][]) {
    const start = entries.find((entry) => entry.renditions[name] !== undefined)?.renditions[name];
    if (segment !== undefined && start !== undefined) renditions[name] = { ...segment, tfdt: start.tfdt };
  }
  const { msn, term, part } = last;
  return { msn, pdt: first.pdt, gap: first.gap, last_part: part, term, renditions };
}

/** Closed segments among these entries, in order. */
export function segmentsOf(entries: readonly TimelineEntry[]): BlockSegment[] {
  const rows: BlockSegment[] = [];
  let open: TimelineEntry[] = [];
  for (const entry of entries) {
    if (open[0] !== undefined && open[0].msn !== entry.msn) open = [];
    open.push(entry);
    const row = entry.last ? segmentOf(open) : null;
    if (row !== null) rows.push(row);
  }
  return rows;
}

/** One entry for a whole segment: its parts are history, so it has no bytes of its own, only the segment object. */
export function entryOfSegment(epoch: number, row: BlockSegment): TimelineEntry {
  const renditions: Record<RenditionName, RenditionPart> = {};
  for (const [name, media] of Object.entries(row.renditions) as [
    RenditionName,
    BlockSegment['renditions'][RenditionName],
  ][]) {
    const { writer, bytes, sha256, duration, tfdt } = media;
    const part = { writer, bytes: 0, sha256: EMPTY_SHA256, duration, tfdt, independent: true };
    renditions[name] = { ...part, segment: { writer, bytes, sha256, duration } };
  }
  const { term, msn, last_part: part, pdt, gap } = row;
  return { version: 1, term, epoch, msn, part, pdt, gap, last: true, src: 'store', renditions };
}

/** An index block in the store: its key, and its first segment. */
export type StoredBlock = { key: ObjectKey; epoch: number; msn: number };

/** Index blocks of a content, in the order of their keys. @throws StorageUnavailable */
export async function* listBlocks(
  storage: Pick<ObjectStorage, 'list'>,
  content: ContentId,
): AsyncGenerator<StoredBlock, void, undefined> {
  for await (const { key } of storage.list(indexPrefix(content))) {
    const match = /\/(\d+)-(\d+)\.json$/.exec(key);
    if (match !== null) yield { key, epoch: Number(match[1]), msn: Number(match[2]) };
  }
}
