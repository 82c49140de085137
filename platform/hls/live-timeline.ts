// A live timeline as one reader holds it: entries and index blocks in; closed segments of the whole window and parts near the edge out.
// It only grows at its end; what is held is never replaced.
import type { RenditionName, WriterTag } from '../contract/ids.ts';
import { PARTS_KEPT_TARGETS } from '../contract/latency.ts';
import type { BlockSegment, IndexBlock, Position, TimelineEntry } from '../contract/timeline.ts';
import { INDEX_BLOCK_SEGMENTS } from '../contract/timeline.ts';

/** The segment object of one rendition; duration and tfdt in that rendition's timescale. */
export type SegmentMedia = {
  rendition: RenditionName;
  writer: WriterTag;
  duration: number;
  /** Decode time of the first frame. */
  tfdt: number;
  bytes: number;
};

/** A segment whose every part is known. */
export type LiveSegment = {
  epoch: number;
  msn: number;
  /** Part that closed it. */
  lastPart: number;
  /** Wall clock of its first frame. Unit: ms since the epoch. */
  pdt: number;
  /** Nothing to play in any rendition. */
  isGap: boolean;
  /** Where its objects were when it closed: `store` or `worker:{node}`, as in the timeline. */
  src: string;
  /** One for each rendition that has an object. */
  media: readonly SegmentMedia[];
};

/** The segment object of a rendition; undefined where it has none. */
export const mediaOf = (segment: LiveSegment, rendition: RenditionName): SegmentMedia | undefined =>
  segment.media.find((media) => media.rendition === rendition);

/** Neighbouring closed segments of one epoch: the unit in which playlist text is kept. At most INDEX_BLOCK_SEGMENTS. */
export type SegmentRun = {
  readonly epoch: number;
  /** `msn / INDEX_BLOCK_SEGMENTS`, rounded down. */
  readonly place: number;
  /** In play order, at least one; numbers may be missing between. */
  readonly segments: readonly LiveSegment[];
  /** Changes whenever the segments do. */
  readonly version: number;
};
type MutableRun = { epoch: number; place: number; segments: LiveSegment[]; version: number };

/** A segment near the edge with its parts, ascending. */
type RecentSegment = { epoch: number; parts: TimelineEntry[]; isClosed: boolean };

/**
 * Segments whose parts are held: an answer as of a place three target durations back lists parts three further back, and the
 * open segment comes on top.
 */
const RECENT_SEGMENTS = 2 * PARTS_KEPT_TARGETS + 2;
/** Segments held beyond the window, for answers as of a place before the newest. */
const SLACK_SEGMENTS = PARTS_KEPT_TARGETS + 1;

export class LiveTimeline {
  /** Segments of a playlist. */
  readonly capacity: number;
  private readonly held: MutableRun[] = [];
  private readonly recent = new Map<number, RecentSegment>();
  private top: Position | null = null;
  private late = 0;
  /** One copy of each writer's tag, however many segments name it. */
  private readonly texts = new Map<string, string>();

  /** @param capacity segments of a playlist; older ones leave */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /**
   * Takes entries in any order, old ones and repeated ones too. Epochs only ever grow with the media sequence number: what
   * contradicts that is left out.
   * @returns whether the newest part is another one now
   */
  accept(entries: readonly TimelineEntry[]): boolean {
    const before = this.top;
    for (const entry of entries) this.take(entry);
    this.trim();
    return before !== this.top;
  }

  /**
   * Takes the closed segments of an index block: what has left the timeline in Redis.
   * @returns whether the newest part is another one now
   */
  acceptBlock(block: IndexBlock): boolean {
    const before = this.top;
    for (const one of block.segments) {
      const segment = segmentOfBlock(block.epoch, one);
      if (this.insert(segment)) this.raise({ epoch: segment.epoch, msn: segment.msn, part: segment.lastPart });
    }
    this.trim();
    return before !== this.top;
  }

  /** Closed segments in play order; numbers may be missing between. The first few may be older than the window. */
  *segments(): Generator<LiveSegment> {
    for (const run of this.held) yield* run.segments;
  }

  /** The closed segments in runs, in play order. */
  runs(): readonly SegmentRun[] {
    return this.held;
  }

  /** Newest closed segment. */
  newest(): LiveSegment | null {
    return this.held.at(-1)?.segments.at(-1) ?? null;
  }

  /** Place of the newest part; null while nothing is known. */
  position(): Position | null {
    return this.top;
  }

  /** Counts segments that came behind newer ones: a text made before may not be what the same place says now. */
  lateCount(): number {
    return this.late;
  }

  /** Entries of a segment near the edge, ascending; none when they are not held. */
  partsOf(msn: number): readonly TimelineEntry[] {
    return this.recent.get(msn)?.parts ?? [];
  }

  /** The closed segment of this number; null when none took it, or it has left. */
  segmentAt(msn: number): LiveSegment | null {
    return this.held[this.runUpTo(msn)]?.segments.find((segment) => segment.msn === msn) ?? null;
  }

  private take(entry: TimelineEntry): void {
    const { top } = this;
    if (top !== null && Math.sign(entry.msn - top.msn) * (entry.epoch - top.epoch) < 0) return;
    const known = this.recent.get(entry.msn);
    const isOther = known !== undefined && known.epoch !== entry.epoch;
    if (isOther && (known.isClosed || known.epoch > entry.epoch)) return;
    const segment: RecentSegment =
      known === undefined || isOther ? { epoch: entry.epoch, parts: [], isClosed: false } : known;
    this.recent.set(entry.msn, segment);
    addPart(segment.parts, entry);
    this.raise(entry);
    const closed = segment.isClosed ? null : closedSegment(segment.parts);
    if (closed === null) return;
    segment.isClosed = true;
    this.insert(closed);
  }

  private raise({ epoch, msn, part }: Position): void {
    if (this.top === null || comparePlaces({ epoch, msn, part }, this.top) > 0) this.top = { epoch, msn, part };
  }

  /** Index of the last run that begins at this number or before; -1 when none does. */
  private runUpTo(msn: number): number {
    let from = 0;
    let to = this.held.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      const first = this.held[middle]?.segments[0];
      if (first !== undefined && first.msn <= msn) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }

  /** @returns false when the number is taken, or the epochs around it say that it cannot be */
  private insert(segment: LiveSegment): boolean {
    const index = this.runUpTo(segment.msn);
    const run = this.held[index];
    const at = run === undefined ? 0 : run.segments.findLastIndex((other) => other.msn <= segment.msn) + 1;
    const before = run?.segments[at - 1];
    const after = run?.segments[at] ?? this.held[index + 1]?.segments[0];
    if (before !== undefined && (before.msn === segment.msn || before.epoch > segment.epoch)) return false;
    if (after !== undefined && after.epoch < segment.epoch) return false;
    if (after !== undefined) this.late += 1;
    this.place(index, at, this.compact(segment));
    return true;
  }

  /** Puts a segment behind index `at` of its run, into the run after it, or into a run of its own. */
  private place(index: number, at: number, segment: LiveSegment): void {
    const place = Math.floor(segment.msn / INDEX_BLOCK_SEGMENTS);
    const fits = (run: MutableRun | undefined): run is MutableRun =>
      run !== undefined && run.epoch === segment.epoch && run.place === place;
    const [run, next] = [this.held[index], this.held[index + 1]];
    if (fits(run)) {
      run.segments.splice(at, 0, segment);
      run.version += 1;
    } else if (fits(next)) {
      next.segments.unshift(segment);
      next.version += 1;
    } else {
      this.held.splice(index + 1, 0, { epoch: segment.epoch, place, segments: [segment], version: 0 });
    }
  }

  /** Texts that come from JSON are each a copy of their own; a window of twelve hours has a hundred thousand. */
  private compact(segment: LiveSegment): LiveSegment {
    const one = <T extends string>(text: T): T => {
      const known = this.texts.get(text);
      if (known === undefined) this.texts.set(text, text);
      return (known as T | undefined) ?? text;
    };
    const media = segment.media.map((each) => ({ ...each, rendition: one(each.rendition), writer: one(each.writer) }));
    return { ...segment, src: one(segment.src), media };
  }

  private trim(): void {
    const newest = this.newest();
    if (newest !== null) {
      const oldest = newest.msn - this.capacity - SLACK_SEGMENTS + 1;
      const leaving = this.held.findIndex((run) => (run.segments.at(-1)?.msn ?? 0) >= oldest);
      if (leaving > 0) this.held.splice(0, leaving);
      const run = this.held[0];
      const from = run?.segments.findIndex((segment) => segment.msn >= oldest) ?? 0;
      if (run !== undefined && from > 0) {
        run.segments.splice(0, from);
        run.version += 1;
      }
    }
    const recent = (this.top?.msn ?? 0) - RECENT_SEGMENTS;
    for (const msn of this.recent.keys()) if (msn < recent) this.recent.delete(msn);
  }
}

/** Numbers first: they are what viewers count by, and epochs follow them. */
const comparePlaces = (a: Position, b: Position): number => a.msn - b.msn || a.epoch - b.epoch || a.part - b.part;

function addPart(parts: TimelineEntry[], entry: TimelineEntry): void {
  let at = parts.length;
  while (at > 0 && (parts[at - 1]?.part ?? 0) > entry.part) at -= 1;
  if (parts[at - 1]?.part !== entry.part) parts.splice(at, 0, entry);
}

/** The segment when its first and last parts are there; else null. */
function closedSegment(parts: readonly TimelineEntry[]): LiveSegment | null {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || first.part !== 0 || last === undefined || !last.last) return null;
  const media: SegmentMedia[] = [];
  for (const [name, part] of Object.entries(last.renditions)) {
    if (part.segment === undefined) continue;
    const { writer, duration, bytes } = part.segment;
    const tfdt = first.renditions[name as RenditionName]?.tfdt ?? part.tfdt;
    media.push({ rendition: name as RenditionName, writer, duration, tfdt, bytes });
  }
  const { epoch, msn, part, gap, src } = last;
  return { epoch, msn, lastPart: part, pdt: first.pdt, isGap: gap || media.length === 0, src, media };
}

/** A segment of an index block as playlists read it. */
export function segmentOfBlock(epoch: number, block: BlockSegment): LiveSegment {
  const media = Object.entries(block.renditions).map(([name, { writer, duration, tfdt, bytes }]) => ({
    rendition: name as RenditionName,
    writer,
    duration,
    tfdt,
    bytes,
  }));
  return {
    epoch,
    msn: block.msn,
    lastPart: block.last_part,
    pdt: block.pdt,
    isGap: block.gap || media.length === 0,
    src: 'store',
    media,
  };
}
