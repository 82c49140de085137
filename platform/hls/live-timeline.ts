// A live timeline as one reader holds it: entries in, closed segments out. It only grows at its end; what is held is never replaced.
import type { RenditionName, WriterTag } from '../contract/ids.ts';
import { comparePositions, type Position, type TimelineEntry } from '../contract/timeline.ts';

/** A segment whose every part is known: what a plain live playlist lists. */
export type LiveSegment = {
  epoch: number;
  msn: number;
  /** Part that closed it. */
  lastPart: number;
  /** Wall clock of its first frame. Unit: ms since the epoch. */
  pdt: number;
  /** Nothing to play in any rendition. */
  isGap: boolean;
  /** The segment object of each rendition that has one; duration in that rendition's timescale. */
  media: ReadonlyMap<RenditionName, { writer: WriterTag; duration: number }>;
};

/** Open segments further behind the newest closed one than this will never close. Unit: segments. */
const OPEN_KEPT_SEGMENTS = 8;

export class LiveTimeline {
  private readonly capacity: number;
  private closed: LiveSegment[] = [];
  /** Parts of segments that have not closed, by `{epoch}.{msn}`: the place that partial segments come from. */
  private readonly open = new Map<string, TimelineEntry[]>();

  /** @param capacity segments held; the oldest leave first */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /**
   * Takes entries in any order, old ones and repeated ones too. Media sequence numbers only ever grow with the position:
   * a segment that would take a number already given away is left out.
   * @returns how many segments closed by them
   */
  accept(entries: readonly TimelineEntry[]): number {
    let added = 0;
    for (const entry of entries) {
      const segment = this.collect(entry);
      if (segment !== null && this.insert(segment)) added += 1;
    }
    if (added > 0) this.trim();
    return added;
  }

  /** Closed segments in play order: at most `capacity` media sequence numbers back from the newest; numbers may be missing between. */
  segments(): readonly LiveSegment[] {
    return this.closed;
  }

  newest(): LiveSegment | null {
    return this.closed.at(-1) ?? null;
  }

  /** Place of the newest closed segment's last part; null while none is closed. */
  position(): Position | null {
    const newest = this.newest();
    return newest === null ? null : { epoch: newest.epoch, msn: newest.msn, part: newest.lastPart };
  }

  /** Keeps the entry until its segment is complete (part 0 and the last are there), then answers the segment. */
  private collect(entry: TimelineEntry): LiveSegment | null {
    const name = `${entry.epoch}.${entry.msn}`;
    const parts = this.open.get(name) ?? [];
    if (!parts.some((part) => part.part === entry.part)) parts.push(entry);
    this.open.set(name, parts);
    const first = parts.find((part) => part.part === 0);
    const last = parts.find((part) => part.last);
    if (first === undefined || last === undefined) return null;
    this.open.delete(name);
    return closedSegment(first, last);
  }

  private insert(segment: LiveSegment): boolean {
    let at = this.closed.length;
    while (at > 0 && isBehind(segment, this.closed[at - 1])) at -= 1;
    const before = this.closed[at - 1];
    const after = this.closed[at];
    if (before !== undefined && before.msn >= segment.msn) return false;
    if (after !== undefined && after.msn <= segment.msn) return false;
    this.closed.splice(at, 0, segment);
    return true;
  }

  private trim(): void {
    const newest = this.newest();
    if (newest === null) return;
    const oldest = newest.msn - this.capacity + 1;
    const from = this.closed.findIndex((segment) => segment.msn >= oldest);
    if (from > 0) this.closed = this.closed.slice(from);
    for (const [name, parts] of this.open) {
      const isStale = parts.every((part) => part.msn < newest.msn - OPEN_KEPT_SEGMENTS);
      if (isStale) this.open.delete(name);
    }
  }
}

const isBehind = (segment: LiveSegment, other: LiveSegment | undefined): boolean =>
  other !== undefined && comparePositions({ ...segment, part: 0 }, { ...other, part: 0 }) < 0;

function closedSegment(first: TimelineEntry, last: TimelineEntry): LiveSegment {
  const media = new Map<RenditionName, { writer: WriterTag; duration: number }>();
  for (const [name, part] of Object.entries(last.renditions)) {
    const { segment } = part;
    if (segment !== undefined) {
      media.set(name as RenditionName, { writer: segment.writer, duration: segment.duration });
    }
  }
  return {
    epoch: last.epoch,
    msn: last.msn,
    lastPart: last.part,
    pdt: first.pdt,
    isGap: last.gap || media.size === 0,
    media,
  };
}
