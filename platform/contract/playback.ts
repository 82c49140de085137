// JSON that viewers' pages read: what a playback id shows now, the public catalog, the edges. Types only, so browsers load no schema library.

export type PlaybackState = 'waiting' | 'live' | 'ended' | 'preparing' | 'ready' | 'errored';

/** `/{playback_id}.json` */
export type PlaybackInfo = {
  playback_id: string;
  kind: 'live' | 'video';
  /** live: waiting, live, ended. video: preparing, ready, errored. */
  state: PlaybackState;
  title: string;
  description: string;
  /** Seconds; null while unknown and for live. */
  duration_s: number | null;
  /** Relative address of a picture, or null. */
  poster: string | null;
  /** Live: the stream's latency profile. */
  latency_mode: string | null;
  /** A video that can be played while better renditions are still being made; its master playlist will list more. */
  is_growing: boolean;
  /** Live: how far a viewer can rewind. Unit: s. */
  dvr_window_s: number | null;
  /** Live: nobody publishes at the moment; the broadcast waits for the encoder to come back. */
  is_away: boolean;
  /** WebVTT with pictures for the seek bar, relative; null: none. */
  storyboard: string | null;
  /** ms since the epoch of the start (live) or creation (video). */
  started_at: number | null;
};

/** `/catalog.json`: public live streams on air, then the newest ready videos. */
export type Catalog = { live: PlaybackInfo[]; videos: PlaybackInfo[] };

/** `/edges.json`, answered by the edge itself: public base addresses of all edges, this one first. */
export type EdgeList = { edges: string[] };
