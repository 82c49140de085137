// Cuts the CMAF stream of one rendition into segments on the plan's grid: video at key frames, audio at the frame nearest to the same
// boundary. Takes the muxer's time offset off, and the encoder's priming with it. No I/O.
import { concatBytes } from '../platform/hls/boxes.ts';
import {
  type Fragment,
  FragmentReader,
  type Init,
  type Sample,
  withDecodeTime,
  writeFragment,
} from '../platform/hls/cmaf.ts';
import type { SegmentGrid } from './vod-plan.ts';

export type Segment = {
  msn: number;
  /** Decode time of the first frame, in the track's timescale; the file's first frame is at 0. */
  tfdt: number;
  /** In the track's timescale. */
  duration: number;
  bytes: Uint8Array;
};

/** A last segment shorter than this joins the one before it. Unit: s. */
const SHORTEST_TAIL_S = 0.4;

type Run = { trackId: number; tfdt: number; duration: number; pieces: Uint8Array[]; samples: Sample[] };

export class Segmenter {
  readonly #reader = new FragmentReader();
  readonly #grid: SegmentGrid;
  readonly #offsetS: number;
  /** Segments that have begun, oldest first: at most the finished one that a short tail may still join, and the open one. */
  #runs: Run[] = [];
  #nextMsn = 0;
  /** Boundary that begins the next segment, counted from the grid's start. */
  #boundary = 1;
  #endTicks = 0;

  /** @param offsetS what the muxer added to every time. Unit: s */
  constructor(grid: SegmentGrid, offsetS: number) {
    this.#grid = grid;
    this.#offsetS = offsetS;
  }

  /** Init part with codec and timescale; null until it has passed. */
  get init(): Init | null {
    return this.#reader.init;
  }
  /** Where the media ends so far. Unit: s. */
  get endS(): number {
    return this.#endTicks / (this.init?.info.timescale ?? 1);
  }

  /** @returns segments that this chunk finished, in order @throws BoxMalformed */
  push(chunk: Uint8Array): Segment[] {
    for (const piece of this.#reader.push(chunk)) {
      if (piece.kind !== 'fragment') continue;
      if (this.init?.info.kind === 'audio') this.#addAudio(piece);
      else this.#addVideo(piece);
    }
    return this.#runs.splice(0, Math.max(0, this.#runs.length - 2)).map((run) => this.#finish(run));
  }

  /** The stream has ended: what is left, a very short tail joined to the segment before it. */
  end(): Segment[] {
    const [before, tail] = this.#runs.slice(-2);
    const timescale = this.init?.info.timescale ?? 1;
    if (before !== undefined && tail !== undefined && tail.duration < SHORTEST_TAIL_S * timescale) {
      before.duration += tail.duration;
      before.pieces.push(...tail.pieces);
      before.samples.push(...tail.samples);
      this.#runs.pop();
    }
    return this.#runs.splice(0).map((run) => this.#finish(run));
  }

  #ticksOf(boundary: number): number {
    const timescale = this.init?.info.timescale ?? 1;
    const { num, den, startS } = this.#grid;
    return startS * timescale + (boundary * num * timescale) / den;
  }

  #open(fragment: Fragment, tfdt: number): Run {
    const run: Run = { trackId: fragment.trackId, tfdt, duration: 0, pieces: [], samples: [] };
    this.#runs.push(run);
    return run;
  }

  /** Whether a frame at `tfdt` begins the next segment; passes boundaries without frames (gaps in the source). */
  #crosses(tfdt: number, toleranceTicks: number): boolean {
    if (tfdt + toleranceTicks < this.#ticksOf(this.#boundary)) return false;
    while (tfdt + toleranceTicks >= this.#ticksOf(this.#boundary)) this.#boundary += 1;
    return true;
  }

  #rebase(fragment: Fragment): number {
    return fragment.tfdt - this.#offsetS * (this.init?.info.timescale ?? 1);
  }

  #addVideo(fragment: Fragment): void {
    const tfdt = Math.max(0, this.#rebase(fragment));
    const frame = fragment.samples[0]?.duration ?? 0;
    let run = this.#runs.at(-1);
    // The first frame may lie up to a frame beside its probed start: the grid is kept, the tolerance takes it in.
    if (run === undefined || (fragment.isKey && this.#crosses(tfdt, 2 * frame))) run = this.#open(fragment, tfdt);
    run.pieces.push(withDecodeTime(fragment.bytes, tfdt));
    run.duration += fragment.duration;
    this.#endTicks = tfdt + fragment.duration;
  }

  #addAudio(fragment: Fragment): void {
    let tfdt = this.#rebase(fragment);
    let at = 0;
    for (const sample of fragment.samples) {
      const data = fragment.data.subarray(at, at + sample.size);
      at += sample.size;
      // Frames before 0 are the encoder's priming: dropped, so that the first frame kept is the first that was heard.
      if (tfdt >= 0) {
        let run = this.#runs.at(-1);
        if (run === undefined || this.#crosses(tfdt, sample.duration / 2)) run = this.#open(fragment, tfdt);
        run.samples.push(sample);
        run.pieces.push(data);
        run.duration += sample.duration;
        this.#endTicks = tfdt + sample.duration;
      }
      tfdt += sample.duration;
    }
  }

  #finish(run: Run): Segment {
    const msn = this.#nextMsn;
    this.#nextMsn += 1;
    const data = concatBytes(run.pieces);
    const { trackId, tfdt, duration, samples } = run;
    const bytes = samples.length === 0 ? data : writeFragment({ sequence: msn + 1, trackId, tfdt, samples, data });
    return { msn, tfdt, duration, bytes };
  }
}
