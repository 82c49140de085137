// One rendition of a live broadcast, over all its epochs: how its segments, parts and gaps are written, and how long they last.
import type { RenditionName } from '../contract/ids.ts';
import type { EpochInfo, RenditionInfo } from '../contract/records.ts';
import { initUri, NO_WRITER, partUri, segmentUri } from '../contract/routes.ts';
import type { TimelineEntry } from '../contract/timeline.ts';
import { type LiveSegment, mediaOf } from './live-timeline.ts';
import { segmentLines } from './media-playlist.ts';
import { attributeTag, quoted, seconds } from './tags.ts';

/** Length of a whole segment on the epoch's grid. Unit: s. */
const gridSegmentS = (epoch: EpochInfo): number =>
  epoch.grid === 'copy' ? epoch.target_duration : (epoch.segment_frames * epoch.fps.den) / epoch.fps.num;

/** Length of a part on the epoch's grid: that of every gap part. Unit: s. */
const gridPartS = (epoch: EpochInfo): number =>
  epoch.grid === 'copy'
    ? (epoch.part_target ?? epoch.target_duration)
    : (epoch.part_frames * epoch.fps.den) / epoch.fps.num;

/** A rendition inside one epoch; `info` is null where the epoch lacks it. */
type InEpoch = { epoch: EpochInfo; info: RenditionInfo | null };

export class LiveRendition {
  readonly name: RenditionName;
  private readonly epochs = new Map<number, InEpoch>();

  constructor(name: RenditionName, epochs: readonly EpochInfo[]) {
    this.name = name;
    for (const epoch of epochs) {
      this.epochs.set(epoch.epoch, { epoch, info: epoch.renditions.find((info) => info.name === name) ?? null });
    }
  }

  knows(epoch: number): boolean {
    return this.epochs.has(epoch);
  }

  /** Address of the epoch's initialisation segment; null where the epoch lacks the rendition. */
  mapUri(epoch: number): string | null {
    return (this.epochs.get(epoch)?.info ?? null) === null ? null : initUri(epoch);
  }

  /** Unit: s. */
  durationS(segment: LiveSegment): number {
    const held = this.epochs.get(segment.epoch);
    if (held === undefined) return 0;
    if (segment.isGap) return (segment.lastPart + 1) * gridPartS(held.epoch);
    const own = held.info === null ? undefined : mediaOf(segment, held.info.name);
    if (held.info !== null && own !== undefined) return own.duration / held.info.timescale;
    // A gap lasts as long as the segment does in the first rendition (in the epoch's order) that has it.
    for (const info of held.epoch.renditions) {
      const media = mediaOf(segment, info.name);
      if (media !== undefined) return media.duration / info.timescale;
    }
    return gridSegmentS(held.epoch);
  }

  /** A closed segment: EXT-X-GAP where this rendition has no object. */
  segmentLines(segment: LiveSegment): string[] {
    const media = segment.isGap || this.mapUri(segment.epoch) === null ? undefined : mediaOf(segment, this.name);
    return segmentLines({
      uri: segmentUri(segment.epoch, segment.msn, media?.writer ?? NO_WRITER),
      durationS: this.durationS(segment),
      programDateTimeMs: segment.pdt,
      isGap: media === undefined,
    });
  }

  /** A number that no segment took. It belongs to the epoch after it: that one is always in the same window, the one before may have left. */
  missingLines(msn: number, after: { epoch: number; msn: number; pdt: number }): string[] {
    const held = this.epochs.get(after.epoch);
    const durationS = held === undefined ? 0 : gridSegmentS(held.epoch);
    return segmentLines({
      uri: segmentUri(after.epoch, msn, NO_WRITER),
      durationS,
      programDateTimeMs: after.pdt - (after.msn - msn) * durationS * 1_000,
      isGap: true,
    });
  }

  /** Unit: s. */
  missingS(epoch: number): number {
    const held = this.epochs.get(epoch);
    return held === undefined ? 0 : gridSegmentS(held.epoch);
  }

  /** Unit: s. */
  partDurationS(entry: TimelineEntry): number {
    const held = this.epochs.get(entry.epoch);
    if (held === undefined) return 0;
    const own = held.info === null ? undefined : entry.renditions[held.info.name];
    if (held.info !== null && own !== undefined && own.bytes > 0) return own.duration / held.info.timescale;
    if (isEmpty(entry)) return 0;
    for (const info of held.epoch.renditions) {
      const part = entry.renditions[info.name];
      if (part !== undefined && part.bytes > 0) return part.duration / info.timescale;
    }
    return gridPartS(held.epoch);
  }

  /** @returns null for a part of no bytes: it only closes what an earlier worker left open */
  partLine(entry: TimelineEntry): string | null {
    if (isEmpty(entry)) return null;
    const part = this.mapUri(entry.epoch) === null ? undefined : entry.renditions[this.name];
    const media = entry.gap || part === undefined || part.bytes === 0 ? null : part;
    return attributeTag('EXT-X-PART', {
      DURATION: seconds(this.partDurationS(entry)),
      URI: quoted(partUri(entry.epoch, entry.msn, entry.part, media?.writer ?? NO_WRITER)),
      INDEPENDENT: media?.independent ? 'YES' : null,
      GAP: media === null ? 'YES' : null,
    });
  }

  /**
   * The part after this one, which has its writer if that goes on. A playlist with parts has to name one (rfc8216bis, 4.4.5.3), so
   * after a gap it names one that never comes.
   */
  hintLine(newest: TimelineEntry): string {
    const part = newest.gap || this.mapUri(newest.epoch) === null ? undefined : newest.renditions[this.name];
    const writer = part === undefined || part.bytes === 0 ? NO_WRITER : part.writer;
    const [msn, next] = newest.last ? [newest.msn + 1, 0] : [newest.msn, newest.part + 1];
    return attributeTag('EXT-X-PRELOAD-HINT', { TYPE: 'PART', URI: quoted(partUri(newest.epoch, msn, next, writer)) });
  }
}

/** Media parts without a byte in any rendition close a segment that an earlier worker left open. */
const isEmpty = (entry: TimelineEntry): boolean =>
  !entry.gap && entry.last && Object.values(entry.renditions).every((part) => part.bytes === 0);
