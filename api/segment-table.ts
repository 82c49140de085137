// The segments of a content in play order, as recordings and clips need them: where each begins, how long it is, what it weighs.
// Read from index blocks (live), the timeline (live, what no block holds yet) and rendition tables (uploads).

import type { RedisClient } from '../platform/adapters/redis.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { entryId, parseEntries } from '../platform/adapters/timeline-store.ts';
import { indexPrefix, type ObjectKey, renditionIndexKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord, EpochInfo } from '../platform/contract/records.ts';
import { timelineKey } from '../platform/contract/redis-keys.ts';
import { type BlockSegment, IndexBlock, RenditionIndex, type TimelineEntry } from '../platform/contract/timeline.ts';
import { dropOldest } from '../platform/runtime/bounded-map.ts';
import type { Logger } from '../platform/runtime/log.ts';

export type TableSegment = {
  epoch: number;
  msn: number;
  /** Wall clock of its first frame, ms since the epoch; 0 in uploads. */
  pdt: number;
  /** Unit: s; 0 in gaps. */
  durationS: number;
  /** All renditions together. */
  bytes: number;
  /** Nothing to play: left out of recordings and clips. */
  gap: boolean;
};

/** What a recording shows. */
export const playableOf = (segments: TableSegment[]): TableSegment[] => segments.filter(({ gap }) => !gap);

/** Length and size of segments together. Unit: s and bytes. */
export function sumOf(segments: TableSegment[]): { durationS: number; bytes: number } {
  return {
    durationS: segments.reduce((sum, segment) => sum + segment.durationS, 0),
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
  };
}

type Measured = { duration: number; bytes: number };

/** Length by the epoch's first rendition that the segment has: a dropped rung must not shorten it. */
function tableSegment(
  place: { epoch: number; msn: number; pdt: number; gap: boolean },
  renditions: Record<string, Measured>,
  info: EpochInfo | undefined,
): TableSegment {
  const { epoch, msn, pdt } = place;
  let durationS = 0;
  for (const { name, timescale } of info?.renditions ?? []) {
    const measured = renditions[name];
    if (measured === undefined || measured.duration === 0) continue;
    durationS = measured.duration / timescale;
    break;
  }
  const bytes = Object.values(renditions).reduce((sum, rendition) => sum + rendition.bytes, 0);
  return { epoch, msn, pdt, durationS, bytes, gap: place.gap || durationS === 0 };
}

const infoOf = (epochs: EpochInfo[], epoch: number) => epochs.find((info) => info.epoch === epoch);

/** Closed segments of one stored block. */
export const segmentsOfBlock = (epoch: number, segments: BlockSegment[], epochs: EpochInfo[]): TableSegment[] =>
  segments.map((segment) => tableSegment({ ...segment, epoch }, segment.renditions, infoOf(epochs, epoch)));

/** Closed segments among timeline entries (ascending); one whose first part is missing is left out. */
export function segmentsOfEntries(entries: TimelineEntry[], epochs: EpochInfo[]): TableSegment[] {
  const segments: TableSegment[] = [];
  let first: TimelineEntry | null = null;
  for (const entry of entries) {
    if (entry.part === 0) first = entry;
    if (!entry.last || first === null || first.epoch !== entry.epoch || first.msn !== entry.msn) continue;
    const renditions: Record<string, Measured> = {};
    for (const [name, part] of Object.entries(entry.renditions))
      if (part.segment !== undefined) renditions[name] = part.segment;
    segments.push(tableSegment({ ...entry, pdt: first.pdt }, renditions, infoOf(epochs, entry.epoch)));
  }
  return segments;
}

/** Segments of an upload: boundaries of the first table (video where there is video), bytes of all. */
export function segmentsOfTables(tables: RenditionIndex[]): TableSegment[] {
  const [reference] = tables;
  if (reference === undefined) return [];
  return reference.segments.map(({ msn, duration }) => ({
    epoch: reference.epoch,
    msn,
    pdt: 0,
    durationS: duration / reference.timescale,
    bytes: tables.reduce((sum, table) => sum + (table.segments.find((other) => other.msn === msn)?.bytes ?? 0), 0),
    gap: false,
  }));
}

export interface SegmentTables {
  /** What the stored blocks of a broadcast hold. @throws StorageUnavailable */
  recorded(broadcast: BroadcastRecord): Promise<TableSegment[]>;
  /** The same, and what only the timeline knows yet. @throws StorageUnavailable RedisUnavailable */
  running(broadcast: BroadcastRecord): Promise<TableSegment[]>;
  /** Of an upload's finished renditions. @throws StorageUnavailable ObjectMissing */
  uploaded(asset: AssetRecord): Promise<TableSegment[]>;
}
export type SegmentTablesDeps = {
  storage: Pick<ObjectStorage, 'list' | 'read'>;
  redis: Pick<RedisClient, 'xRange'>;
  log: Logger;
};

const PARALLEL = 8;
/** Blocks kept in memory: a block never changes, and 12 hours have 720. */
const BLOCKS_KEPT = 3_000;

class StoredTables implements SegmentTables {
  private readonly deps: SegmentTablesDeps;
  private readonly blocks = new Map<string, TableSegment[]>();

  constructor(deps: SegmentTablesDeps) {
    this.deps = deps;
  }

  private async block(key: ObjectKey, epochs: EpochInfo[]): Promise<TableSegment[]> {
    const held = this.blocks.get(key);
    if (held !== undefined) return held;
    const { body } = await this.deps.storage.read(key);
    let segments: TableSegment[] = [];
    try {
      const block = IndexBlock.parse(JSON.parse(body.toString('utf8')));
      segments = segmentsOfBlock(block.epoch, block.segments, epochs);
    } catch (thrown) {
      this.deps.log.error('index block not understood', { key, err: thrown });
    }
    this.blocks.set(key, segments);
    dropOldest(this.blocks, BLOCKS_KEPT);
    return segments;
  }

  async recorded({ content_id: content, epochs }: BroadcastRecord): Promise<TableSegment[]> {
    const keys: ObjectKey[] = [];
    for await (const { key } of this.deps.storage.list(indexPrefix(content)))
      if (/\/\d+-\d+\.json$/.test(key)) keys.push(key);
    const found: TableSegment[] = [];
    for (let at = 0; at < keys.length; at += PARALLEL) {
      const pages = await Promise.all(keys.slice(at, at + PARALLEL).map((key) => this.block(key, epochs)));
      found.push(...pages.flat());
    }
    return found.sort((a, b) => a.epoch - b.epoch || a.msn - b.msn);
  }

  async running(broadcast: BroadcastRecord): Promise<TableSegment[]> {
    const stored = await this.recorded(broadcast);
    const last = stored.at(-1);
    const from = last === undefined ? '-' : entryId({ epoch: last.epoch, msn: last.msn + 1, part: 0 });
    const { entries } = parseEntries(await this.deps.redis.xRange(timelineKey(broadcast.content_id), from, '+'));
    return [...stored, ...segmentsOfEntries(entries, broadcast.epochs)];
  }

  async uploaded(asset: AssetRecord): Promise<TableSegment[]> {
    const inOrder = [...asset.renditions].sort((a, b) => Number(a.kind === 'audio') - Number(b.kind === 'audio'));
    const tables = await Promise.all(
      inOrder.map(async ({ name, writer }) => {
        const { body } = await this.deps.storage.read(renditionIndexKey(asset.content_id, name, writer));
        return RenditionIndex.parse(JSON.parse(body.toString('utf8')));
      }),
    );
    return segmentsOfTables(tables);
  }
}

/** Tables over the store and the timelines in Redis; blocks are kept in memory. */
export const createSegmentTables = (deps: SegmentTablesDeps): SegmentTables => new StoredTables(deps);
