// The live timeline: one entry per (msn, part), covering all renditions, appended through the fenced script, read by origins.
import { z } from 'zod';
import { RenditionName, WriterTag } from './ids.ts';

/** A whole segment object of a rendition. */
const StoredSegment = z.object({
  writer: WriterTag,
  bytes: z.number().int().nonnegative(),
  sha256: z.string(),
  /** In the rendition's timescale. */
  duration: z.number().int().nonnegative(),
});

export const RenditionPart = z.object({
  writer: WriterTag,
  bytes: z.number().int().nonnegative(),
  /** Of the part object; of the whole segment object in `segment`. Hex. */
  sha256: z.string(),
  /** Of this part, in the rendition's timescale. */
  duration: z.number().int().nonnegative(),
  /** baseMediaDecodeTime of the part's first fragment, in the rendition's timescale. */
  tfdt: z.number().int().nonnegative(),
  /** Begins with a key frame (audio: always true). */
  independent: z.boolean(),
  /** Present in the last part of a segment: the segment object, stored before the entry is appended. Its writer may differ. */
  segment: StoredSegment.optional(),
});
export type RenditionPart = z.infer<typeof RenditionPart>;

export const TimelineEntry = z.object({
  version: z.literal(1),
  term: z.number().int().positive(),
  epoch: z.number().int().nonnegative(),
  msn: z.number().int().nonnegative(),
  part: z.number().int().nonnegative(),
  /** Wall clock of the part's first frame at the ingest. Unit: ms since the epoch. */
  pdt: z.number(),
  /** Nothing to play here, in no rendition (`renditions` is empty); players skip it. Written part by part while nobody publishes. */
  gap: z.boolean(),
  /** The part closes its segment. */
  last: z.boolean(),
  /** `store`, or `worker:{node id}`: the store was away; the object is at that node's workerObjectPath until it is stored. */
  src: z.string(),
  renditions: z.record(RenditionName, RenditionPart),
});
export type TimelineEntry = z.infer<typeof TimelineEntry>;

/** A place in the timeline; compared epoch first. `Headwater-Position: {epoch}.{msn}.{part}`. */
export type Position = { epoch: number; msn: number; part: number };
export const comparePositions = (a: Position, b: Position): number =>
  a.epoch - b.epoch || a.msn - b.msn || a.part - b.part;
export const formatPosition = (p: Position): string => `${p.epoch}.${p.msn}.${p.part}`;
/** Inverse of formatPosition; null when the text is not a position. */
export function parsePosition(text: string): Position | null {
  const match = /^(\d{1,9})\.(\d{1,12})\.(\d{1,6})$/.exec(text);
  return match ? { epoch: Number(match[1]), msn: Number(match[2]), part: Number(match[3]) } : null;
}

/** A closed segment as an index block keeps it: what playlists need once its parts are history. */
export const BlockSegment = z.object({
  msn: z.number().int().nonnegative(),
  /** Wall clock of its first frame. Unit: ms since the epoch. */
  pdt: z.number(),
  gap: z.boolean(),
  /** Part that closed it. */
  last_part: z.number().int().nonnegative(),
  term: z.number().int().positive(),
  renditions: z.record(
    RenditionName,
    StoredSegment.extend({
      /** Of its first frame, in the rendition's timescale. */
      tfdt: z.number().int().nonnegative(),
    }),
  ),
});
export type BlockSegment = z.infer<typeof BlockSegment>;

/**
 * Closed segments of one epoch, stored at indexBlockKey; the timeline in Redis is trimmed only up to the last stored block. Blocks stand at
 * fixed places: `first_msn` is the epoch's msn0 plus a multiple of INDEX_BLOCK_SEGMENTS; only an epoch's last block is shorter.
 */
export const IndexBlock = z.object({
  version: z.literal(2),
  epoch: z.number().int(),
  first_msn: z.number().int(),
  last_msn: z.number().int(),
  segments: z.array(BlockSegment),
});
export type IndexBlock = z.infer<typeof IndexBlock>;
/** Segments per index block. */
export const INDEX_BLOCK_SEGMENTS = 30;

/** Segment table of one finished on-demand rendition, stored at renditionIndexKey. */
export const RenditionIndex = z.object({
  version: z.literal(1),
  rendition: RenditionName,
  epoch: z.number().int(),
  writer: WriterTag,
  timescale: z.number().int().positive(),
  /** Largest rounded segment duration, s: EXT-X-TARGETDURATION. */
  target_duration: z.number().int().positive(),
  segments: z.array(
    z.object({
      msn: z.number().int().nonnegative(),
      tfdt: z.number().int(),
      duration: z.number().int().positive(),
      bytes: z.number().int().positive(),
      sha256: z.string(),
    }),
  ),
});
export type RenditionIndex = z.infer<typeof RenditionIndex>;
