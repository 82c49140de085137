// Plays one playlist on one <video>: hls.js, or the browser's own HLS where hls.js cannot run. The only file that names hls.js.
import Hls, { type ErrorData, type HlsConfig } from 'hls.js';
import workerAddress from 'hls.js/dist/hls.worker.js?url';
import { pause } from './backoff.ts';
import { edgeLoader } from './edge-loader.ts';
import type { EdgeRing } from './edges.ts';
import { type FatalKind, Recovery, type Remedy } from './recovery.ts';
import { StallMeter } from './stalls.ts';
import { AudioTrackList, RenditionList } from './tracks.ts';

export type PlaybackOptions = {
  ring: EdgeRing;
  /** Of the master playlist, with query, without an edge: `/{playback_id}.m3u8`. */
  path: string;
  isLive: boolean;
  /** Number under which edges count this viewer. */
  viewer: string;
  /** About five times a second while mounted. `stalledMs`: length of the running stall, 0 without one. */
  onTick(stalledMs: number): void;
};

/** What tests and overlays read; times in s unless the name says otherwise. */
export type PlaybackState = {
  currentTime: number;
  duration: number | null;
  paused: boolean;
  ended: boolean;
  stalls: number;
  stallMs: number;
  errors: { at: number; kind: string; details: string; fatal: boolean; action: string | null }[];
  edge: string;
  edges: readonly string[];
  edgeSwitches: number;
  level: number;
  levels: { width: number; height: number; bitrate: number }[];
  /** Behind the live edge; null for videos. */
  latency: number | null;
  buffered: number;
  engine: 'hls.js' | 'native';
};

/** Errors kept for `state()`. */
const KEPT_ERRORS = 50;
const TICK_MS = 200;
/** A seek that ends this close to the live position means to follow it. Unit: s. */
const NEAR_EDGE_S = 4;
/** Seeks in live go no further back than this after the beginning of the playlist, which moves on meanwhile. Unit: s. */
const WINDOW_MARGIN_S = 1;

/**
 * A viewer who follows the live edge and fell this many target durations behind (slow start, outage) is taken back to
 * it; one who paused or went back in time stays there.
 */
const FOLLOWING_COUNT = 6;

const retries = (maxNumRetry: number, retryDelayMs: number, maxRetryDelayMs: number) => ({
  maxNumRetry,
  retryDelayMs,
  maxRetryDelayMs,
});
const policy = (maxTimeToFirstByteMs: number, errorRetry: ReturnType<typeof retries>) => ({
  default: { maxTimeToFirstByteMs, maxLoadTimeMs: 20_000, timeoutRetry: retries(2, 0, 0), errorRetry },
});

function configFor(options: PlaybackOptions): Partial<HlsConfig> {
  return {
    loader: edgeLoader(options.ring, options.viewer),
    enableWorker: true,
    workerPath: workerAddress,
    lowLatencyMode: true,
    liveSyncDurationCount: 3,
    liveMaxLatencyDurationCount: FOLLOWING_COUNT,
    liveDurationInfinity: true,
    maxLiveSyncPlaybackRate: 1.1,
    backBufferLength: 60,
    maxBufferLength: options.isLive ? 12 : 30,
    maxMaxBufferLength: options.isLive ? 30 : 90,
    startFragPrefetch: true,
    testBandwidth: false,
    abrEwmaDefaultEstimate: 2_000_000,
    errorPenaltyExpireMs: 20_000,
    manifestLoadPolicy: policy(8_000, retries(4, 200, 1_500)),
    playlistLoadPolicy: policy(8_000, retries(6, 200, 1_500)),
    fragLoadPolicy: policy(8_000, retries(6, 150, 1_000)),
  };
}

/** One mounted source. `start` begins loading; `destroy` releases everything and may be called twice. */
export class Playback {
  readonly renditions = new RenditionList((index) => this.#selectLevel(index));
  readonly audioTracks = new AudioTrackList((index) => this.#selectAudio(index));
  readonly #video: HTMLVideoElement;
  readonly #options: PlaybackOptions;
  readonly #recovery = new Recovery();
  readonly #meter = new StallMeter();
  readonly #errors: PlaybackState['errors'] = [];
  readonly #closed = new AbortController();
  #hls: Hls | null = null;
  #hasPlayed = false;
  #isRecovering = false;
  #tick: ReturnType<typeof setInterval> | undefined;

  constructor(video: HTMLVideoElement, options: PlaybackOptions) {
    this.#video = video;
    this.#options = options;
  }

  /** True where hls.js plays; else the browser's own HLS is used and has its own menus. */
  static get usesHlsJs(): boolean {
    return Hls.isSupported();
  }

  start(): void {
    const { signal } = this.#closed;
    this.#tick = setInterval(() => this.#sample(), TICK_MS);
    this.#video.addEventListener('playing', () => this.#played(), { signal });
    this.#video.addEventListener('pause', () => this.#follow(false), { signal });
    this.#video.addEventListener('seeking', () => this.#onSeeking(), { signal });
    if (Playback.usesHlsJs) this.#build(-1);
    else this.#startNative(signal);
  }

  destroy(): void {
    this.#closed.abort();
    clearInterval(this.#tick);
    this.#hls?.destroy();
    this.#hls = null;
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  /** Loads the source anew at the same place, or when an ended one is played again: its master lists more than when it was loaded. */
  reload(): void {
    if (!this.#hls) return;
    if (this.#video.ended) {
      this.#video.addEventListener('play', () => this.reload(), { once: true, signal: this.#closed.signal });
      return;
    }
    const isWanted = !this.#video.paused;
    this.#build(this.#video.currentTime);
    if (isWanted) this.#video.play().catch(() => undefined);
  }

  /** Seconds behind the newest media at which live plays when it follows the edge. */
  get targetLatencyS(): number {
    return this.#hls?.targetLatency ?? 6;
  }

  state(): PlaybackState {
    const video = this.#video;
    const { ring, isLive } = this.#options;
    return {
      currentTime: video.currentTime,
      duration: Number.isFinite(video.duration) ? video.duration : null,
      paused: video.paused,
      ended: video.ended,
      stalls: this.#meter.stalls,
      stallMs: this.#meter.stallMs,
      errors: [...this.#errors],
      edge: ring.current,
      edges: [...ring.bases],
      edgeSwitches: ring.switches,
      level: this.#hls?.currentLevel ?? -1,
      levels: (this.#hls?.levels ?? []).map(({ width, height, bitrate }) => ({ width, height, bitrate })),
      latency: isLive ? (this.#hls?.latency ?? null) : null,
      buffered: bufferedAhead(video),
      engine: this.#hls === null ? 'native' : 'hls.js',
    };
  }

  #build(position: number): void {
    const hls = new Hls({ ...configFor(this.#options), startPosition: position });
    this.#hls?.destroy();
    this.#hls = hls;
    hls.on(Hls.Events.ERROR, (_event, data) => this.#onError(data));
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.#listLevels(hls));
    hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => this.#listAudio(hls));
    hls.attachMedia(this.#video);
    hls.loadSource(this.#source());
  }

  /** Judged when a seek begins: hls.js looks for viewers to take back to the edge while it is still under way. */
  #onSeeking(): void {
    if (!this.#hls || !this.#hasPlayed) return;
    this.#follow(this.#isNearEdge());
    const { seekable } = this.#video;
    if (Number.isFinite(this.#video.duration) || seekable.length === 0) return;
    // Audio may begin some milliseconds after video; from before its beginning hls.js loads audio at the edge for ever.
    const earliest = seekable.start(0) + WINDOW_MARGIN_S;
    if (this.#video.currentTime < earliest - 0.1) this.#video.currentTime = earliest;
  }

  #follow(isFollowing: boolean): void {
    if (!this.#hls || !this.#hasPlayed) return;
    this.#hls.config.liveMaxLatencyDurationCount = isFollowing ? FOLLOWING_COUNT : Number.POSITIVE_INFINITY;
  }

  #isNearEdge(): boolean {
    const edge = this.#hls?.liveSyncPosition ?? null;
    return edge !== null && this.#video.currentTime > edge - NEAR_EDGE_S;
  }

  #source(): string {
    return `${this.#options.ring.bases[0] ?? ''}${this.#options.path}`;
  }

  #listLevels(hls: Hls): void {
    this.renditions.replace(
      hls.levels.map((level, index) => ({
        id: String(index),
        width: level.width,
        height: level.height,
        bitrate: level.bitrate,
      })),
    );
  }

  #listAudio(hls: Hls): void {
    const tracks = hls.audioTracks.map((track) => ({ label: track.name, language: track.lang ?? '' }));
    this.audioTracks.replace(tracks, Math.max(0, hls.audioTrack));
  }

  #selectLevel(index: number): void {
    if (this.#hls) this.#hls.nextLevel = index;
  }

  #selectAudio(index: number): void {
    if (this.#hls) this.#hls.audioTrack = index;
  }

  #onError(data: ErrorData): void {
    const kind = kindOf(data);
    const remedy = data.fatal ? this.#recovery.remedy(kind, performance.now()) : null;
    this.#note(kind, String(data.details), data.fatal, remedy?.action ?? null);
    if (remedy && !this.#isRecovering) void this.#apply(remedy, data.details);
  }

  async #apply(remedy: Remedy, details: string): Promise<void> {
    this.#isRecovering = true;
    await pause(remedy.afterMs, this.#closed.signal);
    this.#isRecovering = false;
    const hls = this.#hls;
    if (hls === null || this.#closed.signal.aborted) return;
    const isWanted = !this.#video.paused;
    if (remedy.action === 'rebuild') this.#build(this.#options.isLive ? -1 : this.#video.currentTime);
    else if (remedy.action === 'restart') restart(hls, details, this.#source());
    else {
      if (remedy.action === 'swap') hls.swapAudioCodec();
      hls.recoverMediaError();
    }
    if (isWanted) this.#video.play().catch(() => undefined);
  }

  /** Without hls.js the element loads by itself; on an error the next edge gets the whole source at the same place. */
  #startNative(signal: AbortSignal): void {
    const { ring, path } = this.#options;
    const video = this.#video;
    const load = (): void => {
      video.src = `${ring.order()[0] ?? ''}${path}`;
    };
    const onError = async (): Promise<void> => {
      const position = video.currentTime;
      ring.failed(ring.current);
      ring.succeeded(ring.order()[0] ?? ring.current);
      const remedy = this.#recovery.remedy('network', performance.now());
      this.#note('network', video.error?.message ?? 'media error', true, remedy.action);
      await pause(Math.max(250, remedy.afterMs), signal);
      if (signal.aborted) return;
      load();
      if (!this.#options.isLive && position > 0) video.currentTime = position;
      if (this.#hasPlayed) video.play().catch(() => undefined);
    };
    video.addEventListener('error', () => void onError(), { signal });
    load();
  }

  #played(): void {
    this.#hasPlayed = true;
    this.#recovery.played();
  }

  #note(kind: string, details: string, fatal: boolean, action: string | null): void {
    this.#errors.push({ at: Date.now(), kind, details, fatal, action });
    if (this.#errors.length > KEPT_ERRORS) this.#errors.shift();
  }

  #sample(): void {
    const video = this.#video;
    const isIdle = !this.#hasPlayed || video.paused || video.seeking || video.ended;
    this.#meter.sample({ nowMs: performance.now(), positionS: video.currentTime, isIdle });
    this.#options.onTick(this.#meter.currentMs);
  }
}

function kindOf(data: ErrorData): FatalKind {
  if (data.type === Hls.ErrorTypes.NETWORK_ERROR) return 'network';
  return data.type === Hls.ErrorTypes.MEDIA_ERROR ? 'media' : 'other';
}

/** A source whose master never arrived is loaded anew; one that plays goes on loading where it stopped. */
function restart(hls: Hls, details: string, source: string): void {
  if (details.startsWith('manifest') || hls.levels.length === 0) hls.loadSource(source);
  else hls.startLoad();
}

/** Seconds buffered ahead of the play head. */
function bufferedAhead(video: HTMLVideoElement): number {
  const { buffered, currentTime } = video;
  for (let index = 0; index < buffered.length; index += 1) {
    if (buffered.start(index) <= currentTime + 0.1 && currentTime <= buffered.end(index)) {
      return buffered.end(index) - currentTime;
    }
  }
  return 0;
}
