// What stands in a DASH manifest: Periods of a running broadcast (wall clock), of a recording or clip (joined end to end), of an upload.
import type { ContentId, RenditionName } from '../contract/ids.ts';
import type { EpochInfo, RenditionInfo, StoredRendition } from '../contract/records.ts';
import type { RenditionIndex } from '../contract/timeline.ts';
import type { DashManifest, DashPeriod, DashSegment, DashTrack } from './dash.ts';
import { type LiveSegment, mediaOf } from './live-timeline.ts';
import { type RecordedSegment, recordedDurationS, recordedSegments } from './recording.ts';

type Addressing = DashManifest['addressing'];

/** Most of a running broadcast that a manifest lists: it is sent anew with every segment. Unit: s. */
const MOST_LISTED_S = 600;

export type LiveDash = {
  content: ContentId;
  epochs: readonly EpochInfo[];
  /** Every closed segment that is held, in play order: where a Period begins must not depend on what is listed. */
  segments: Iterable<LiveSegment>;
  /** How far viewers may rewind. Unit: s. */
  windowS: number;
  /** No segment will come: the manifest becomes static, on the same clock, and lists everything held. */
  isEnded: boolean;
  /** Unit: ms since the epoch. */
  nowMs: number;
  addressing: Addressing;
};

/**
 * The manifest of a broadcast: Periods stand on the wall clock of the ingest, beginning with the first epoch's. One Period per epoch;
 * another where something is missing inside one (and, with templates, where the writer changes).
 * @returns null when no segment can be listed
 */
export function liveDash(live: LiveDash): DashManifest | null {
  const held = recordedSegments(live.segments, live.epochs);
  const [first, newest] = [live.epochs.find((epoch) => epoch.renditions.length > 0), held.at(-1)];
  if (first === undefined || newest === undefined) return null;
  const endMs = newest.segment.pdt + newest.durationS * 1_000;
  const windowS = Math.min(live.windowS, MOST_LISTED_S);
  const oldestMs = live.isEnded ? Number.NEGATIVE_INFINITY : endMs - windowS * 1_000;
  const periods: DashPeriod[] = [];
  let former: number | null = null;
  for (const run of runsOf(held, live.addressing)) {
    const [head] = run;
    if (head === undefined) continue;
    const { epoch } = head;
    // Only the first run of an epoch that is held may have begun before what is held: it begins where its epoch does.
    const sinceS = former === epoch.epoch ? (head.segment.pdt - epoch.pdt0) / 1_000 : 0;
    const id = former === epoch.epoch ? `${epoch.epoch}.${head.segment.msn}` : String(epoch.epoch);
    former = epoch.epoch;
    const listed = run.filter(({ segment, durationS }) => segment.pdt + durationS * 1_000 > oldestMs);
    if (listed.length === 0) continue;
    const startS = (epoch.pdt0 - first.pdt0) / 1_000 + sinceS;
    const originS = mediaOriginS(epoch) + sinceS;
    const isDependent = epoch.grid === 'copy';
    const tracks = tracksOf(listed, epoch);
    periods.push({ id, startS, durationS: null, originS, epoch: epoch.epoch, isDependent, tracks });
  }
  return {
    content: live.content,
    targetDurationS: first.target_duration,
    periods,
    live: live.isEnded ? null : { startMs: first.pdt0, publishedMs: endMs, nowMs: live.nowMs, windowS },
    durationS: live.isEnded ? endedAtS((endMs - first.pdt0) / 1_000, periods) : null,
    addressing: live.addressing,
  };
}

/** Sound may end some frames before the picture. A player told of the longer one would wait at the end for more of the shorter. Unit: s. */
const MOST_SHORT_S = 0.2;

function endedAtS(endS: number, periods: readonly DashPeriod[]): number {
  const last = periods.at(-1);
  const ends = (last?.tracks ?? []).map(({ info, segments }) => {
    const segment = segments.at(-1);
    const mediaS = segment === undefined ? 0 : (segment.t + segment.d) / info.timescale;
    return (last?.startS ?? 0) + mediaS - (last?.originS ?? 0);
  });
  const shortest = Math.min(endS, ...ends);
  return endS - shortest <= MOST_SHORT_S ? shortest : endS;
}

/**
 * The manifest of a recording or clip: static, one Period per run, each beginning where the one before ends.
 * @returns null when there is nothing to play
 */
export function recordedDash(
  content: ContentId,
  segments: readonly RecordedSegment[],
  addressing: Addressing,
): DashManifest | null {
  const periods: DashPeriod[] = [];
  let endS = 0;
  let targetDurationS = 1;
  for (const run of runsOf(segments, addressing)) {
    const [head] = run;
    if (head === undefined) continue;
    const { epoch } = head;
    const tracks = tracksOf(run, epoch);
    const [leading] = tracks;
    if (leading === undefined) continue;
    const durationS = recordedDurationS(run);
    targetDurationS = Math.max(targetDurationS, epoch.target_duration);
    periods.push({
      id: String(periods.length),
      startS: endS,
      durationS,
      originS: originOf(leading),
      epoch: epoch.epoch,
      isDependent: epoch.grid === 'copy',
      tracks,
    });
    endS += durationS;
  }
  if (periods.length === 0) return null;
  return { content, targetDurationS, periods, live: null, durationS: endS, addressing };
}

/** A finished rendition of an upload with its segment table, cut to what is shown. */
export type StoredTrack = { stored: StoredRendition; index: RenditionIndex };

/**
 * The manifest of an upload or a clip of one: static, one Period.
 * @returns null when there is nothing to play
 */
export function storedDash(content: ContentId, stored: readonly StoredTrack[]): DashManifest | null {
  const playable = stored
    .filter(({ index }) => index.segments.length > 0)
    .sort((a, b) => videoFirst(a.stored, b.stored));
  const tracks = playable.map(({ stored: info, index }): DashTrack => {
    const segments = index.segments.map(({ msn, tfdt, duration }) => ({
      msn,
      t: tfdt,
      d: duration,
      writer: index.writer,
    }));
    return { info, frameRate: info.frame_rate === null ? null : rateText(info.frame_rate), segments };
  });
  const [leading, epoch] = [tracks[0], playable[0]?.index.epoch];
  if (leading === undefined || epoch === undefined) return null;
  const ticks = leading.segments.reduce((sum, { d }) => sum + d, 0);
  const durationS = ticks / leading.info.timescale;
  const longest = Math.max(...playable.map(({ index }) => index.target_duration));
  const period = { id: '0', startS: 0, durationS, originS: originOf(leading), epoch, isDependent: false, tracks };
  return { content, targetDurationS: longest, periods: [period], live: null, durationS, addressing: 'template' };
}

const videoFirst = (a: RenditionInfo, b: RenditionInfo): number =>
  Number(a.kind === 'audio') - Number(b.kind === 'audio');

/** Media time of a track's first frame. Unit: s. */
const originOf = ({ info, segments }: DashTrack): number => (segments[0]?.t ?? 0) / info.timescale;

/**
 * Media time of an epoch's first frame, from its record alone: a value read off a segment could differ by a tick from one manifest to the
 * next. Workers keep the source's clock (EpochInfo.ts0), on the frame grid rounded to a frame. Unit: s.
 */
function mediaOriginS({ ts0, fps, grid }: EpochInfo): number {
  if (grid === 'copy') return ts0 / 1_000;
  return (Math.round((ts0 * fps.num) / (fps.den * 1_000)) * fps.den) / fps.num;
}

/** Segments that can stand in one Period: of one run, with the same renditions, and, with templates, of the same writers. */
function runsOf(segments: readonly RecordedSegment[], addressing: Addressing): RecordedSegment[][] {
  const runs: RecordedSegment[][] = [];
  let former: RecordedSegment | null = null;
  for (const one of segments) {
    if (former?.run === one.run && hasSameTracks(former.segment, one.segment, addressing)) runs.at(-1)?.push(one);
    else runs.push([one]);
    former = one;
  }
  return runs;
}

function hasSameTracks(a: LiveSegment, b: LiveSegment, addressing: Addressing): boolean {
  if (a.media.length !== b.media.length) return false;
  return a.media.every(({ rendition, writer, duration }) => {
    const other = mediaOf(b, rendition);
    if (other === undefined || (other.duration === 0) !== (duration === 0)) return false;
    return addressing === 'list' || other.writer === writer;
  });
}

/** Video first, as the epoch names them; each track has every segment of the run. */
function tracksOf(run: readonly RecordedSegment[], epoch: EpochInfo): DashTrack[] {
  const infos = [...epoch.renditions].sort(videoFirst);
  return infos.flatMap((info) => {
    const segments = run.flatMap(({ segment }) => segmentOf(segment, info.name));
    if (segments.length === 0) return [];
    const frameRate = info.kind === 'audio' ? null : frameRateOf(info, epoch);
    return [{ info, frameRate, segments }];
  });
}

function segmentOf(segment: LiveSegment, rendition: RenditionName): DashSegment[] {
  const media = mediaOf(segment, rendition);
  if (media === undefined || media.duration === 0) return [];
  return [{ msn: segment.msn, t: media.tfdt, d: media.duration, writer: media.writer }];
}

function frameRateOf(info: RenditionInfo, { grid, fps }: EpochInfo): string | null {
  if (grid === 'copy') return info.frame_rate === null ? null : rateText(info.frame_rate);
  return fps.den === 1 ? String(fps.num) : `${fps.num}/${fps.den}`;
}

/** Frames per second as DASH spells them: `30`, `30000/1001`, else in thousandths; null for a rate that is none. */
export function rateText(rate: number): string | null {
  if (!Number.isFinite(rate) || rate <= 0) return null;
  if (Math.abs(rate - Math.round(rate)) < 0.001) return String(Math.round(rate));
  const whole = Math.ceil(rate);
  if (Math.abs(rate - (whole * 1_000) / 1_001) < 0.005) return `${whole * 1_000}/1001`;
  return `${Math.round(rate * 1_000)}/1000`;
}
