// Cuts the publisher's own AAC frames where the video is cut. Lost frames become silence, doubled ones are dropped (live-audio-clock.ts).
import type { RenditionName } from '../platform/contract/ids.ts';
import { TRACK_ID } from '../platform/hls/cmaf-init.ts';
import { AudioClock, audioFragment, framesBetween } from './live-audio-clock.ts';
import { sequenceOf } from './live-copy-limits.ts';
import type { CopyPart } from './live-copy-video.ts';
import { VIDEO_TIMESCALE } from './live-grid.ts';
import type { CutPart } from './live-video-cutter.ts';

type Cut = Pick<CopyPart, 'msn' | 'part' | 'end' | 'last'>;

export type CopyAudioOptions = {
  rendition: RenditionName;
  sampleRate: number;
  /** Stands in for lost frames; null: the frame before them is repeated. */
  silence: Uint8Array | null;
  /** Most frames of a part. */
  maxFrames: number;
  /** Decode time of the first video frame, in VIDEO_TIMESCALE. */
  startsAt: number;
  /** End of the audio already published, in samples; null in a new epoch. */
  continuesAt: number | null;
};

export class CopyAudioCutter {
  readonly #options: CopyAudioOptions;
  /** Frames not yet in a part; the first stands at #from. */
  #frames: Uint8Array[] = [];
  #from = 0;
  readonly #clock: AudioClock;
  #cuts: Cut[] = [];

  constructor(options: CopyAudioOptions) {
    this.#options = options;
    const { sampleRate, continuesAt } = options;
    this.#clock = new AudioClock({ sampleRate, startsAt: this.#samplesAt(options.startsAt), continuesAt });
  }

  /** Takes a frame. @param at its time, ms of the FLV clock. @returns parts that are complete */
  push(at: number, frame: Uint8Array): CutPart[] {
    this.#place((at * this.#options.sampleRate) / 1_000, frame);
    return this.#drain(false);
  }

  /** The video was cut here. @returns parts that are complete */
  cut(cut: Cut): CutPart[] {
    this.#cuts.push(cut);
    return this.#drain(false);
  }

  /** Fills with silence up to a video time (VIDEO_TIMESCALE): the source has sent no audio for too long. */
  fillTo(end: number): CutPart[] {
    this.#fill(this.#samplesAt(end));
    return this.#drain(false);
  }

  /** The source is over: every cut gets its part. */
  finish(): CutPart[] {
    const end = this.#cuts.at(-1)?.end;
    if (end !== undefined) this.#fill(this.#samplesAt(end));
    return this.#drain(true);
  }

  #samplesAt(ticks: number): number {
    return (ticks * this.#options.sampleRate) / VIDEO_TIMESCALE;
  }

  #fill(end: number): void {
    this.#addSilence(this.#clock.silenceTo(end), null);
  }

  #place(at: number, frame: Uint8Array): void {
    const silence = this.#clock.place(at);
    if (silence === null) return;
    this.#addSilence(silence, frame);
    this.#add(frame);
  }

  #addSilence(count: number, following: Uint8Array | null): void {
    for (let i = 0; i < count; i += 1) this.#add(this.#silenceAfter(following));
  }

  #silenceAfter(following: Uint8Array | null): Uint8Array {
    return this.#options.silence ?? this.#frames.at(-1) ?? following ?? new Uint8Array([0]);
  }

  #add(frame: Uint8Array): void {
    const at = this.#clock.add();
    if (this.#frames.length === 0) this.#from = at;
    this.#frames.push(frame);
  }

  #drain(isOver: boolean): CutPart[] {
    const parts: CutPart[] = [];
    for (;;) {
      const cut = this.#cuts[0];
      if (cut === undefined) return parts;
      const end = this.#samplesAt(cut.end);
      const isWhole = this.#clock.reaches(end);
      // A part has at least one frame, be it the next part's first.
      if (this.#frames.length === 0 && isOver) this.#add(this.#silenceAfter(null));
      if (this.#frames.length === 0 || !(isWhole || isOver)) return parts;
      parts.push(this.#write(cut, this.#count(framesBetween(this.#from, end))));
      this.#cuts.shift();
    }
  }

  /** One frame too many, by rounding, goes to the next part. */
  #count(fits: number): number {
    const { maxFrames } = this.#options;
    const count = fits === maxFrames + 1 ? maxFrames : fits;
    return Math.max(1, Math.min(count, this.#frames.length));
  }

  #write(cut: Cut, count: number): CutPart {
    const { rendition } = this.#options;
    const { msn, part, last } = cut;
    const at = { sequence: sequenceOf(cut), trackId: TRACK_ID, tfdt: this.#from };
    const fragment = audioFragment(this.#frames.splice(0, count), at);
    this.#from += fragment.duration;
    return { rendition, msn, part, ...fragment, last };
  }
}
