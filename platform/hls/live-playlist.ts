// From the segments of a live timeline to the media playlist of one rendition: gaps, epochs and the sliding window.
import type { RenditionName } from '../contract/ids.ts';
import { LIVE_TARGET_DURATION_S } from '../contract/latency.ts';
import type { EpochInfo } from '../contract/records.ts';
import { initUri, segmentUri } from '../contract/routes.ts';
import type { LiveSegment } from './live-timeline.ts';
import type { MediaPlaylist, PlaylistSegment } from './media-playlist.ts';

/** Stands in for the writer in the address of a segment that does not exist. */
const GAP_WRITER = 'none';

export type LivePlaylist = {
  rendition: RenditionName;
  /** Closed segments in play order, as LiveTimeline holds them. */
  segments: readonly LiveSegment[];
  /** Epochs of the broadcast record; segments of an epoch that is not among them are left out. */
  epochs: readonly EpochInfo[];
  isEnded: boolean;
};

/** How many segments a live window of `windowS` seconds holds: whole target durations, the same in every rendition and epoch. */
export const windowSegments = (windowS: number): number => Math.ceil(windowS / LIVE_TARGET_DURATION_S);

/**
 * The live media playlist of one rendition: a pure function of its arguments. Every rendition lists the same media sequence
 * numbers; where one has no object, or no segment has the number, it says EXT-X-GAP.
 * EXT-X-DISCONTINUITY-SEQUENCE is the epoch, so it stays right however much of the timeline a reader has seen.
 * @returns null when no segment can be listed
 */
export function livePlaylist(live: LivePlaylist): MediaPlaylist | null {
  const epochs = new Map(live.epochs.map((epoch) => [epoch.epoch, epoch]));
  const segments: PlaylistSegment[] = [];
  let mediaSequence: number | null = null;
  let next = 0;
  for (const segment of live.segments) {
    const epoch = epochs.get(segment.epoch);
    if (epoch === undefined) continue;
    if (mediaSequence === null) mediaSequence = segment.msn;
    // A hole belongs to the epoch after it: that segment is always in the same window, the one before may have left.
    else for (let msn = next; msn < segment.msn; msn += 1) segments.push(missing(msn, segment, epoch, live.rendition));
    segments.push(listed(segment, epoch, live.rendition));
    next = segment.msn + 1;
  }
  if (mediaSequence === null) return null;
  return {
    type: 'SLIDING',
    targetDurationS: LIVE_TARGET_DURATION_S,
    mediaSequence,
    segments,
    isEnded: live.isEnded,
  };
}

/** Length of a whole segment on the epoch's grid. Unit: s. */
export const gridSegmentS = (epoch: EpochInfo): number => (epoch.segment_frames * epoch.fps.den) / epoch.fps.num;

function listed(segment: LiveSegment, epoch: EpochInfo, rendition: RenditionName): PlaylistSegment {
  const own = segment.media.get(rendition);
  const timescale = timescaleOf(epoch, rendition);
  const isGap = segment.isGap || own === undefined || timescale === null;
  return {
    discontinuity: segment.epoch,
    mapUri: timescale === null ? null : initUri(segment.epoch),
    uri: segmentUri(segment.epoch, segment.msn, own?.writer ?? GAP_WRITER),
    durationS: own !== undefined && timescale !== null ? own.duration / timescale : siblingDurationS(segment, epoch),
    programDateTimeMs: segment.pdt,
    isGap,
  };
}

function missing(msn: number, after: LiveSegment, epoch: EpochInfo, rendition: RenditionName): PlaylistSegment {
  const durationS = gridSegmentS(epoch);
  return {
    discontinuity: after.epoch,
    mapUri: timescaleOf(epoch, rendition) === null ? null : initUri(after.epoch),
    uri: segmentUri(after.epoch, msn, GAP_WRITER),
    durationS,
    programDateTimeMs: after.pdt - (after.msn - msn) * durationS * 1_000,
    isGap: true,
  };
}

const timescaleOf = (epoch: EpochInfo, rendition: RenditionName): number | null =>
  epoch.renditions.find((info) => info.name === rendition)?.timescale ?? null;

/** A gap lasts as long as the segment does in the first rendition (in the epoch's order) that has it. */
function siblingDurationS(segment: LiveSegment, epoch: EpochInfo): number {
  for (const info of epoch.renditions) {
    const media = segment.media.get(info.name);
    if (media !== undefined) return media.duration / info.timescale;
  }
  return gridSegmentS(epoch);
}
