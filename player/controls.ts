// The player's face: media-chrome's elements around one <video>, our seek bar, menus for quality, speed, audio and captions, and what is said over the picture.
import 'media-chrome';
import 'media-chrome/menu';
import { el, icon, ripple, setText } from './dom.ts';
import { formatDuration } from './format.ts';
import { Playback } from './playback.ts';
import type { PlaybackState } from './playback-state.ts';
import { createSeekBar, type SeekBar } from './seek-bar.ts';
import { placeLabel } from './seek-scale.ts';
import { createStatsPanel, type StatsPanel } from './stats-panel.ts';
import type { StoryPicture } from './storyboard.ts';

export type Controls = {
  /** The whole player, to be put on the page. */
  root: HTMLElement;
  /** Shows what playback says of itself; a few times a second. */
  update(state: PlaybackState): void;
  /** Pictures for the seek bar. */
  setPictures(pictures: StoryPicture[]): void;
  /** Shows a short word over the picture; empty text takes it away. */
  say(text: string): void;
  /** Says over the picture that the broadcaster is gone for the moment. */
  showAway(isAway: boolean): void;
  /** A button over the picture; null takes it away. */
  offer(text: string | null, onTaken?: () => void): void;
};

export type ControlsOptions = { isLive: boolean; title: string; posterUrl: string | null; isEmbed: boolean };

const GEAR =
  'M19.4 13a7.6 7.6 0 0 0 0-2l2-1.6a.5.5 0 0 0 .1-.6l-1.9-3.3a.5.5 0 0 0-.6-.2l-2.4 1a7.3 7.3 0 0 0-1.7-1l-.4-2.5a.5.5 0 0 0-.5-.4h-3.8a.5.5 0 0 0-.5.4l-.3 2.5a7.3 7.3 0 0 0-1.8 1l-2.3-1a.5.5 0 0 0-.6.2L2.7 8.8a.5.5 0 0 0 .1.6l2 1.6a7.6 7.6 0 0 0 0 2l-2 1.6a.5.5 0 0 0-.1.6l1.9 3.3c.1.2.4.3.6.2l2.4-1a7.3 7.3 0 0 0 1.7 1l.4 2.5c0 .2.2.4.5.4h3.8c.2 0 .4-.2.5-.4l.3-2.5a7.3 7.3 0 0 0 1.8-1l2.3 1c.2.1.5 0 .6-.2l1.9-3.3a.5.5 0 0 0-.1-.6zM12 15.5a3.5 3.5 0 1 1 0-7 3.5 3.5 0 0 1 0 7z';
const BARS = 'M4 20h3v-8H4zm6.5 0h3V4h-3zM17 20h3V9h-3z';

/** The <video> that a playback and its controls share. */
export function createVideo(title: string): HTMLVideoElement {
  const video = document.createElement('video');
  for (const name of ['playsinline', 'crossorigin']) video.setAttribute(name, '');
  video.setAttribute('slot', 'media');
  video.setAttribute('aria-label', title || 'Video');
  return video;
}

type Parts = {
  bar: SeekBar;
  stats: StatsPanel;
  /** `-1:23` behind live, `1:23 / 9:56` in a video. */
  place: HTMLElement;
  live: HTMLElement;
  statsButton: HTMLElement;
};

/** Builds the player for one playback; nothing loads yet. */
export function createControls(video: HTMLVideoElement, playback: Playback, options: ControlsOptions): Controls {
  const word = el('div', { class: 'word', role: 'status', 'aria-live': 'polite', hidden: true });
  const offer = el('button', { class: 'offer', type: 'button', hidden: true });
  const away = awayCard();
  const items = menuItems(options.isLive);
  const parts = createParts(video, playback);
  const root = el(
    'media-controller',
    {
      class: 'player',
      defaultstreamtype: options.isLive ? 'live' : 'on-demand',
      autohide: '3',
    },
    video,
    options.posterUrl === null
      ? null
      : el('media-poster-image', { slot: 'poster', src: options.posterUrl, 'aria-hidden': 'true' }),
    options.isEmbed ? embedBar(options) : null,
    el('media-loading-indicator', { slot: 'centered-chrome', noautohide: true, loadingdelay: '300' }),
    el('div', { slot: 'centered-chrome', class: 'centre' }, el('media-play-button', { class: 'big', notooltip: true })),
    away,
    el('div', { class: 'over', noautohide: true }, word, offer),
    parts.stats.root,
    settingsMenu(Object.values(items)),
    controlBar(parts),
  );
  root.addEventListener('keydown', (event) => {
    if (event.key === 'i' && !event.ctrlKey && !event.metaKey && !event.altKey) parts.stats.toggle();
  });
  if (Playback.usesHlsJs) bindMenus(video, playback, options.isLive, items);
  let onTaken: (() => void) | undefined;
  offer.addEventListener('click', () => onTaken?.());
  return {
    root,
    update: (state) => update(root, parts, playback, state),
    setPictures: (pictures) => parts.bar.setPictures(pictures),
    say(text) {
      word.hidden = text === '';
      setText(word, text);
    },
    showAway(isAway) {
      root.classList.toggle('is-away', isAway);
      if (away.hidden === isAway) away.hidden = !isAway;
    },
    offer(text, taken) {
      onTaken = taken;
      offer.hidden = text === null;
      setText(offer, text ?? '');
    },
  };
}

function createParts(video: HTMLVideoElement, playback: Playback): Parts {
  const statsButton = el(
    'button',
    {
      type: 'button',
      class: 'bar-button',
      'aria-label': 'Statistics',
      'aria-pressed': 'false',
      title: 'Statistics (i)',
    },
    icon(BARS, ''),
  );
  const live = el('button', { type: 'button', class: 'live-button' }, 'Live');
  live.addEventListener('click', () => playback.seekToLive());
  const stats = createStatsPanel((isOpen) => {
    statsButton.setAttribute('aria-pressed', String(isOpen));
    if (isOpen) stats.update(playback.state());
  });
  statsButton.addEventListener('click', () => stats.toggle());
  return { bar: createSeekBar(video, playback), stats, place: el('span', { class: 'place' }), live, statsButton };
}

function update(root: HTMLElement, parts: Parts, playback: Playback, state: PlaybackState): void {
  const range = playback.range();
  const isLive = range?.isLive ?? state.isLive;
  const isAtEdge = isLive && state.isFollowing && !state.paused;
  root.classList.toggle('is-live', isLive);
  parts.bar.update();
  parts.stats.update(state);
  parts.live.hidden = !isLive;
  parts.live.classList.toggle('is-on', isAtEdge);
  parts.live.setAttribute('aria-label', isAtEdge ? 'Playing live' : 'Go to live');
  if (range === null) return;
  const place = placeLabel(state.currentTime, range);
  if (isLive) setText(parts.place, state.isFollowing ? '' : place);
  else setText(parts.place, `${place} / ${formatDuration(range.endS - range.startS)}`);
}

const awayCard = (): HTMLElement =>
  el(
    'div',
    { class: 'away', role: 'status', 'aria-live': 'polite', noautohide: true, hidden: true },
    ripple(),
    el('strong', {}, 'The broadcaster is reconnecting'),
    el('span', {}, 'The stream goes on here by itself.'),
  );

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

const controlBar = ({ bar, live, place, statsButton }: Parts): HTMLElement =>
  el(
    'div',
    { class: 'bars' },
    bar.root,
    el(
      'media-control-bar',
      {},
      el('media-play-button', {}),
      el('media-seek-backward-button', { seekoffset: '10' }),
      el('media-seek-forward-button', { seekoffset: '10', class: 'wide' }),
      el('media-mute-button', {}),
      el('media-volume-range', { class: 'wide' }),
      live,
      place,
      el('span', { class: 'spacer' }),
      el('media-captions-button', { class: 'captions' }),
      statsButton,
      el('media-settings-menu-button', {}, icon(GEAR, 'icon')),
      el('media-pip-button', { class: 'medium' }),
      el('media-fullscreen-button', {}),
    ),
  );

function bindMenus(video: HTMLVideoElement, playback: Playback, isLive: boolean, items: MenuItems): void {
  const define = (name: string, get: () => unknown): void => {
    Object.defineProperty(video, name, { configurable: true, get });
  };
  define('targetLiveWindow', () =>
    isLive && !Number.isFinite(video.duration) ? Number.POSITIVE_INFINITY : Number.NaN,
  );
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
