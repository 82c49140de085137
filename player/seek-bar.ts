// The seek bar: one slider over the whole window of a live or the length of a video, with a card that shows time, wall clock and picture.
import { bufferedUntil } from './buffer.ts';
import { el, setText } from './dom.ts';
import { keyTarget, placeLabel, ratioAt, type SeekRange, spokenPlace, timeAt } from './seek-scale.ts';
import { pictureAt, type StoryPicture } from './storyboard.ts';

/** What the bar needs of playback. */
export type Seekable = {
  range(): SeekRange | null;
  /** ms since the epoch, or null. */
  dateAt(timeS: number): number | null;
  seek(timeS: number): void;
  seekToLive(): void;
  /** The viewer watches live and is kept there. */
  readonly isFollowing: boolean;
};

export type SeekBar = {
  root: HTMLElement;
  /** Shows where playback is; a few times a second. */
  update(): void;
  /** Pictures for the card. */
  setPictures(pictures: StoryPicture[]): void;
};

/** Let go this close to the right end of a live, the viewer means its edge. */
const LIVE_END_RATIO = 0.99;
/** Height of a picture on the card. Unit: px. */
const PICTURE_PX = 90;
const USED_KEYS = 'ArrowLeft ArrowRight ArrowUp ArrowDown Home End PageUp PageDown';

/** @param media the element whose place and buffer are shown */
export function createSeekBar(media: HTMLVideoElement, playback: Seekable): SeekBar {
  return new Bar(media, playback);
}

class Bar implements SeekBar {
  readonly root: HTMLElement;
  readonly #media: HTMLVideoElement;
  readonly #playback: Seekable;
  readonly #track = el('div', { class: 'seek-track' });
  readonly #played = el('i', { class: 'seek-played' });
  readonly #buffered = el('i', { class: 'seek-buffered' });
  readonly #thumb = el('i', { class: 'seek-thumb' });
  readonly #card = el('div', { class: 'seek-card', hidden: true });
  readonly #picture = el('div', { class: 'seek-picture', hidden: true });
  readonly #time = el('div', { class: 'seek-time' });
  readonly #clock = el('div', { class: 'seek-clock' });
  #pictures: StoryPicture[] = [];
  /** Place under the pointer while it is held down. */
  #dragged: number | null = null;

  constructor(media: HTMLVideoElement, playback: Seekable) {
    this.#media = media;
    this.#playback = playback;
    this.#track.append(this.#buffered, this.#played);
    this.#card.append(this.#picture, this.#time, this.#clock);
    this.root = el(
      'div',
      { class: 'seek', role: 'slider', tabindex: '0', 'aria-label': 'Seek', 'aria-valuemin': '0', keysused: USED_KEYS },
      this.#track,
      el('div', { class: 'seek-thumb-rail' }, this.#thumb),
      this.#card,
    );
    this.root.addEventListener('pointerdown', (event) => this.#press(event));
    this.root.addEventListener('pointermove', (event) => this.#move(event));
    this.root.addEventListener('pointerup', () => this.#release());
    this.root.addEventListener('pointercancel', () => this.#drop());
    this.root.addEventListener('pointerleave', () => {
      if (this.#dragged === null) this.#card.hidden = true;
    });
    this.root.addEventListener('keydown', (event) => this.#key(event));
  }

  setPictures(pictures: StoryPicture[]): void {
    this.#pictures = pictures;
  }

  update(): void {
    const range = this.#playback.range();
    this.root.classList.toggle('is-empty', range === null);
    if (range === null) return;
    const place = range.isLive && this.#playback.isFollowing ? range.endS : this.#media.currentTime;
    const ratio = this.#dragged ?? ratioAt(place, range);
    this.#played.style.width = percent(ratio);
    this.#thumb.style.left = percent(ratio);
    this.#buffered.style.width = percent(ratioAt(bufferedUntil(this.#media), range));
    this.root.setAttribute('aria-valuemax', String(Math.round(range.endS - range.startS)));
    this.root.setAttribute('aria-valuenow', String(Math.round(timeAt(ratio, range) - range.startS)));
    this.root.setAttribute('aria-valuetext', spokenPlace(timeAt(ratio, range), range));
  }

  #ratioOf(event: PointerEvent): number {
    const { left, width } = this.#track.getBoundingClientRect();
    return width === 0 ? 0 : Math.min(1, Math.max(0, (event.clientX - left) / width));
  }

  #press(event: PointerEvent): void {
    if (event.button !== 0 || this.#playback.range() === null) return;
    this.root.setPointerCapture(event.pointerId);
    this.#dragged = this.#ratioOf(event);
    this.#show(this.#dragged);
    this.update();
  }

  #move(event: PointerEvent): void {
    const ratio = this.#ratioOf(event);
    if (this.#dragged !== null) this.#dragged = ratio;
    else if (event.pointerType !== 'mouse') return;
    this.#show(ratio);
    if (this.#dragged !== null) this.update();
  }

  #release(): void {
    const ratio = this.#dragged;
    const range = this.#playback.range();
    this.#drop();
    if (ratio === null || range === null) return;
    this.#go(timeAt(ratio, range), range, ratio >= LIVE_END_RATIO);
  }

  #drop(): void {
    this.#dragged = null;
    this.#card.hidden = true;
  }

  #key(event: KeyboardEvent): void {
    const range = this.#playback.range();
    if (range === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = keyTarget(event.key, this.#media.currentTime, range);
    if (target === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.#go(target, range, target >= range.endS);
  }

  #go(timeS: number, range: SeekRange, isAtEnd: boolean): void {
    if (range.isLive && isAtEnd) this.#playback.seekToLive();
    else this.#playback.seek(timeS);
    this.update();
  }

  /** Shows the card over a place of the bar, inside of its ends. */
  #show(ratio: number): void {
    const range = this.#playback.range();
    this.#card.hidden = range === null;
    if (range === null) return;
    const timeS = timeAt(ratio, range);
    setText(this.#time, placeLabel(timeS, range));
    const dateMs = range.isLive ? this.#playback.dateAt(timeS) : null;
    this.#clock.hidden = dateMs === null;
    if (dateMs !== null) setText(this.#clock, new Date(dateMs).toLocaleTimeString());
    this.#showPicture(range.isLive ? null : pictureAt(this.#pictures, timeS));
    const half = this.#card.offsetWidth / 2;
    const width = this.root.clientWidth;
    this.#card.style.left = `${Math.min(width - half, Math.max(half, ratio * width))}px`;
  }

  #showPicture(picture: StoryPicture | null): void {
    this.#picture.hidden = picture === null;
    if (picture === null) return;
    const scale = PICTURE_PX / picture.height;
    const { style } = this.#picture;
    style.width = `${picture.width}px`;
    style.height = `${picture.height}px`;
    style.backgroundImage = `url("${picture.url}")`;
    style.backgroundPosition = `-${picture.x}px -${picture.y}px`;
    style.zoom = String(scale);
  }
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(3)}%`;
