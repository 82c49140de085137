// A recorded broadcast, or a clip cut from one, as an on-demand presentation: its segments without the gaps, and the media playlist of each rendition.
import type { RenditionName } from '../contract/ids.ts';
import type { EpochInfo, RenditionInfo } from '../contract/records.ts';
import { initUri, NO_WRITER, segmentUri } from '../contract/routes.ts';
import { type LiveSegment, mediaOf } from './live-timeline.ts';
import type { MediaPlaylist, PlaylistSegment } from './media-playlist.ts';

/** A segment that a recording plays. */
export type RecordedSegment = {
  segment: LiveSegment;
  epoch: EpochInfo;
  /** Counts from 0; segments of different runs do not follow on from each other: another epoch, or something left out between them. */
  run: number;
  /** By the epoch's first rendition that has it. Unit: s. */
  durationS: number;
};

/**
 * What a recording plays of a broadcast: gaps, and segments that no rendition has, are left out in all renditions alike.
 * @param segments closed segments in play order; those of an epoch that is not among `epochs` are left out
 */
export function recordedSegments(segments: Iterable<LiveSegment>, epochs: readonly EpochInfo[]): RecordedSegment[] {
  const known = new Map(epochs.map((epoch) => [epoch.epoch, epoch]));
  const kept: RecordedSegment[] = [];
  for (const segment of segments) {
    const epoch = known.get(segment.epoch);
    const durationS = epoch === undefined || segment.isGap ? 0 : durationOf(segment, epoch);
    if (epoch === undefined || durationS === 0) continue;
    const before = kept.at(-1);
    const goesOn = before?.segment.epoch === segment.epoch && before.segment.msn + 1 === segment.msn;
    const run = before === undefined ? 0 : before.run + (goesOn ? 0 : 1);
    kept.push({ segment, epoch, run, durationS });
  }
  return kept;
}

/** Length of all of it. Unit: s. */
export const recordedDurationS = (segments: readonly RecordedSegment[]): number =>
  segments.reduce((sum, { durationS }) => sum + durationS, 0);

/** Every rendition that some segment has, as the newest epoch that names it describes it. */
export function recordedRenditions(segments: readonly RecordedSegment[]): RenditionInfo[] {
  const infos = new Map<RenditionName, RenditionInfo>();
  let described: EpochInfo | null = null;
  for (const { segment, epoch } of segments) {
    if (epoch === described && segment.media.every(({ rendition }) => infos.has(rendition))) continue;
    described = epoch;
    for (const info of epoch.renditions) if (playable(segment, info.name) !== null) infos.set(info.name, info);
  }
  return [...infos.values()];
}

export type RecordedPlaylist = {
  rendition: RenditionName;
  segments: readonly RecordedSegment[];
  /** Written before each address: from the playlist's own to `{rendition}/` of the recorded content. */
  base: string;
};

/**
 * The playlist of one rendition. All renditions list the same segments; where this one has no object, it says EXT-X-GAP.
 * Runs are parted by EXT-X-DISCONTINUITY, in every rendition at the same places; numbers count from 0.
 */
export function recordedPlaylist({ rendition, segments, base }: RecordedPlaylist): MediaPlaylist {
  let targetDurationS = 1;
  const listed: PlaylistSegment[] = [];
  for (const { segment, epoch, run, durationS: siblingS } of segments) {
    const info = epoch.renditions.find((one) => one.name === rendition);
    const own = playable(segment, rendition);
    const isGap = info === undefined || own === null;
    const durationS = isGap ? siblingS : own.duration / info.timescale;
    targetDurationS = Math.max(targetDurationS, epoch.target_duration, Math.round(durationS));
    listed.push({
      discontinuity: run,
      mapUri: info === undefined ? null : base + initUri(segment.epoch),
      uri: base + segmentUri(segment.epoch, segment.msn, own?.writer ?? NO_WRITER),
      durationS,
      programDateTimeMs: segment.pdt,
      isGap,
    });
  }
  // Pass-through cuts where it must, also between key frames.
  const isDependent = segments.some(({ epoch }) => epoch.grid === 'copy');
  return { targetDurationS, mediaSequence: 0, segments: listed, isDependent };
}

/** The rendition's object, when there is something in it. */
function playable(segment: LiveSegment, rendition: RenditionName) {
  const media = mediaOf(segment, rendition);
  return media === undefined || media.duration === 0 ? null : media;
}

function durationOf(segment: LiveSegment, epoch: EpochInfo): number {
  for (const { name, timescale } of epoch.renditions) {
    const media = playable(segment, name);
    if (media !== null) return media.duration / timescale;
  }
  return 0;
}
