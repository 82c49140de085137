// Cuts the publisher's own video frames into parts and segments. A frame's length is known when the next one comes; segments begin at key
// frames; where the source sends none in time, the segment ends all the same and the next one cannot be started from.
import type { RenditionName } from '../platform/contract/ids.ts';
import { concatBytes } from '../platform/hls/boxes.ts';
import { type Sample, SYNC_SAMPLE_FLAGS, writeFragment } from '../platform/hls/cmaf.ts';
import { TRACK_ID } from '../platform/hls/cmaf-init.ts';
import { type CopyLimits, sequenceOf } from './live-copy-limits.ts';
import { TICKS_PER_MS } from './live-grid.ts';
import type { CutPart } from './live-video-cutter.ts';

/** Times in ms of the FLV clock. `data`: the frame without FLV's header. */
export type SourceFrame = { dts: number; pts: number; isKey: boolean; data: Uint8Array };
/** A part with the place of its end, in VIDEO_TIMESCALE: the audio is cut there too. */
export type CopyPart = CutPart & { end: number };

/** Depends on others, is no sync sample. */
const DELTA_SAMPLE_FLAGS = 0x01010000;

export type CopyVideoOptions = { rendition: RenditionName; firstMsn: number; limits: CopyLimits; nominalTicks: number };

export class CopyVideoCutter {
  readonly #options: CopyVideoOptions;
  #msn: number;
  #part = 0;
  /** Newest frame: its length shows with the next. */
  #pending: SourceFrame | null = null;
  #samples: Sample[] = [];
  #data: Uint8Array[] = [];
  /** Decode time of the part's first frame, ticks. */
  #tfdt = 0;
  #partTicks = 0;
  #segmentTicks = 0;
  /** Length of the segment at its last key frame. */
  #keyAt = 0;
  #lastTicks: number;
  #forced = 0;
  /** The segment began without a key frame. */
  #isForced = false;

  constructor(options: CopyVideoOptions) {
    this.#options = options;
    this.#msn = options.firstMsn;
    this.#lastTicks = options.nominalTicks;
  }

  /** Segments so far that were ended without a key frame after them. */
  get forcedCuts(): number {
    return this.#forced;
  }

  /** @returns parts that are complete */
  push(given: SourceFrame): CopyPart[] {
    const parts: CopyPart[] = [];
    const before = this.#pending;
    // Decode times must rise; what is shown when stays as it was.
    const frame = before !== null && given.dts <= before.dts ? { ...given, dts: before.dts + 1 } : given;
    this.#pending = frame;
    if (before === null) {
      this.#tfdt = frame.dts * TICKS_PER_MS;
      this.#isForced = !frame.isKey;
      return parts;
    }
    this.#complete(before, (frame.dts - before.dts) * TICKS_PER_MS, parts);
    const { limits } = this.#options;
    if (frame.isKey && this.#closesAtKey()) parts.push(this.#cut(true));
    else if (this.#mustClose()) {
      parts.push(this.#cut(true));
      this.#forced += 1;
      this.#isForced = true;
    } else if (this.#partTicks >= limits.leastPart && this.#partTicks + this.#lastTicks > limits.part) {
      parts.push(this.#cut(false));
    }
    return parts;
  }

  /** The source is over: what is left closes the segment. */
  finish(): CopyPart[] {
    const parts: CopyPart[] = [];
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null) return parts;
    this.#complete(pending, this.#lastTicks, parts);
    parts.push(this.#cut(true));
    return parts;
  }

  /** Adds a frame whose length is known, in a new part when it does not fit. */
  #complete(frame: SourceFrame, ticks: number, parts: CopyPart[]): void {
    if (this.#samples.length > 0 && this.#partTicks + ticks > this.#options.limits.part) parts.push(this.#cut(false));
    const { data, isKey, dts, pts } = frame;
    const flags = isKey ? SYNC_SAMPLE_FLAGS : DELTA_SAMPLE_FLAGS;
    this.#samples.push({ duration: ticks, size: data.length, flags, cts: (pts - dts) * TICKS_PER_MS });
    this.#data.push(data);
    this.#partTicks += ticks;
    this.#segmentTicks += ticks;
    this.#lastTicks = ticks;
  }

  /** Another GOP as long as the last would make the segment too long, or the segment cannot be started from. */
  #closesAtKey(): boolean {
    const gop = this.#segmentTicks - this.#keyAt;
    this.#keyAt = this.#segmentTicks;
    return this.#isForced || this.#segmentTicks + gop > this.#options.limits.joined;
  }

  #mustClose(): boolean {
    return this.#segmentTicks + this.#lastTicks > this.#options.limits.longest;
  }

  #cut(last: boolean): CopyPart {
    const { rendition } = this.#options;
    const samples = this.#samples;
    const [msn, part, tfdt, duration] = [this.#msn, this.#part, this.#tfdt, this.#partTicks];
    const sequence = sequenceOf({ msn, part });
    const bytes = writeFragment({ sequence, trackId: TRACK_ID, tfdt, samples, data: concatBytes(this.#data) });
    const independent = samples[0]?.flags === SYNC_SAMPLE_FLAGS;
    this.#samples = [];
    this.#data = [];
    this.#partTicks = 0;
    this.#tfdt = tfdt + duration;
    this.#part = last ? 0 : part + 1;
    if (last) {
      this.#msn = msn + 1;
      this.#segmentTicks = 0;
      this.#keyAt = 0;
      this.#isForced = false;
    }
    return { rendition, msn, part, bytes, duration, tfdt, independent, last, end: tfdt + duration };
  }
}
