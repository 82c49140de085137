// What a running playback says of itself: read by the statistics panel, by `window.headwater.state()` and by tests.

/** Times in s of media time unless the name says otherwise. */
export type PlaybackState = {
  isLive: boolean;
  currentTime: number;
  /** The same as `currentTime`, under the name that measurements use. */
  position: number;
  duration: number | null;
  paused: boolean;
  ended: boolean;
  /** Times and length for which the picture stood still unasked, the broadcaster's absence included. */
  stalls: number;
  stallMs: number;
  /** Stalls while the broadcaster was there. */
  rebuffers: number;
  /** Times the source was loaded anew. */
  reloads: number;
  errors: PlaybackError[];
  edge: string;
  edges: readonly string[];
  edgeSwitches: number;
  level: number;
  levels: { width: number; height: number; bitrate: number }[];
  /** Of the picture shown; 0 before the first one. */
  width: number;
  height: number;
  /** Of the rendition shown, and of the network as estimated. Unit: bit/s. */
  bitrate: number;
  bandwidth: number;
  droppedFrames: number;
  totalFrames: number;
  /** Playback speed. */
  rate: number;
  buffered: number;
  /** Behind the newest media; null for videos. */
  latency: number | null;
  /** Where live is played when it follows the edge: this far behind the newest media. */
  targetLatency: number | null;
  /** Behind the wall clock of the ingest, by program date time and this machine's clock. */
  clockLatency: number | null;
  /** End of the newest media; null for videos. */
  liveEdge: number | null;
  /** First moment a viewer can go back to; null for videos. */
  windowStart: number | null;
  /** The viewer watches live and is kept there. */
  isFollowing: boolean;
  /** Nobody publishes at the moment: the newest media is a gap. */
  isAway: boolean;
  /** Of the playlist; null: no parts. */
  partTarget: number | null;
  segmentTarget: number | null;
  engine: 'hls.js' | 'native';
};

export type PlaybackError = { at: number; kind: string; details: string; fatal: boolean; action: string | null };
