// A broadcast's timeline out of the store, when Redis was emptied together with the worker: the last index blocks, and after them the
// segment objects themselves.
import { createHash } from 'node:crypto';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import { mediaPrefix, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo, RenditionInfo } from '../platform/contract/records.ts';
import { type BlockSegment, IndexBlock, type TimelineEntry } from '../platform/contract/timeline.ts';
import { readBoxes } from '../platform/hls/boxes.ts';
import { readFragment } from '../platform/hls/cmaf.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { clockOf, gridOf, indexOfSegment } from './live-grid.ts';
import { entryOfSegment, listBlocks, type StoredBlock } from './live-history-blocks.ts';

/** Blocks read back: enough for viewers at the edge; the rest of the window is read from the store by whoever shows it. */
const BLOCKS_READ_BACK = 4;

export type ReadBack = {
  entries: TimelineEntry[];
  /** Largest segment number that any object of the last epoch names, -1 without one. */
  storedMsn: number;
};
type Source = { content: ContentId; storage: Pick<ObjectStorage, 'list' | 'read'>; log: Logger };
type BlockRow = BlockSegment['renditions'][RenditionName];

/** @throws StorageUnavailable */
export async function readBack(record: BroadcastRecord, source: Source): Promise<ReadBack> {
  const entries: TimelineEntry[] = [];
  for (const { key } of (await storedBlocks(source)).slice(-BLOCKS_READ_BACK)) {
    const { body } = await source.storage.read(key);
    const block = IndexBlock.parse(JSON.parse(body.toString('utf8')));
    entries.push(...block.segments.map((row) => entryOfSegment(block.epoch, row)));
  }
  let storedMsn = -1;
  for (const [i, info] of record.epochs.entries()) {
    const last = entries.at(-1);
    if (last !== undefined && last.epoch > info.epoch) continue;
    const next = last !== undefined && last.epoch === info.epoch ? last.msn + 1 : info.msn0;
    const found = await segmentsAfter(info, next, record.epochs[i + 1]?.msn0 ?? Number.POSITIVE_INFINITY, source);
    entries.push(...found.rows.map((row) => entryOfSegment(info.epoch, row)));
    storedMsn = Math.max(storedMsn, found.storedMsn);
  }
  return { entries, storedMsn };
}

async function storedBlocks({ content, storage }: Source): Promise<StoredBlock[]> {
  const blocks: StoredBlock[] = [];
  for await (const block of listBlocks(storage, content)) blocks.push(block);
  return blocks.sort((a, b) => a.epoch - b.epoch || a.msn - b.msn);
}

/** Segments of an epoch from `first` on; numbers that have no whole segment between others were gaps. */
async function segmentsAfter(
  info: EpochInfo,
  first: number,
  end: number,
  source: Source,
): Promise<{ rows: BlockSegment[]; storedMsn: number }> {
  const found = new Map<number, BlockSegment['renditions']>();
  let storedMsn = -1;
  for (const rendition of info.renditions) {
    const objects = await listSegments(info, rendition.name, source);
    storedMsn = Math.max(storedMsn, objects.largestMsn);
    for (const [msn, object] of objects.segments) {
      if (msn < first || msn >= end) continue;
      const row = await readSegment(object, rendition, source);
      if (row !== null) found.set(msn, { ...found.get(msn), [rendition.name]: row });
    }
  }
  const whole = new Map([...found].filter(([, rows]) => Object.keys(rows).length === info.renditions.length));
  const last = Math.max(-1, ...whole.keys());
  const rows: BlockSegment[] = [];
  for (let msn = first; msn <= last; msn += 1) {
    const renditions = whole.get(msn) ?? {};
    const gap = Object.keys(renditions).length === 0;
    const pdt = clockOfSegment(info, msn, renditions, rows.at(-1)?.pdt);
    rows.push({ msn, pdt, gap, last_part: 0, term: 1, renditions });
  }
  return { rows, storedMsn };
}

type SegmentObject = { key: ObjectKey; writer: WriterTag; bytes: number };

/** The largest object of each number: one that was closed early by another worker is shorter. */
async function listSegments(info: EpochInfo, rendition: RenditionName, { content, storage }: Source) {
  const segments = new Map<number, SegmentObject>();
  let largestMsn = -1;
  for await (const { key, bytes } of storage.list(`${mediaPrefix(content)}${rendition}/${info.epoch}/`)) {
    const match = /\/([sp])(\d+)\.(?:\d+\.)?([a-z0-9]+)\.m4s$/.exec(key);
    if (match === null) continue;
    const msn = Number(match[2]);
    largestMsn = Math.max(largestMsn, msn);
    if (match[1] !== 's' || bytes <= (segments.get(msn)?.bytes ?? 0)) continue;
    segments.set(msn, { key, writer: (match[3] ?? '') as WriterTag, bytes });
  }
  return { segments, largestMsn };
}

/** Null when the object is not a run of fragments. */
async function readSegment(object: SegmentObject, rendition: RenditionInfo, source: Source): Promise<BlockRow | null> {
  const { body } = await source.storage.read(object.key);
  try {
    let duration = 0;
    let tfdt: number | null = null;
    const boxes = readBoxes(body);
    for (const [i, box] of boxes.entries()) {
      const data = boxes[i + 1];
      if (box.type !== 'moof' || data === undefined) continue;
      const fragment = readFragment(body.subarray(box.start, data.start + data.size), {
        duration: 0,
        size: 0,
        flags: 0,
      });
      tfdt ??= fragment.tfdt;
      duration += fragment.duration;
    }
    const sha256 = createHash('sha256').update(body).digest('hex');
    return tfdt === null ? null : { writer: object.writer, bytes: body.length, sha256, duration, tfdt };
  } catch (thrown) {
    source.log.warn('segment not understood', { key: object.key, rendition: rendition.name, err: thrown });
    return null;
  }
}

/** On a frame grid the number tells; a copied segment tells by its first frame. */
function clockOfSegment(
  info: EpochInfo,
  msn: number,
  renditions: BlockSegment['renditions'],
  before: number | undefined,
): number {
  if (info.grid === 'frames') return clockOf(info, indexOfSegment(gridOf(info), msn));
  const first = info.renditions[0];
  const tfdt = first === undefined ? undefined : renditions[first.name]?.tfdt;
  if (first === undefined || tfdt === undefined) return (before ?? info.pdt0) + 1_000 * info.target_duration;
  return info.pdt0 + (1_000 * tfdt) / first.timescale - info.ts0;
}
