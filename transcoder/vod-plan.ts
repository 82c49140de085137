// What an upload becomes: its renditions, frame rate and segment grid, decided from the probe alone so that every attempt decides the same.
import { audioRendition, type RenditionName, videoRendition } from '../platform/contract/ids.ts';
import { ladderFor, type Rung } from '../platform/contract/ladder.ts';
import type { FrameRate } from '../platform/contract/latency.ts';
import type { SourceInfo, VideoSource } from './probe.ts';

/** Rates that uploads are encoded at; a source takes the nearest, rates above 61 are halved first. */
const RATES: readonly FrameRate[] = [
  { num: 10, den: 1 },
  { num: 12, den: 1 },
  { num: 25, den: 2 },
  { num: 15, den: 1 },
  { num: 24_000, den: 1001 },
  { num: 24, den: 1 },
  { num: 25, den: 1 },
  { num: 30_000, den: 1001 },
  { num: 30, den: 1 },
  { num: 48, den: 1 },
  { num: 50, den: 1 },
  { num: 60_000, den: 1001 },
  { num: 60, den: 1 },
];

/** Seconds of a GOP and of a segment, before rounding to whole frames. */
const GOP_S = 2;
const GOPS_PER_SEGMENT = 3;
export const SEGMENT_S = GOP_S * GOPS_PER_SEGMENT;

/** Output rate of an upload. @param fps average rate of the source; null becomes 30 */
export function vodFrameRate(fps: number | null): FrameRate {
  let wanted = fps ?? 30;
  while (wanted > 61) wanted /= 2;
  const distance = (rate: FrameRate) => Math.abs(rate.num / rate.den - wanted);
  return RATES.reduce((best, rate) => (distance(rate) < distance(best) ? rate : best));
}

/** Where segments may begin, as seconds after the first frame: exact fractions, so that nothing drifts over hours. */
export type SegmentGrid = {
  /** Length of one segment: num / den seconds. */
  num: number;
  den: number;
  /** First boundary, relative to the start of the file. Unit: s. */
  startS: number;
};

export type VideoPlan = {
  kind: 'video';
  name: RenditionName;
  rung: Rung;
  source: VideoSource;
  rate: FrameRate;
  gopFrames: number;
  grid: SegmentGrid;
  /** Share of the whole job; for progress. */
  weight: number;
};
export type AudioPlan = {
  kind: 'audio';
  name: RenditionName;
  streamIndex: number;
  /** Length of the source stream, null when unknown. Unit: s. */
  durationS: number | null;
  grid: SegmentGrid;
  weight: number;
};
export type RenditionPlan = VideoPlan | AudioPlan;

/** Audio costs about as much as a picture this large. Unit: pixels. */
const AUDIO_WEIGHT = 20_000;

/**
 * Renditions in the order they are made: sound first (cheap, and no rung is watchable without it), then the lowest rung upwards.
 */
export function planRenditions(source: SourceInfo): RenditionPlan[] {
  const plans: RenditionPlan[] = [];
  const { video, audio } = source;
  const rate = vodFrameRate(video?.fps ?? null);
  const gopFrames = Math.max(1, Math.round((GOP_S * rate.num) / rate.den));
  const grid: SegmentGrid =
    video === null
      ? { num: SEGMENT_S, den: 1, startS: 0 }
      : { num: gopFrames * GOPS_PER_SEGMENT * rate.den, den: rate.num, startS: video.startS };
  if (audio !== null) {
    const durationS = audio.durationS;
    plans.push({
      kind: 'audio',
      name: audioRendition(0),
      streamIndex: audio.index,
      durationS,
      grid,
      weight: AUDIO_WEIGHT,
    });
  }
  if (video === null) return plans;
  for (const rung of ladderFor(video.width, video.height).reverse()) {
    const weight = rung.width * rung.height;
    const name = videoRendition(rung.height);
    plans.push({ kind: 'video', name, rung, source: video, rate, gopFrames, grid, weight });
  }
  return plans;
}
