// Cuts the audio rendition: AAC frames in, one fragment per video part out. Frames stand on an unbroken 1,024-sample clock: the source's
// millisecond timestamps jitter by more than a sample, lost frames become silence, doubled ones are dropped.
import type { RenditionName } from '../platform/contract/ids.ts';
import { concatBytes } from '../platform/hls/boxes.ts';
import { type Fragment, type Sample, SYNC_SAMPLE_FLAGS, writeFragment } from '../platform/hls/cmaf.ts';
import { AAC_FRAME_SAMPLES, silentAacFrame } from './flv-codecs.ts';
import { indexOfSegment, type LiveGrid, placeOf, ticksOfFrame } from './live-grid.ts';
import type { CutPart } from './live-video-cutter.ts';

/** A source this far off the clock is put back on it. Unit: s. */
const RESYNC_S = 0.04;
const HALF = AAC_FRAME_SAMPLES / 2;

export type AudioCutterOptions = {
  rendition: RenditionName;
  grid: LiveGrid;
  /** Segment with which this encoder begins. */
  firstMsn: number;
  trackId: number;
  sampleRate: number;
  channels: number;
  /** End of the audio already published before `firstMsn`, in samples; null in a new epoch. */
  continuesAt: number | null;
  /** There is no video: this rendition alone closes segments, and says where the epoch ends. */
  isAlone: boolean;
};

export class AudioCutter {
  readonly #options: AudioCutterOptions;
  readonly #silence: Uint8Array;
  /** Time of the next frame, in samples; null until the first. */
  #next: number | null;
  #hasFrame = false;
  /** Index of the first video frame of the part being filled. */
  #index: number;
  #frames: Uint8Array[] = [];
  #partStart = 0;
  /** Alone and ending: the newest part waits, as it may be the one that closes the epoch. */
  #held: CutPart | null = null;
  #isEnding = false;

  constructor(options: AudioCutterOptions) {
    this.#options = options;
    this.#silence = silentAacFrame(options.channels);
    this.#next = options.continuesAt;
    this.#index = indexOfSegment(options.grid, options.firstMsn);
  }

  /** Takes the encoder's next fragment. @returns parts that are complete */
  push(fragment: Fragment): CutPart[] {
    const parts: CutPart[] = [];
    let at = fragment.tfdt;
    let offset = 0;
    for (const sample of fragment.samples) {
      this.#place(at, fragment.data.subarray(offset, offset + sample.size), parts);
      at += sample.duration;
      offset += sample.size;
    }
    return this.#isEnding ? this.#hold(parts) : parts;
  }

  /** Without video: from now on the newest part waits for finishAlone(). Call before the encoder's input ends. */
  end(): void {
    this.#isEnding = this.#options.isAlone;
  }

  /** The encoder has ended, and there is no video: what is left, its last part closing the segment. */
  finishAlone(): CutPart[] {
    const rest = this.#frames.length > 0 ? [this.#cut(this.#index + this.#options.grid.partFrames)] : [];
    const parts = this.#held === null ? rest : [this.#held, ...rest];
    this.#held = null;
    const last = parts.at(-1);
    if (last !== undefined) last.last = true;
    return parts;
  }

  #hold(parts: CutPart[]): CutPart[] {
    const all = this.#held === null ? parts : [this.#held, ...parts];
    this.#held = all.pop() ?? null;
    return all;
  }

  /** Fills with silence up to a video frame: the source has sent no audio for too long. */
  fillTo(index: number): CutPart[] {
    const parts: CutPart[] = [];
    const end = this.#ticks(index);
    this.#begin(end);
    while (this.#clock + HALF <= end) this.#add(this.#silence, parts);
    return parts;
  }

  /** The encoder has ended at video frame `index`: audio up to there, the last part short like the video's. */
  finish(index: number): CutPart[] {
    const parts = this.fillTo(index);
    // Audio that ran ahead of the video is already cut; the part that the video's last one pairs with may be that one.
    if (this.#index < index && this.#frames.length > 0) parts.push(this.#cut(index));
    return parts;
  }

  get #clock(): number {
    return this.#next ?? 0;
  }

  #ticks(index: number): number {
    return ticksOfFrame(this.#options.grid.firstFrame + index, this.#options.grid.fps, this.#options.sampleRate);
  }

  /** The clock of a new epoch starts with its first frame, or with silence when that one comes late. */
  #begin(at: number): void {
    if (this.#next !== null) return;
    const start = this.#ticks(this.#index);
    this.#next = at - start <= AAC_FRAME_SAMPLES && at >= start - HALF ? at : start;
  }

  #place(at: number, frame: Uint8Array, parts: CutPart[]): void {
    const start = this.#next ?? this.#ticks(this.#index);
    if (!this.#hasFrame && at < start - HALF) return;
    this.#begin(at);
    this.#hasFrame = true;
    const limit = RESYNC_S * this.#options.sampleRate;
    if (at - this.#clock < -limit) return;
    if (at - this.#clock > limit) {
      while (at - this.#clock >= HALF) this.#add(this.#silence, parts);
    }
    this.#add(frame, parts);
  }

  #add(frame: Uint8Array, parts: CutPart[]): void {
    if (this.#frames.length === 0) this.#partStart = this.#clock;
    this.#frames.push(frame);
    this.#next = this.#clock + AAC_FRAME_SAMPLES;
    const end = this.#index + this.#options.grid.partFrames;
    if (this.#clock + HALF > this.#ticks(end)) parts.push(this.#cut(end));
  }

  /** @param end video frame at which this part ends */
  #cut(end: number): CutPart {
    const { grid, rendition, trackId } = this.#options;
    const { msn, part } = placeOf(grid, this.#index);
    const samples: Sample[] = this.#frames.map((frame) => ({
      duration: AAC_FRAME_SAMPLES,
      size: frame.length,
      flags: SYNC_SAMPLE_FLAGS,
      cts: 0,
    }));
    const tfdt = this.#partStart;
    const sequence = Math.floor(this.#index / grid.partFrames) + 1;
    const bytes = writeFragment({ sequence, trackId, tfdt, samples, data: concatBytes(this.#frames) });
    const duration = samples.length * AAC_FRAME_SAMPLES;
    this.#frames = [];
    this.#index = end;
    const last = end % grid.segmentFrames === 0;
    return { rendition, msn, part, bytes, duration, tfdt, independent: true, last };
  }
}
