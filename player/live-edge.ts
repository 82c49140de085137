// One viewer's relation to the live edge: follows it, stays behind, waits in a gap, catches up. The state around the rules of live-*.ts.
import { bufferedAhead, bufferedUntil } from './buffer.ts';
import { FOLLOWING_COUNT } from './hls-settings.ts';
import { catchUpSpeed } from './live-catch-up.ts';
import { gapExit, inWindow, isNearEdge, type LiveWindow, type Playlist, rescue, stretchesOf } from './live-follow.ts';
import { TargetReturn } from './live-target.ts';

type LiveDetails = Playlist & {
  live: boolean;
  edge: number;
  age: number;
  fragmentStart: number;
  targetduration: number;
  /** 0: none. */
  partTarget: number;
  partHoldBack: number;
  holdBack: number;
};

/** What is used of hls.js here. */
export type LiveEngine = {
  readonly latestLevelDetails: LiveDetails | null;
  readonly liveSyncPosition: number | null;
  readonly latency: number;
  targetLatency: number | null;
  readonly config: { liveMaxLatencyDurationCount: number };
};

/** With less media than this before a gap, the viewer is about to stand in it; with more after it, the gap is over. Unit: s. */
const GAP_BUFFER_S = 2;
/** The element stops playing a little before the end of what it has. Unit: s. */
const STANDING_S = 0.25;
const OUT_OF_GAP_S = 0.5;
/** The element rounds times: this far behind the boundary is surely behind it. Unit: s. */
const EXIT_STEP_S = 0.02;
/** Behind the target when the first picture shows: more than this is skipped, less is caught up by speed. Unit: s. */
const SLOW_START_S = 1;

/** Lives as long as one playback; `engine` changes with each new hls.js. */
export class LiveEdge {
  readonly #video: HTMLVideoElement;
  readonly #mostSpeed: number;
  readonly #targetReturn = new TargetReturn();
  #engine: LiveEngine | null = null;
  #hasPlayed = false;
  #isFollowing: boolean;
  #isAway = false;
  #isInGap = false;

  /**
   * @param options `isLive`: live is what is wanted; an ended broadcast may still look live for a moment when it is watched from the start.
   * `catchUpRate`: fastest playback when catching up; 1: never faster
   */
  constructor(video: HTMLVideoElement, { isLive, catchUpRate }: { isLive: boolean; catchUpRate: number }) {
    this.#video = video;
    this.#mostSpeed = catchUpRate;
    this.#isFollowing = isLive;
  }

  /** The viewer watches live and is kept there. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /** The newest media is a gap: nobody publishes. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Standing still is the broadcaster's absence, not the network's. */
  get isInGap(): boolean {
    return this.#isInGap;
  }

  /** Null when nothing is live. */
  get window(): LiveWindow | null {
    const details = this.#engine?.latestLevelDetails ?? null;
    if (details === null || !details.live) return null;
    const edgeS = details.edge;
    const targetS = this.#engine?.liveSyncPosition ?? edgeS - details.targetduration;
    return { startS: details.fragmentStart, edgeS, targetS };
  }

  use(engine: LiveEngine): void {
    this.#engine = engine;
    this.#limitDelay();
  }

  /** The picture moves. Loading the first playlists and segments took time: what is buffered by now is used to make it good. */
  played(): void {
    const { window } = this;
    if (!this.#hasPlayed && window !== null && bufferedUntil(this.#video) >= window.targetS) {
      if (window.targetS - this.#video.currentTime > SLOW_START_S) this.#video.currentTime = window.targetS;
    }
    this.#hasPlayed = true;
  }

  follow(isFollowing: boolean): void {
    if (!this.#hasPlayed) return;
    this.#isFollowing = isFollowing;
    this.#limitDelay();
    this.#setSpeed();
  }

  /** The viewer's place says what the viewer wants. */
  judgePlace(): void {
    const { window } = this;
    if (window !== null) this.follow(isNearEdge(this.#video.currentTime, window));
  }

  /** Judged when a seek begins: hls.js looks for viewers to take back to the edge while it is still under way. */
  seeking(): void {
    if (!this.#hasPlayed) return;
    this.judgePlace();
    const { window } = this;
    if (window === null) return;
    const place = inWindow(this.#video.currentTime, window);
    if (place > this.#video.currentTime + 0.1) this.#video.currentTime = place;
  }

  /** Runs before hls.js looks for viewers outside of the window, whom it would take to the live edge. */
  playlistChanged(details: LiveDetails): void {
    const video = this.#video;
    const stretches = stretchesOf(details);
    const wasAway = this.#isAway;
    this.#isAway = details.live && stretches.at(-1)?.isGap === true;
    if (wasAway && !this.#isAway) this.#targetReturn.forgive();
    const { window } = this;
    if (window === null || !this.#hasPlayed) return;
    // The event of a seek comes later than the seek itself.
    if (video.seeking) this.judgePlace();
    // Another rendition may have media where this one has a gap: what is buffered is played first.
    const bufferedS = bufferedAhead(video);
    const exit = bufferedS < STANDING_S ? gapExit(video.currentTime, stretches) : null;
    if (exit !== null || (this.#isAway && bufferedS < GAP_BUFFER_S)) this.#isInGap = true;
    this.#limitDelay();
    if (exit !== null && !video.paused && details.partTarget > 0 && window.edgeS - exit >= details.partHoldBack) {
      video.currentTime = exit + EXIT_STEP_S;
    }
    // A paused viewer's place may be played from the buffer; only when it is not is there a reason to move.
    if (this.#isFollowing || (video.paused && video.readyState === 4)) return;
    const place = rescue(video.currentTime, window);
    if (place !== null) video.currentTime = place;
  }

  /** A stall began. @param nowMs steady clock */
  stalled(nowMs: number): void {
    this.#targetReturn.stalled(nowMs);
  }

  /** A few times a second. @param isMoving whether the picture moves */
  tick(nowMs: number, isMoving: boolean): void {
    if (isMoving && !this.#isAway && bufferedAhead(this.#video) > OUT_OF_GAP_S) this.#isInGap = false;
    const details = this.#engine?.latestLevelDetails ?? null;
    if (this.#engine === null || details === null || !details.live) return;
    if (this.#targetReturn.isDue(nowMs)) this.#engine.targetLatency = details.partHoldBack || details.holdBack;
    this.#setSpeed();
  }

  #limitDelay(): void {
    if (this.#engine === null) return;
    const isHurried = this.#isFollowing && !this.#isInGap;
    this.#engine.config.liveMaxLatencyDurationCount = isHurried ? FOLLOWING_COUNT : Number.POSITIVE_INFINITY;
  }

  /** While something is live its speed is ours; the menu for it is for videos. */
  #setSpeed(): void {
    const engine = this.#engine;
    const details = engine?.latestLevelDetails ?? null;
    const video = this.#video;
    if (engine === null || details === null || !details.live || !this.#hasPlayed) return;
    const place = {
      latencyS: engine.latency,
      targetS: engine.targetLatency ?? engine.latency,
      bufferedS: bufferedAhead(video),
      stepS: details.partTarget || details.targetduration,
      ageS: details.age,
      speed: video.playbackRate,
    };
    const isHurried = this.#isFollowing && !this.#isInGap && !video.paused;
    const speed = isHurried ? catchUpSpeed(place, this.#mostSpeed) : 1;
    if (video.playbackRate !== speed) video.playbackRate = speed;
  }
}
