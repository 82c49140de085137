// Plays one playlist on one <video>: hls.js, or the browser's own HLS where hls.js cannot run. The only file that names hls.js.
import Hls, { ContentSteeringController, type ErrorData, type Level } from 'hls.js';
import workerAddress from 'hls.js/dist/hls.worker.js?url';
import { HOME_PATHWAY } from '../platform/contract/steering.ts';
import { pause } from './backoff.ts';
import { bufferedAhead } from './buffer.ts';
import { edgeLoader } from './edge-loader.ts';
import type { EdgeRing } from './edges.ts';
import { heldLimits, hlsSettings } from './hls-settings.ts';
import { LiveEdge } from './live-edge.ts';
import { inWindow } from './live-follow.ts';
import type { PlaybackError, PlaybackState } from './playback-state.ts';
import { type FatalKind, Recovery, type Remedy } from './recovery.ts';
import type { SeekRange } from './seek-scale.ts';
import { StallMeter } from './stalls.ts';
import { AudioTrackList, RenditionList } from './tracks.ts';

export type PlaybackOptions = {
  ring: EdgeRing;
  /** Of the master playlist, with query, without an edge: `/{playback_id}.m3u8`. */
  path: string;
  isLive: boolean;
  /** Number under which edges count this viewer. */
  viewer: string;
  /** Fastest speed at which a viewer behind the live target catches up; 1: never. */
  catchUpRate: number;
  /** About five times a second while mounted. `stalledMs`: length of the running stall, 0 without one. */
  onTick(stalledMs: number): void;
};

/** Errors kept for `state()`. */
const KEPT_ERRORS = 50;
const TICK_MS = 200;

/**
 * hls.js reads the steering manifest by its own timers, and stays on the addresses it began with: which edge is asked is the
 * ring's to decide, for steering and failures alike, and moving a request needs no new playlist.
 */
class HomePathway extends ContentSteeringController {
  override filterParsedLevels(levels: Level[]): Level[] {
    const own = levels.filter((level) => level.pathwayId === HOME_PATHWAY);
    return super.filterParsedLevels(own.length === 0 ? levels : own);
  }
}

/** One mounted source. `start` begins loading; `destroy` releases everything and may be called twice. */
export class Playback {
  readonly renditions = new RenditionList((index) => this.#selectLevel(index));
  readonly audioTracks = new AudioTrackList((index) => this.#selectAudio(index));
  readonly #video: HTMLVideoElement;
  readonly #options: PlaybackOptions;
  readonly #recovery = new Recovery();
  readonly #meter = new StallMeter();
  readonly #live: LiveEdge;
  readonly #errors: PlaybackError[] = [];
  readonly #closed = new AbortController();
  #hls: Hls | null = null;
  #hasPlayed = false;
  #isRecovering = false;
  #rebuffers = 0;
  #loads = 0;
  #tick: ReturnType<typeof setInterval> | undefined;

  constructor(video: HTMLVideoElement, options: PlaybackOptions) {
    this.#video = video;
    this.#options = options;
    this.#live = new LiveEdge(video, options);
  }

  /** True where hls.js plays; else the browser's own HLS is used and has its own menus. */
  static get usesHlsJs(): boolean {
    return Hls.isSupported();
  }

  /** The viewer watches live and is kept there. */
  get isFollowing(): boolean {
    return this.#live.isFollowing;
  }

  start(): void {
    const { signal } = this.#closed;
    this.#tick = setInterval(() => this.#sample(), TICK_MS);
    this.#video.addEventListener('playing', () => this.#played(), { signal });
    this.#video.addEventListener('pause', () => this.#live.follow(false), { signal });
    this.#video.addEventListener('play', () => this.#live.judgePlace(), { signal });
    this.#video.addEventListener('seeking', () => this.#live.seeking(), { signal });
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

  /** What can be sought now; null before anything is known. */
  range(): SeekRange | null {
    const window = this.#live.window;
    if (window !== null) return { startS: window.startS, endS: Math.max(window.startS, window.targetS), isLive: true };
    const { seekable, duration } = this.#video;
    if (Number.isFinite(duration) && duration > 0) return { startS: 0, endS: duration, isLive: false };
    if (seekable.length === 0) return null;
    return { startS: seekable.start(0), endS: seekable.end(seekable.length - 1), isLive: true };
  }

  /** Wall clock of a moment by the playlist's program date time; null where it has none. Unit: ms since the epoch. */
  dateAt(timeS: number): number | null {
    const fragment = this.#hls?.latestLevelDetails?.fragments.findLast((item) => item.start <= timeS);
    const dateMs = fragment?.programDateTime ?? null;
    return fragment === undefined || dateMs === null ? null : dateMs + (timeS - fragment.start) * 1_000;
  }

  /** Goes to a moment; in live to the nearest one that is there. */
  seek(timeS: number): void {
    const window = this.#live.window;
    this.#video.currentTime = window === null ? timeS : inWindow(timeS, window);
    this.#live.judgePlace();
  }

  /** Goes to the live edge and follows it. */
  seekToLive(): void {
    const range = this.range();
    if (range?.isLive) this.#video.currentTime = range.endS;
    this.#live.follow(true);
    if (this.#video.paused) this.#video.play().catch(() => undefined);
  }

  state(): PlaybackState {
    const video = this.#video;
    const { ring, isLive } = this.#options;
    const hls = this.#hls;
    const window = this.#live.window;
    const details = hls?.latestLevelDetails ?? null;
    const quality = video.getVideoPlaybackQuality();
    const playingMs = isLive && this.#hasPlayed ? (hls?.playingDate?.getTime() ?? null) : null;
    return {
      isLive: isLive && details?.live !== false,
      currentTime: video.currentTime,
      position: video.currentTime,
      duration: Number.isFinite(video.duration) ? video.duration : null,
      paused: video.paused,
      ended: video.ended,
      stalls: this.#meter.stalls,
      stallMs: this.#meter.stallMs,
      rebuffers: this.#rebuffers,
      reloads: Math.max(0, this.#loads - 1),
      errors: [...this.#errors],
      edge: ring.current,
      edges: [...ring.bases],
      edgeSwitches: ring.switches,
      level: hls?.currentLevel ?? -1,
      levels: (hls?.levels ?? []).map(({ width, height, bitrate }) => ({ width, height, bitrate })),
      width: video.videoWidth,
      height: video.videoHeight,
      bitrate: hls?.levels[hls.currentLevel]?.bitrate ?? 0,
      bandwidth: Math.round(hls?.bandwidthEstimate ?? 0),
      droppedFrames: quality.droppedVideoFrames,
      totalFrames: quality.totalVideoFrames,
      rate: video.playbackRate,
      buffered: bufferedAhead(video),
      latency: isLive ? (hls?.latency ?? null) : null,
      targetLatency: isLive ? (hls?.targetLatency ?? null) : null,
      clockLatency: playingMs === null ? null : (Date.now() - playingMs) / 1_000,
      liveEdge: window?.edgeS ?? null,
      windowStart: window?.startS ?? null,
      isFollowing: this.isFollowing,
      isAway: this.#live.isAway,
      partTarget: details === null || details.partTarget === 0 ? null : details.partTarget,
      segmentTarget: details === null ? null : details.targetduration,
      engine: hls === null ? 'native' : 'hls.js',
    };
  }

  #build(position: number): void {
    const { ring, viewer, isLive } = this.#options;
    this.#loads += 1;
    this.#hls?.destroy();
    const hls = new Hls({
      ...hlsSettings(isLive, workerAddress),
      loader: edgeLoader(ring, viewer, () => heldLimits(this.#hls?.latestLevelDetails ?? null)),
      contentSteeringController: HomePathway,
      startPosition: position,
    });
    this.#hls = hls;
    this.#live.use(hls);
    hls.on(Hls.Events.ERROR, (_event, data) => this.#onError(data));
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.#listLevels(hls));
    hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => this.#listAudio(hls));
    hls.on(Hls.Events.LEVEL_UPDATED, (_event, data) => this.#live.playlistChanged(data.details));
    hls.attachMedia(this.#video);
    hls.loadSource(this.#source());
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
    // The platform says that way that nobody publishes.
    if (data.details === Hls.ErrorDetails.FRAG_GAP) return;
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
    if (remedy.action === 'rebuild') this.#build(this.#placeAfterRebuild());
    else if (remedy.action === 'restart') this.#restart(hls, details);
    else {
      if (remedy.action === 'swap') hls.swapAudioCodec();
      hls.recoverMediaError();
    }
    if (isWanted) this.#video.play().catch(() => undefined);
  }

  /** A live that follows its edge begins there again. A new hls.js counts media time from the window's beginning: so do we. */
  #placeAfterRebuild(): number {
    if (!this.#options.isLive) return this.#video.currentTime;
    const window = this.#live.window;
    return this.#live.isFollowing || window === null ? -1 : Math.max(0, this.#video.currentTime - window.startS);
  }

  /** A source whose master never arrived is loaded anew; one that plays goes on loading where it stopped. */
  #restart(hls: Hls, details: string): void {
    if (!details.startsWith('manifest') && hls.levels.length > 0) {
      hls.startLoad();
      return;
    }
    if (this.#hasPlayed) this.#loads += 1;
    hls.loadSource(this.#source());
  }

  /** Without hls.js the element loads by itself; on an error the next edge gets the whole source at the same place. */
  #startNative(signal: AbortSignal): void {
    const { ring, path } = this.#options;
    const video = this.#video;
    const load = (): void => {
      this.#loads += 1;
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
    this.#live.played();
    this.#recovery.played();
  }

  #note(kind: string, details: string, fatal: boolean, action: string | null): void {
    this.#errors.push({ at: Date.now(), kind, details, fatal, action });
    if (this.#errors.length > KEPT_ERRORS) this.#errors.shift();
  }

  #sample(): void {
    const video = this.#video;
    const nowMs = performance.now();
    const before = this.#meter.stalls;
    const isIdle = !this.#hasPlayed || video.paused || video.seeking || video.ended;
    const isStill = this.#meter.sample({ nowMs, positionS: video.currentTime, isIdle });
    if (this.#meter.stalls > before) {
      if (!this.#live.isInGap) this.#rebuffers += 1;
      this.#live.stalled(nowMs);
    }
    this.#live.tick(nowMs, !isStill && !isIdle);
    this.#options.onTick(this.#meter.currentMs);
  }
}

function kindOf(data: ErrorData): FatalKind {
  if (data.type === Hls.ErrorTypes.NETWORK_ERROR) return 'network';
  return data.type === Hls.ErrorTypes.MEDIA_ERROR ? 'media' : 'other';
}
