// One encoder's life inside an epoch: tags in, ffmpeg, fragments cut on the grid, parts handed to the publisher.
import { audioRendition, videoRendition } from '../platform/contract/ids.ts';
import { AUDIO_BITRATE_BPS, type Rung } from '../platform/contract/ladder.ts';
import type { RenditionInfo } from '../platform/contract/records.ts';
import { RING_KINDS } from '../platform/contract/ring.ts';
import { type Fragment, FragmentReader, type Init, type InitInfo } from '../platform/hls/cmaf.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { flvHeader, flvTag } from './flv-tags.ts';
import { AUDIO_PATIENCE_S } from './live-audio-clock.ts';
import { AudioCutter } from './live-audio-cutter.ts';
import { type Encoder, startEncoder } from './live-encoder.ts';
import { LiveEncoderFailed } from './live-errors.ts';
import type { FeedHeaders, FeedMedia } from './live-feed.ts';
import { indexOfSegment, type LiveGrid } from './live-grid.ts';
import type { MediaHandlers, MediaRun, ReadyRendition } from './live-media-run.ts';
import { type CutPart, VideoCutter } from './live-video-cutter.ts';

/** Audio of an epoch: from the source, or silence in the shape that the broadcast began with. */
export type AudioPlan =
  | { from: 'source'; isCopied: boolean; bitrateBps: number }
  | { from: 'silence'; init: Init; bitrateBps: number };

export type EncodePlan = {
  grid: LiveGrid;
  /** Segment with which this encoder begins. */
  firstMsn: number;
  /** None: sound alone. */
  rungs: readonly Rung[];
  preset: string;
  audio: AudioPlan | null;
  /** Where the audio of the segment before ended, in its timescale; null in a new epoch. */
  audioContinuesAt: number | null;
  headers: FeedHeaders;
};

const AUDIO = audioRendition(0);
/** Longest time without output while input is there. Unit: ms. */
const STALL_MS = 15_000;

export class EncodeRun implements MediaRun {
  readonly #plan: EncodePlan;
  readonly #handlers: MediaHandlers;
  readonly #encoder: Encoder;
  readonly #readers: FragmentReader[];
  readonly #inits = new Map<number, Init>();
  #video: VideoCutter[] = [];
  #audio: AudioCutter | null = null;
  /** Parts and fragments wait here until the inits are stored and named. */
  #early: (() => void)[] | null = [];
  #isOver = false;
  #isFinishing = false;
  #ready: Promise<void> = Promise.resolve();
  #outputAt = performance.now();
  #fedAt = 0;
  #isWriting = false;

  constructor(plan: EncodePlan, handlers: MediaHandlers, log: Logger) {
    this.#plan = plan;
    this.#handlers = handlers;
    const hasAudio = plan.audio?.from === 'source';
    this.#readers = [...plan.rungs, ...(hasAudio ? [AUDIO] : [])].map(() => new FragmentReader());
    const { fps, firstFrame, phaseMs, partFrames, gopFrames } = plan.grid;
    const startFrame = firstFrame + indexOfSegment(plan.grid, plan.firstMsn);
    const audio = plan.audio?.from === 'source' ? { isCopied: plan.audio.isCopied } : null;
    const { rungs, preset } = plan;
    const encoderPlan = { fps, startFrame, phaseMs, partFrames, gopFrames, rungs, preset, audio };
    this.#encoder = startEncoder(encoderPlan, (index, chunk) => this.#take(index, chunk));
    log.info('encoder started', { pid: this.#encoder.pid, msn: plan.firstMsn, rungs: plan.rungs.length });
    const watch = setInterval(() => this.#watch(), 1_000);
    void this.#encoder.done.then(({ code, signal, lastWords }) => {
      clearInterval(watch);
      if (lastWords !== '') log.warn('encoder says', { words: lastWords });
      if (!this.#isFinishing) this.#fail(new LiveEncoderFailed(`it ended (${signal ?? code}): ${lastWords}`));
    });
  }

  get pid(): number | undefined {
    return this.#encoder.pid;
  }

  /** Writes the container's start. */
  async begin(firstTimestamp: number): Promise<void> {
    const { headers } = this.#plan;
    const hasAudio = this.#plan.audio?.from === 'source';
    const hasVideo = this.#plan.rungs.length > 0;
    await this.#encoder.write(flvHeader(hasVideo, hasAudio));
    if (hasVideo && headers.video !== null)
      await this.#encoder.write(flvTag(RING_KINDS.video, firstTimestamp, headers.video));
    if (hasAudio && headers.audio !== null) {
      await this.#encoder.write(flvTag(RING_KINDS.audio, firstTimestamp, headers.audio));
    }
  }

  async feed(media: FeedMedia): Promise<void> {
    if (media.type === 'audio' && this.#plan.audio?.from !== 'source') return;
    if (media.type === 'video' && this.#plan.rungs.length === 0) return;
    const kind = media.type === 'audio' ? RING_KINDS.audio : RING_KINDS.video;
    this.#fedAt = performance.now();
    this.#isWriting = true;
    await this.#encoder.write(flvTag(kind, media.dts, media.payload));
    this.#isWriting = false;
  }

  /** An encoder that takes input and gives nothing is as good as dead. */
  #watch(): void {
    const latest = this.#isWriting ? performance.now() : this.#fedAt;
    if (latest - this.#outputAt > STALL_MS) this.#fail(new LiveEncoderFailed('nothing came out of it any more'));
  }

  /** Flushes ffmpeg, too. */
  async finish(): Promise<void> {
    for (const cutter of this.#video) cutter.end();
    this.#audio?.end();
    this.#isFinishing = true;
    this.#encoder.end();
    const { code, signal, lastWords } = await this.#encoder.done;
    await this.#ready;
    if (code !== 0) throw new LiveEncoderFailed(`it ended (${signal ?? code}): ${lastWords}`);
    if (this.#isOver || this.#early !== null) return;
    for (const part of this.#rest()) this.#handlers.onPart(part);
    this.#isOver = true;
  }

  #rest(): CutPart[] {
    if (this.#video.length === 0) return this.#audio?.finishAlone() ?? [];
    const endIndex = Math.min(...this.#video.map((cutter) => cutter.endIndex));
    return [...this.#video.flatMap((cutter) => cutter.finish()), ...(this.#audio?.finish(endIndex) ?? [])];
  }

  async kill(): Promise<void> {
    this.#isOver = true;
    this.#isFinishing = true;
    this.#encoder.kill();
    await this.#encoder.done;
  }

  #fail(thrown: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isFinishing = true;
    this.#encoder.kill();
    this.#handlers.onFailure(thrown);
  }

  #take(index: number, chunk: Buffer): void {
    if (this.#isOver) return;
    this.#outputAt = performance.now();
    try {
      for (const piece of this.#readers[index]?.push(chunk) ?? []) {
        if (piece.kind === 'init') this.#takeInit(index, piece);
        else if (this.#early !== null) this.#early.push(() => this.#takeFragment(index, piece));
        else this.#takeFragment(index, piece);
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #takeInit(index: number, init: Init): void {
    this.#inits.set(index, init);
    if (this.#inits.size < this.#readers.length) return;
    const { grid, firstMsn, rungs, audio } = this.#plan;
    this.#video = rungs.map((rung, i) => {
      const cutter = new VideoCutter(
        videoRendition(rung.height),
        grid,
        firstMsn,
        this.#inits.get(i)?.info.trackId ?? 1,
      );
      if (this.#isFinishing) cutter.end();
      return cutter;
    });
    const audioInit = audio?.from === 'silence' ? audio.init : this.#inits.get(rungs.length);
    if (audio !== null && audioInit !== undefined) this.#audio = this.#makeAudioCutter(audioInit.info);
    if (this.#isFinishing) this.#audio?.end();
    this.#ready = this.#announce(audioInit ?? null);
  }

  #makeAudioCutter(info: InitInfo): AudioCutter {
    const { grid, firstMsn, audioContinuesAt } = this.#plan;
    return new AudioCutter({
      rendition: AUDIO,
      grid,
      firstMsn,
      trackId: info.trackId,
      sampleRate: info.timescale,
      channels: info.channels ?? 2,
      continuesAt: audioContinuesAt,
      isAlone: this.#plan.rungs.length === 0,
    });
  }

  async #announce(audioInit: Init | null): Promise<void> {
    const { rungs, audio, grid } = this.#plan;
    const renditions: ReadyRendition[] = rungs.flatMap((rung, i) => {
      const init = this.#inits.get(i);
      return init === undefined ? [] : [describeVideo(rung, init, grid.fps.num / grid.fps.den)];
    });
    if (audio !== null && audioInit !== null) renditions.push(describeAudio(audioInit, audio.bitrateBps));
    try {
      await this.#handlers.onReady(renditions);
      const early = this.#early ?? [];
      this.#early = null;
      for (const step of early) step();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #takeFragment(index: number, fragment: Fragment): void {
    if (this.#isOver) return;
    const cutter = this.#video[index];
    if (cutter === undefined) {
      for (const part of this.#audio?.push(fragment) ?? []) this.#handlers.onPart(part);
      return;
    }
    for (const part of cutter.push(fragment)) this.#handlers.onPart(part);
    if (index > 0 || this.#audio === null) return;
    const { num, den } = this.#plan.grid.fps;
    // Silence that is planned waits for nobody.
    const patienceS = this.#plan.audio?.from === 'silence' ? 0 : AUDIO_PATIENCE_S;
    const overdue = cutter.endIndex - Math.ceil((patienceS * num) / den);
    for (const part of this.#audio.fillTo(overdue)) this.#handlers.onPart(part);
  }
}

function describeVideo(rung: Rung, init: Init, frameRate: number): ReadyRendition {
  const name = videoRendition(rung.height);
  const info: RenditionInfo = {
    name,
    kind: 'video',
    codecs: init.info.codecs,
    width: rung.width,
    height: rung.height,
    frame_rate: frameRate,
    channels: null,
    bandwidth: rung.maxrateBps,
    average_bandwidth: rung.bitrateBps,
    timescale: init.info.timescale,
  };
  return { name, bytes: init.bytes, info };
}

function describeAudio(init: Init, bitrateBps: number): ReadyRendition {
  const info: RenditionInfo = {
    name: AUDIO,
    kind: 'audio',
    codecs: init.info.codecs,
    width: null,
    height: null,
    frame_rate: null,
    channels: init.info.channels,
    bandwidth: Math.max(bitrateBps, AUDIO_BITRATE_BPS),
    average_bandwidth: bitrateBps,
    timescale: init.info.timescale,
  };
  return { name: AUDIO, bytes: init.bytes, info };
}
