// What the page shows, as a pure state machine over answers of `/{playback_id}.json` and what playback reports.
import type { PlaybackInfo } from '../platform/contract/playback.ts';

/**
 * `live`, `ending`, `replay` and `video` have a player; the others a notice. `ending`: the broadcast is over, the rest of it
 * still plays. `replay`: an ended broadcast from its beginning.
 */
export type View =
  | 'loading'
  | 'waiting'
  | 'live'
  | 'ending'
  | 'ended'
  | 'replay'
  | 'preparing'
  | 'video'
  | 'errored'
  | 'missing'
  | 'unreachable';

export type Viewer = {
  view: View;
  /** Last answer, kept while a later one is missing. */
  info: PlaybackInfo | null;
  /** Names what is mounted: another name means another broadcast, loaded anew. */
  source: string | null;
};

export type ViewerEvent =
  | { type: 'answer'; info: PlaybackInfo }
  | { type: 'missing' }
  | { type: 'unreachable' }
  /** Playback reached the end, or ran dry after the broadcast was over. */
  | { type: 'finished' }
  /** The viewer wants the ended broadcast from its beginning, or leaves that for the live that has begun since. */
  | { type: 'replay' }
  | { type: 'go-live' };

/** Before the first answer. */
export const newViewer: Viewer = { view: 'loading', info: null, source: null };

/** True when the view has a player. */
export const hasPlayer = (view: View): view is 'live' | 'ending' | 'replay' | 'video' =>
  view === 'live' || view === 'ending' || view === 'replay' || view === 'video';

/** Next state. Playback that runs is never taken away by a missing or failed answer. */
export function step(viewer: Viewer, event: ViewerEvent): Viewer {
  switch (event.type) {
    case 'missing':
      return hasPlayer(viewer.view) ? viewer : { view: 'missing', info: null, source: null };
    case 'unreachable':
      return viewer.info === null && viewer.view !== 'missing' ? { ...viewer, view: 'unreachable' } : viewer;
    case 'finished':
      return viewer.view === 'ending' ? { ...viewer, view: 'ended', source: null } : viewer;
    case 'replay':
      if (viewer.view !== 'ended' || viewer.info?.state !== 'ended') return viewer;
      return { ...viewer, view: 'replay', source: `replay:${viewer.info.started_at ?? 0}` };
    case 'go-live':
      return canGoLive(viewer) && viewer.info ? answered({ ...viewer, view: 'ended' }, viewer.info) : viewer;
    case 'answer':
      return viewer.view === 'replay' ? { ...viewer, info: event.info } : answered(viewer, event.info);
  }
}

/** True while an ended broadcast is watched and the stream is on air again. */
export const canGoLive = ({ view, info }: Viewer): boolean => view === 'replay' && info?.state === 'live';

function answered(viewer: Viewer, info: PlaybackInfo): Viewer {
  const isLivePlaying = viewer.view === 'live' || viewer.view === 'ending';
  switch (info.state) {
    case 'live':
      return { view: 'live', info, source: `live:${info.started_at ?? 0}` };
    case 'waiting':
    case 'ended':
      if (isLivePlaying) return { view: 'ending', info, source: viewer.source };
      return { view: info.state, info, source: null };
    case 'ready':
      return { view: 'video', info, source: 'video' };
    case 'preparing':
    case 'errored':
      if (viewer.view === 'video') return { ...viewer, info };
      return { view: info.state, info, source: null };
  }
}

/** True when a video that began with its first rendition can now be played with all of them. */
export const hasGrown = (before: Viewer, now: Viewer): boolean =>
  before.view === 'video' &&
  before.info?.is_growing === true &&
  now.info?.is_growing === false &&
  now.info.state === 'ready';

/** Time until the next question for `/{playback_id}.json`, ms; null: no further question. */
export function pollMs({ view, info }: Viewer): number | null {
  switch (view) {
    case 'loading':
    case 'waiting':
    case 'preparing':
    case 'ended':
    case 'ending':
    case 'unreachable':
      return 2_000;
    case 'live':
      return 4_000;
    case 'replay':
    case 'missing':
      return 5_000;
    case 'errored':
      return 10_000;
    case 'video':
      return info?.is_growing ? 3_000 : null;
  }
}
