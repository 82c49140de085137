// Cuts the audio rendition: AAC frames in, one fragment per video part out. Lost frames become silence, doubled ones are dropped
// (live-audio-clock.ts).
import type { RenditionName } from '../platform/contract/ids.ts';
import type { Fragment } from '../platform/hls/cmaf.ts';
import { silentAacFrame } from './flv-codecs.ts';
import { AudioClock, audioFragment } from './live-audio-clock.ts';
import { indexOfSegment, type LiveGrid, placeOf, ticksOfFrame } from './live-grid.ts';
import type { CutPart } from './live-video-cutter.ts';

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
  readonly #clock: AudioClock;
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
    this.#index = indexOfSegment(options.grid, options.firstMsn);
    const { sampleRate, continuesAt } = options;
    this.#clock = new AudioClock({ sampleRate, startsAt: this.#ticks(this.#index), continuesAt });
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
    this.#fill(this.#clock.silenceTo(this.#ticks(index)), parts);
    return parts;
  }

  /** The encoder has ended at video frame `index`: audio up to there, the last part short like the video's. */
  finish(index: number): CutPart[] {
    const parts = this.fillTo(index);
    // Audio that ran ahead of the video is already cut; the part that the video's last one pairs with may be that one.
    if (this.#index < index && this.#frames.length > 0) parts.push(this.#cut(index));
    return parts;
  }

  #ticks(index: number): number {
    return ticksOfFrame(this.#options.grid.firstFrame + index, this.#options.grid.fps, this.#options.sampleRate);
  }

  #place(at: number, frame: Uint8Array, parts: CutPart[]): void {
    const silence = this.#clock.place(at);
    if (silence === null) return;
    this.#fill(silence, parts);
    this.#add(frame, parts);
  }

  #fill(silence: number, parts: CutPart[]): void {
    for (let i = 0; i < silence; i += 1) this.#add(this.#silence, parts);
  }

  #add(frame: Uint8Array, parts: CutPart[]): void {
    const at = this.#clock.add();
    if (this.#frames.length === 0) this.#partStart = at;
    this.#frames.push(frame);
    const end = this.#index + this.#options.grid.partFrames;
    if (this.#clock.reaches(this.#ticks(end))) parts.push(this.#cut(end));
  }

  /** @param end video frame at which this part ends */
  #cut(end: number): CutPart {
    const { grid, rendition, trackId } = this.#options;
    const { msn, part } = placeOf(grid, this.#index);
    const sequence = Math.floor(this.#index / grid.partFrames) + 1;
    const fragment = audioFragment(this.#frames, { sequence, trackId, tfdt: this.#partStart });
    this.#frames = [];
    this.#index = end;
    const last = end % grid.segmentFrames === 0;
    return { rendition, msn, part, ...fragment, last };
  }
}
