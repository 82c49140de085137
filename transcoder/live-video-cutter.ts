// Cuts one video rendition into parts: the encoder's fragments in, parts on the grid out. Each output frame is counted; one off the grid
// would shift every later cut, so it is an error and the encoder is started anew.
import type { RenditionName } from '../platform/contract/ids.ts';
import { concatBytes } from '../platform/hls/boxes.ts';
import { type Fragment, isSyncSample, type Sample, writeFragment } from '../platform/hls/cmaf.ts';
import { LiveEncoderFailed } from './live-errors.ts';
import { frameTicks, indexOfSegment, type LiveGrid, placeOf, ticksOfFrame, VIDEO_TIMESCALE } from './live-grid.ts';

/** One part of one rendition, as it will be stored. */
export type CutPart = {
  rendition: RenditionName;
  msn: number;
  part: number;
  bytes: Uint8Array;
  /** In the rendition's timescale. */
  duration: number;
  tfdt: number;
  independent: boolean;
  /** Closes its segment. */
  last: boolean;
};

export class VideoCutter {
  readonly #rendition: RenditionName;
  readonly #grid: LiveGrid;
  readonly #trackId: number;
  #samples: Sample[] = [];
  #data: Uint8Array[] = [];
  /** Index of the first frame not yet in a part. */
  #index: number;
  /** Kept while the encoder is ending: whether a part is the last one shows only when nothing follows. */
  #held: CutPart | null = null;
  #isEnding = false;

  /** @param firstMsn segment with which this encoder begins */
  constructor(rendition: RenditionName, grid: LiveGrid, firstMsn: number, trackId: number) {
    this.#rendition = rendition;
    this.#grid = grid;
    this.#trackId = trackId;
    this.#index = indexOfSegment(grid, firstMsn);
  }

  /** Frames cut or waiting, counted from the epoch's first. */
  get endIndex(): number {
    return this.#index + this.#samples.length;
  }

  /**
   * Takes the encoder's next fragment.
   * @returns parts that are complete
   * @throws LiveEncoderFailed when a frame is missing, doubled or misplaced
   */
  push(fragment: Fragment): CutPart[] {
    const expected = ticksOfFrame(this.#grid.firstFrame + this.endIndex, this.#grid.fps, VIDEO_TIMESCALE);
    if (fragment.tfdt !== expected) {
      throw new LiveEncoderFailed(`${this.#rendition}: a fragment begins at ${fragment.tfdt} instead of ${expected}`);
    }
    this.#samples.push(...fragment.samples);
    this.#data.push(fragment.data);
    const parts: CutPart[] = [];
    while (this.#samples.length >= this.#grid.partFrames) parts.push(this.#cut(this.#grid.partFrames, false));
    return this.#isEnding ? this.#hold(parts) : parts;
  }

  /** From now on the newest part waits for finish(): it may be the one that closes the epoch. Call before the encoder's input ends. */
  end(): void {
    this.#isEnding = true;
  }

  /** The encoder has ended: what is left, its last part closing the segment. */
  finish(): CutPart[] {
    const rest = this.#samples.length > 0 ? [this.#cut(this.#samples.length, true)] : [];
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

  #cut(count: number, isRest: boolean): CutPart {
    const grid = this.#grid;
    const data = this.#data.length === 1 && this.#data[0] !== undefined ? this.#data[0] : concatBytes(this.#data);
    const ticks = frameTicks(grid.fps);
    // The muxer guesses the duration of a stream's very last frame; on the grid every frame lasts the same.
    const samples = this.#samples.slice(0, count).map((sample) => ({ ...sample, duration: ticks }));
    const bytes = samples.reduce((sum, sample) => sum + sample.size, 0);
    this.#samples = this.#samples.slice(count);
    this.#data = this.#samples.length === 0 ? [] : [data.subarray(bytes)];
    const { msn, part } = placeOf(grid, this.#index);
    const first = samples[0];
    const independent = first !== undefined && isSyncSample(first);
    const isGopStart = this.#index % grid.gopFrames === 0;
    if (isGopStart && !independent) throw new LiveEncoderFailed(`${this.#rendition}: no key frame at ${msn}.${part}`);
    const tfdt = ticksOfFrame(grid.firstFrame + this.#index, grid.fps, VIDEO_TIMESCALE);
    const sequence = Math.floor(this.#index / grid.partFrames) + 1;
    const whole = writeFragment({ sequence, trackId: this.#trackId, tfdt, samples, data: data.subarray(0, bytes) });
    this.#index += count;
    const last = isRest || this.#index % grid.segmentFrames === 0;
    return { rendition: this.#rendition, msn, part, bytes: whole, duration: count * ticks, tfdt, independent, last };
  }
}
