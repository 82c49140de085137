// Cuts the publisher's own AAC frames where the video is cut. Frames stand on an unbroken clock of samples, as in live-audio-cutter.ts:
// source timestamps are whole milliseconds. Lost frames become silence, doubled ones are dropped.
import type { RenditionName } from '../platform/contract/ids.ts';
import { concatBytes } from '../platform/hls/boxes.ts';
import { type Sample, SYNC_SAMPLE_FLAGS, writeFragment } from '../platform/hls/cmaf.ts';
import { TRACK_ID } from '../platform/hls/cmaf-init.ts';
import { AAC_FRAME_SAMPLES } from './flv-codecs.ts';
import type { CopyPart } from './live-copy-video.ts';
import { VIDEO_TIMESCALE } from './live-grid.ts';
import type { CutPart } from './live-video-cutter.ts';

/** A source this far off the clock is put back on it. Unit: s. */
const RESYNC_S = 0.04;
const HALF = AAC_FRAME_SAMPLES / 2;
const PARTS = 4_096;

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
  /** Time of the next frame, in samples; null until the first. */
  #next: number | null;
  #hasFrame = false;
  #cuts: Cut[] = [];

  constructor(options: CopyAudioOptions) {
    this.#options = options;
    this.#next = options.continuesAt;
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
    this.#begin(end);
    while ((this.#next ?? end) + HALF <= end) this.#add(this.#silenceAfter(null));
  }

  #silenceAfter(following: Uint8Array | null): Uint8Array {
    return this.#options.silence ?? this.#frames.at(-1) ?? following ?? new Uint8Array([0]);
  }

  /** The clock of a new epoch starts with its first frame, or with silence when that one comes late. */
  #begin(at: number): void {
    if (this.#next !== null) return;
    const start = Math.round(this.#samplesAt(this.#options.startsAt));
    this.#next = at - start <= AAC_FRAME_SAMPLES && at >= start - HALF ? Math.max(0, Math.round(at)) : start;
  }

  #place(at: number, frame: Uint8Array): void {
    const start = this.#next ?? this.#samplesAt(this.#options.startsAt);
    if (!this.#hasFrame && at < start - HALF) return;
    this.#begin(at);
    this.#hasFrame = true;
    const off = at - (this.#next ?? at);
    const limit = RESYNC_S * this.#options.sampleRate;
    if (off < -limit) return;
    if (off > limit) while (at - (this.#next ?? at) >= HALF) this.#add(this.#silenceAfter(frame));
    this.#add(frame);
  }

  #add(frame: Uint8Array): void {
    const at = this.#next ?? 0;
    if (this.#frames.length === 0) this.#from = at;
    this.#frames.push(frame);
    this.#next = at + AAC_FRAME_SAMPLES;
  }

  #drain(isOver: boolean): CutPart[] {
    const parts: CutPart[] = [];
    for (;;) {
      const cut = this.#cuts[0];
      if (cut === undefined) return parts;
      const end = this.#samplesAt(cut.end);
      const isWhole = (this.#next ?? 0) + HALF > end;
      // A part has at least one frame, be it the next part's first.
      if (this.#frames.length === 0 && isOver) this.#add(this.#silenceAfter(null));
      if (this.#frames.length === 0 || !(isWhole || isOver)) return parts;
      parts.push(this.#write(cut, this.#count(Math.floor((end - this.#from + HALF) / AAC_FRAME_SAMPLES))));
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
    const frames = this.#frames.splice(0, count);
    const samples: Sample[] = frames.map((frame) => ({
      duration: AAC_FRAME_SAMPLES,
      size: frame.length,
      flags: SYNC_SAMPLE_FLAGS,
      cts: 0,
    }));
    const tfdt = this.#from;
    const duration = count * AAC_FRAME_SAMPLES;
    const sequence = ((msn * PARTS + part) % 0xffffffff) + 1;
    const bytes = writeFragment({ sequence, trackId: TRACK_ID, tfdt, samples, data: concatBytes(frames) });
    this.#from = tfdt + duration;
    return { rendition, msn, part, bytes, duration, tfdt, independent: true, last };
  }
}
