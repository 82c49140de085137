// The player's face: media-chrome's elements around one <video>, with menus for quality, speed, audio and captions.
import 'media-chrome';
import 'media-chrome/menu';
import { el, icon } from './dom.ts';
import type { Playback } from './playback.ts';

export type Controls = {
  /** The whole player, to be put on the page. */
  root: HTMLElement;
  video: HTMLVideoElement;
  /** Gives the menus their lists and live mode its edge; call once, before the root is on the page. */
  bind(playback: Playback): void;
  /** Shows a short word over the picture; empty text takes it away. */
  say(text: string): void;
  /** Offers sound after a muted start. */
  offerSound(): void;
};

export type ControlsOptions = { isLive: boolean; title: string; posterUrl: string | null; isEmbed: boolean };

const GEAR =
  'M19.4 13a7.6 7.6 0 0 0 0-2l2-1.6a.5.5 0 0 0 .1-.6l-1.9-3.3a.5.5 0 0 0-.6-.2l-2.4 1a7.3 7.3 0 0 0-1.7-1l-.4-2.5a.5.5 0 0 0-.5-.4h-3.8a.5.5 0 0 0-.5.4l-.3 2.5a7.3 7.3 0 0 0-1.8 1l-2.3-1a.5.5 0 0 0-.6.2L2.7 8.8a.5.5 0 0 0 .1.6l2 1.6a7.6 7.6 0 0 0 0 2l-2 1.6a.5.5 0 0 0-.1.6l1.9 3.3c.1.2.4.3.6.2l2.4-1a7.3 7.3 0 0 0 1.7 1l.4 2.5c0 .2.2.4.5.4h3.8c.2 0 .4-.2.5-.4l.3-2.5a7.3 7.3 0 0 0 1.8-1l2.3 1c.2.1.5 0 .6-.2l1.9-3.3a.5.5 0 0 0-.1-.6zM12 15.5a3.5 3.5 0 1 1 0-7 3.5 3.5 0 0 1 0 7z';

/** Media within this distance of the followed position counts as live. Unit: s. */
const LIVE_SLACK_S = 4;
const LIVE_SEEK_OFFSET_S = 6;

/** Builds the player for one source; nothing loads yet. */
export function createControls(options: ControlsOptions): Controls {
  const video = document.createElement('video');
  for (const name of ['playsinline', 'crossorigin']) video.setAttribute(name, '');
  video.setAttribute('slot', 'media');
  video.setAttribute('aria-label', options.title || 'Video');
  const word = el('div', { class: 'word', role: 'status', 'aria-live': 'polite', hidden: true });
  const sound = el('button', { class: 'sound', type: 'button', hidden: true }, 'Tap for sound');
  const items = menuItems(options.isLive);
  const root = el(
    'media-controller',
    {
      class: options.isLive ? 'player is-live' : 'player',
      defaultstreamtype: options.isLive ? 'live' : 'on-demand',
      seektoliveoffset: String(LIVE_SEEK_OFFSET_S),
      autohide: '3',
    },
    video,
    options.posterUrl === null
      ? null
      : el('media-poster-image', { slot: 'poster', src: options.posterUrl, 'aria-hidden': 'true' }),
    options.isEmbed ? embedBar(options) : null,
    el('media-loading-indicator', { slot: 'centered-chrome', noautohide: true, loadingdelay: '300' }),
    el('div', { slot: 'centered-chrome', class: 'centre' }, el('media-play-button', { class: 'big', notooltip: true })),
    el('div', { class: 'over' }, word, sound),
    settingsMenu(Object.values(items)),
    controlBar(options.isLive),
  );
  sound.addEventListener('click', () => {
    video.muted = false;
    sound.hidden = true;
  });
  video.addEventListener('volumechange', () => {
    if (!video.muted) sound.hidden = true;
  });
  return {
    root,
    video,
    bind: (playback) => bind(video, playback, options.isLive, items),
    say(text) {
      word.hidden = text === '';
      if (word.textContent !== text) word.textContent = text;
    },
    offerSound() {
      sound.hidden = false;
    },
  };
}

type MenuItems = { quality: HTMLElement; speed: HTMLElement; audio: HTMLElement; captions: HTMLElement };

const menuItem = (label: string, menu: string): HTMLElement =>
  el(
    'media-settings-menu-item',
    {},
    label,
    el(menu, { slot: 'submenu', hidden: true }, el('div', { slot: 'title' }, label)),
  );

function menuItems(isLive: boolean): MenuItems {
  const items = {
    quality: menuItem('Quality', 'media-rendition-menu'),
    speed: menuItem('Speed', 'media-playback-rate-menu'),
    audio: menuItem('Audio', 'media-audio-track-menu'),
    captions: menuItem('Captions', 'media-captions-menu'),
  };
  items.speed.querySelector('media-playback-rate-menu')?.setAttribute('rates', '0.5 0.75 1 1.25 1.5 2');
  items.speed.hidden = isLive;
  items.audio.hidden = true;
  items.captions.hidden = true;
  return items;
}

const settingsMenu = (items: HTMLElement[]): HTMLElement =>
  el('media-settings-menu', { hidden: true, anchor: 'auto', 'aria-label': 'Settings' }, ...items);

const embedBar = (options: ControlsOptions): HTMLElement =>
  el(
    'div',
    { slot: 'top-chrome', class: 'embed-bar' },
    options.isLive ? el('span', { class: 'badge' }, 'Live') : null,
    el('span', { class: 'embed-title' }, options.title),
  );

function controlBar(isLive: boolean): HTMLElement {
  return el(
    'div',
    { class: 'bars' },
    el('media-time-range', {}),
    el(
      'media-control-bar',
      {},
      el('media-play-button', {}),
      el('media-seek-backward-button', { seekoffset: '10' }),
      isLive ? null : el('media-seek-forward-button', { seekoffset: '10', class: 'wide' }),
      el('media-mute-button', {}),
      el('media-volume-range', { class: 'wide' }),
      isLive ? el('media-live-button', {}) : el('media-time-display', { showduration: true }),
      el('span', { class: 'spacer' }),
      el('media-captions-button', { class: 'captions' }),
      el('media-settings-menu-button', {}, icon(GEAR, 'icon')),
      el('media-pip-button', { class: 'medium' }),
      el('media-fullscreen-button', {}),
    ),
  );
}

function bind(video: HTMLVideoElement, playback: Playback, isLive: boolean, items: MenuItems): void {
  const define = (name: string, get: () => unknown): void => {
    Object.defineProperty(video, name, { configurable: true, get });
  };
  define('targetLiveWindow', () =>
    isLive && !Number.isFinite(video.duration) ? Number.POSITIVE_INFINITY : Number.NaN,
  );
  define('liveEdgeStart', () => liveEdgeStart(video, playback));
  const { renditions, audioTracks } = playback;
  define('videoRenditions', () => renditions);
  define('audioTracks', () => audioTracks);
  audioTracks.addEventListener('change', () => {
    items.audio.hidden = audioTracks.length < 2;
  });
  renditions.addEventListener('change', () => {
    items.quality.hidden = renditions.length === 0;
  });
  const showCaptions = (): void => {
    const hasCaptions = [...video.textTracks].some((track) => track.kind === 'captions' || track.kind === 'subtitles');
    items.captions.hidden = !hasCaptions;
  };
  for (const type of ['addtrack', 'removetrack']) video.textTracks.addEventListener(type, showCaptions);
}

/** From here on media counts as live; NaN when it is not (any more). */
function liveEdgeStart(video: HTMLVideoElement, playback: Playback): number {
  const { seekable } = video;
  if (Number.isFinite(video.duration) || seekable.length === 0) return Number.NaN;
  return seekable.end(seekable.length - 1) - playback.targetLatencyS - LIVE_SLACK_S;
}
