// The clock of an audio rendition: AAC frames stand on an unbroken run of 1,024 samples each, whatever the source's timestamps say, which
// jitter by more than a sample. Tells how much silence stands before a frame, and which frames come too early or twice.
import { concatBytes } from '../platform/hls/boxes.ts';
import { type NewFragment, type Sample, SYNC_SAMPLE_FLAGS, writeFragment } from '../platform/hls/cmaf.ts';
import { AAC_FRAME_SAMPLES } from './flv-codecs.ts';
import type { CutPart } from './live-video-cutter.ts';

/** Audio further behind the video than this is taken for lost. Unit: s of media. */
export const AUDIO_PATIENCE_S = 1.5;
/** A source this far off the clock is put back on it. Unit: s. */
const RESYNC_S = 0.04;
const HALF = AAC_FRAME_SAMPLES / 2;

/** Whole frames from one time to another, rounded. Times in samples. */
export const framesBetween = (from: number, to: number): number =>
  Math.max(0, Math.floor((to - from + HALF) / AAC_FRAME_SAMPLES));

export type AudioClockOptions = {
  sampleRate: number;
  /** Where a new epoch begins, in samples. */
  startsAt: number;
  /** End of the audio already published, in samples; null in a new epoch. */
  continuesAt: number | null;
};

export class AudioClock {
  readonly #options: AudioClockOptions;
  /** Null until something stands on it. */
  #next: number | null;
  #hasFrame = false;

  constructor(options: AudioClockOptions) {
    this.#options = options;
    this.#next = options.continuesAt;
  }

  /** Time of the next frame, in samples. */
  get next(): number {
    return this.#next ?? 0;
  }

  /** All frames that belong before this time (samples) are there. */
  reaches(end: number): boolean {
    return this.next + HALF > end;
  }

  /**
   * A frame of the source arrived.
   * @param at its time, in samples
   * @returns frames of silence that stand before it; null: it is left out, for it comes before the start or twice
   */
  place(at: number): number | null {
    const { sampleRate, startsAt } = this.#options;
    if (!this.#hasFrame && at < (this.#next ?? startsAt) - HALF) return null;
    this.#begin(at);
    this.#hasFrame = true;
    const limit = RESYNC_S * sampleRate;
    const off = at - this.next;
    if (off < -limit) return null;
    return off > limit ? framesBetween(this.next, at) : 0;
  }

  /** The source has sent no audio for too long. @returns frames of silence up to a time (samples) */
  silenceTo(end: number): number {
    this.#begin(end);
    return framesBetween(this.next, end);
  }

  /** A frame stands at `next`. @returns its time, in samples */
  add(): number {
    const at = this.next;
    this.#next = at + AAC_FRAME_SAMPLES;
    return at;
  }

  /** The clock of a new epoch starts with its first frame, or with silence when that one comes late. */
  #begin(at: number): void {
    if (this.#next !== null) return;
    const start = Math.round(this.#options.startsAt);
    this.#next = at - start <= AAC_FRAME_SAMPLES && at >= start - HALF ? Math.max(0, Math.round(at)) : start;
  }
}

/** AAC frames, one or more, as a fragment. @param at the fragment's number, track, and decode time in samples */
export function audioFragment(
  frames: readonly Uint8Array[],
  at: Pick<NewFragment, 'sequence' | 'trackId' | 'tfdt'>,
): Pick<CutPart, 'bytes' | 'duration' | 'tfdt' | 'independent'> {
  const samples: Sample[] = frames.map((frame) => ({
    duration: AAC_FRAME_SAMPLES,
    size: frame.length,
    flags: SYNC_SAMPLE_FLAGS,
    cts: 0,
  }));
  const bytes = writeFragment({ ...at, samples, data: concatBytes(frames) });
  return { bytes, duration: samples.length * AAC_FRAME_SAMPLES, tfdt: at.tfdt, independent: true };
}
