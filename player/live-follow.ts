// Who follows the live edge, and where a viewer who does not may stand: pure rules over the live window.

/** The live window in media time. Unit: s. */
export type LiveWindow = {
  /** First moment that can be played. */
  startS: number;
  /** End of the newest media. */
  edgeS: number;
  /** Where a viewer who follows the edge plays. */
  targetS: number;
};

/** A place this close behind the target means to follow the edge. Unit: s. */
const NEAR_EDGE_S = 3;
/**
 * Nobody is put nearer than this to the beginning of the window: it moves on meanwhile, and audio may begin some
 * milliseconds after video; from before its beginning hls.js loads audio at the edge for ever. Unit: s.
 */
const WINDOW_MARGIN_S = 2;

/** True when a viewer at this place means to watch live. */
export const isNearEdge = (positionS: number, window: LiveWindow): boolean => positionS > window.targetS - NEAR_EDGE_S;

/** The nearest place to `positionS` that the window has and keeps for a moment. */
export const inWindow = (positionS: number, window: LiveWindow): number =>
  Math.max(Math.min(positionS, window.targetS), Math.min(window.startS + WINDOW_MARGIN_S, window.targetS));

/**
 * Where a viewer who does not follow the edge must go because the window left the place: its beginning. Without this
 * hls.js would take the viewer to the live edge.
 * @returns null while the place is still there
 */
export const rescue = (positionS: number, window: LiveWindow): number | null =>
  positionS < window.startS ? inWindow(window.startS, window) : null;

/** A stretch of the playlist in media time: a segment or a part. Unit: s. */
export type Stretch = { startS: number; endS: number; isGap: boolean };

type PlaylistSegment = { start: number; end: number; sn: number; tagList: string[][] };
type PlaylistPart = { start: number; end: number; gap: boolean; fragment: { sn: number | 'initSegment' } };

/** A playlist as hls.js holds it, as far as gaps go. */
export type Playlist = { fragments: readonly PlaylistSegment[]; partList: readonly PlaylistPart[] | null };

/** Segments looked at for a gap: more than the longest reconnect window (30 min) has. */
const STRETCHES = 1_000;

/** The newest segments of a playlist as hls.js holds it and the parts after them: gaps by their tags, not by what hls.js itself gave up on. */
export function stretchesOf(details: Playlist): Stretch[] {
  const segments = details.fragments.slice(-STRETCHES);
  const newest = segments.at(-1)?.sn ?? -1;
  const open = (details.partList ?? []).filter(({ fragment }) => Number(fragment.sn) > newest);
  return [
    ...segments.map(({ start, end, tagList }) => ({
      startS: start,
      endS: end,
      isGap: tagList.some(([name]) => name === 'GAP'),
    })),
    ...open.map(({ start, end, gap }) => ({ startS: start, endS: end, isGap: gap })),
  ];
}

/** The play head stops a little before or after the boundary itself. Unit: s. */
const BOUNDARY_S = 0.5;

/**
 * For a viewer who stands in the gap that came last, or at its beginning: where media goes on after it.
 * hls.js stops loading parts at a gap and would go on only when a whole segment stands behind it.
 * @param stretches newest last, without holes
 * @returns start of the media after the gap; null while there is none, or when the viewer is elsewhere
 */
export function gapExit(positionS: number, stretches: readonly Stretch[]): number | null {
  const gapAt = stretches.findLastIndex((stretch) => stretch.isGap);
  const exit = stretches[gapAt + 1];
  if (gapAt < 0 || exit === undefined || positionS >= exit.startS) return null;
  let first = gapAt;
  while (stretches[first - 1]?.isGap) first -= 1;
  const gap = stretches[first];
  return gap !== undefined && positionS >= gap.startS - BOUNDARY_S ? exit.startS : null;
}
