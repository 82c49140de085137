// One viewing: asks what the id shows, mounts the player or a notice into the stage, and follows the thing through its states.
import type { PlaybackInfo } from '../platform/contract/playback.ts';
import { pause } from './backoff.ts';
import { type Controls, createControls, createVideo } from './controls.ts';
import { EdgeRing } from './edges.ts';
import { askInfo, askText, keepEdgesFresh, waitUntilOver } from './info.ts';
import { notice } from './notices.ts';
import { Playback } from './playback.ts';
import type { PlaybackState } from './playback-state.ts';
import { parseStoryboard } from './storyboard.ts';
import { canGoLive, hasGrown, hasPlayer, newViewer, pollMs, step, type Viewer, type ViewerEvent } from './viewer.ts';

export type SessionOptions = {
  playbackId: string;
  /** Where player or notice go. */
  stage: HTMLElement;
  isEmbed: boolean;
  /** Start by itself; `isMuted`: without sound from the beginning. */
  isAutoplay: boolean;
  isMuted: boolean;
  /** Token of signed playback, handed on to the master playlist. */
  token: string | null;
  /** Fastest speed at which live catches up; 1: never. */
  catchUpRate: number;
  /** After every change of state. */
  onChange(viewer: Viewer): void;
};

/** What `window.headwater.state()` gives: the page's view, and of playback what is mounted. */
export type SessionState = Partial<PlaybackState> & { view: string; title: string; playbackId: string };

/** A picture that stands still for this long gets a word; with nobody publishing; after the end of a broadcast, it is over. Unit: ms. */
const WORD_AFTER_MS = 2_500;
const AWAY_AFTER_MS = 700;
const DRY_AFTER_MS = 4_000;

type Mounted = {
  source: string;
  video: HTMLVideoElement;
  playback: Playback;
  controls: Controls;
  abort: AbortController;
};

/** Runs until the page is left. */
export class Session {
  readonly #options: SessionOptions;
  readonly #ring = new EdgeRing(location.origin);
  readonly #closed = new AbortController();
  readonly #viewerNumber = randomNumber();
  #viewer: Viewer = newViewer;
  #shown = '';
  #mounted: Mounted | null = null;
  #wake: AbortController = new AbortController();

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  start(): void {
    keepEdgesFresh(this.#ring, this.#closed.signal);
    this.#render();
    void this.#follow();
  }

  state(): SessionState {
    return {
      ...this.#mounted?.playback.state(),
      view: this.#viewer.view,
      title: this.#viewer.info?.title ?? '',
      playbackId: this.#options.playbackId,
    };
  }

  async #follow(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      this.#take(await askInfo(this.#ring, this.#path('json'), this.#closed.signal));
      this.#wake = new AbortController();
      const waitMs = pollMs(this.#viewer);
      await pause(waitMs ?? 86_400_000, this.#wake.signal);
    }
  }

  #path(extension: 'json' | 'm3u8'): string {
    return this.#withToken(`/${this.#options.playbackId}.${extension}`);
  }

  #withToken(path: string): string {
    const { token } = this.#options;
    return token === null ? path : `${path}?token=${encodeURIComponent(token)}`;
  }

  #take(event: ViewerEvent): void {
    const next = step(this.#viewer, event);
    const isChanged = JSON.stringify(next) !== JSON.stringify(this.#viewer);
    if (hasGrown(this.#viewer, next)) this.#mounted?.playback.reload();
    this.#viewer = next;
    this.#render();
    if (canGoLive(next)) this.#mounted?.controls.offer('Live again: watch now', () => this.#take({ type: 'go-live' }));
    if (isChanged) this.#options.onChange(next);
    // The media may have reached its end before the platform said that the broadcast is over.
    if (next.view === 'ending' && this.#mounted?.video.ended) this.#take({ type: 'finished' });
  }

  #render(): void {
    const { view, info, source } = this.#viewer;
    if (hasPlayer(view) && info !== null && source !== null) {
      if (this.#mounted?.source !== source) this.#mount(info, source);
      this.#shown = '';
      return;
    }
    this.#unmount();
    if (this.#shown === view) return;
    this.#shown = view;
    this.#options.stage.replaceChildren(notice(view, info, this.#poster(info), () => void this.#replay()));
  }

  /** Shows the ended live from its beginning, if its playlist is still there. */
  async #replay(): Promise<void> {
    this.#options.stage.querySelector('.replay')?.setAttribute('disabled', '');
    const isThere = await waitUntilOver(this.#ring, this.#path('m3u8'), this.#closed.signal);
    if (isThere) this.#take({ type: 'replay' });
    else this.#options.stage.querySelector('.replay')?.replaceWith('It cannot be watched any more.');
  }

  #poster(info: PlaybackInfo | null): string | null {
    return info?.poster ? new URL(info.poster, `${location.origin}/`).href : null;
  }

  #mount(info: PlaybackInfo, source: string): void {
    this.#unmount();
    const { isEmbed, stage } = this.#options;
    const isLive = info.kind === 'live' && this.#viewer.view !== 'replay';
    const video = createVideo(info.title);
    const playback = new Playback(video, {
      ring: this.#ring,
      path: this.#path('m3u8'),
      isLive,
      viewer: this.#viewerNumber,
      catchUpRate: this.#options.catchUpRate,
      onTick: (stalledMs) => this.#onTick(stalledMs),
    });
    const face = { isLive, title: info.title, posterUrl: this.#poster(info), isEmbed };
    const controls = createControls(video, playback, face);
    const abort = new AbortController();
    video.addEventListener('ended', () => this.#onEnded(), { signal: abort.signal });
    if (!isEmbed) forwardKeys(controls.root, abort.signal);
    stage.replaceChildren(controls.root);
    this.#mounted = { source, video, playback, controls, abort };
    video.muted = this.#options.isMuted;
    playback.start();
    if (this.#options.isAutoplay || this.#viewer.view === 'replay') void begin(video, controls);
    if (!isLive && info.storyboard !== null) void this.#loadStoryboard(info.storyboard, controls, abort.signal);
  }

  async #loadStoryboard(address: string, controls: Controls, signal: AbortSignal): Promise<void> {
    const path = this.#withToken(`/${address.replace(/^\/+/, '')}`);
    const text = await askText(this.#ring, path, signal);
    if (text !== null) controls.setPictures(parseStoryboard(text, `${this.#ring.current}${path}`));
  }

  #unmount(): void {
    this.#mounted?.abort.abort();
    this.#mounted?.playback.destroy();
    this.#mounted = null;
  }

  #onTick(stalledMs: number): void {
    const { controls, playback } = this.#mounted ?? {};
    if (controls === undefined || playback === undefined) return;
    const state = playback.state();
    const { view, info } = this.#viewer;
    const isAway = view === 'live' && (state.isAway || info?.is_away === true);
    controls.update(state);
    controls.showAway(isAway && stalledMs > AWAY_AFTER_MS);
    controls.say(!isAway && stalledMs > WORD_AFTER_MS ? 'Reconnecting' : '');
    if (stalledMs > DRY_AFTER_MS && view === 'ending') this.#take({ type: 'finished' });
  }

  /** Media of a live ends with the broadcast: ask at once, then show that it is over. */
  #onEnded(): void {
    if (this.#viewer.view === 'ending') this.#take({ type: 'finished' });
    else if (this.#viewer.view === 'live') this.#wake.abort();
  }
}

/** Plays with sound where the browser allows it, else without and with an offer. */
async function begin(video: HTMLVideoElement, controls: Controls): Promise<void> {
  try {
    await video.play();
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
    video.muted = true;
    controls.offer('Tap for sound', () => {
      video.muted = false;
    });
    const heard = (): void => {
      if (video.muted) return;
      controls.offer(null);
      video.removeEventListener('volumechange', heard);
    };
    video.addEventListener('volumechange', heard);
    await video.play().catch(() => undefined);
  }
}

/** Keys pressed while nothing is focused go to the player: Space, arrows, m, f, c, k, j, l, i. */
function forwardKeys(root: HTMLElement, signal: AbortSignal): void {
  for (const type of ['keydown', 'keyup'] as const) {
    document.addEventListener(
      type,
      (event) => {
        if (event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === ' ' || event.key.startsWith('Arrow')) event.preventDefault();
        root.dispatchEvent(new KeyboardEvent(type, { key: event.key, code: event.code, shiftKey: event.shiftKey }));
      },
      { signal },
    );
  }
}

/** Twelve characters that tell viewers of one edge apart; new at each visit. */
function randomNumber(): string {
  return [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
