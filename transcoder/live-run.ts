// One worker's time with one broadcast: from the claimed term to the end, a hand-over, or a lost term. Epochs follow one another here;
// inside an epoch encoders do, when one crashes.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { TimelineWriter } from '../platform/adapters/timeline-store.ts';
import { type BroadcastId, contentOf, type NodeId, newWriterTag } from '../platform/contract/ids.ts';
import { gridFor, LIVE_TARGET_DURATION_S } from '../platform/contract/latency.ts';
import { initKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo, RenditionInfo } from '../platform/contract/records.ts';
import { readInit } from '../platform/hls/cmaf.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import { type AudioPlan, type EncodePlan, EncodeRun, type ReadyRendition } from './live-encode.ts';
import { LiveEncoderFailed, LiveInitDiffers, LiveSourceUnsupported, LiveSuperseded } from './live-errors.ts';
import { LiveFeed } from './live-feed.ts';
import { clockOf, frameAt, gridOf, indexOfSegment, newGrid, secondsOfFrame } from './live-grid.ts';
import type { LiveHistory } from './live-history.ts';
import type { LiveMetrics } from './live-metrics.ts';
import { audioForResume, probeSource, type SourceInfo } from './live-probe.ts';
import { LivePublisher } from './live-publisher.ts';
import { type RingDeps, type RingPlace, readRing } from './live-ring.ts';
import { liveRungs, rungsOf } from './live-rungs.ts';
import type { CutPart } from './live-video-cutter.ts';

export type LiveRunOptions = { broadcast: BroadcastId; term: number; node: NodeId; preset: string; maxRungs: number };
export type LiveRunDeps = {
  storage: ObjectStorage;
  timeline: TimelineWriter;
  history: LiveHistory;
  ring: Omit<RingDeps, 'broadcast' | 'log'>;
  /** Changes the broadcast record while its term is this worker's. @throws LiveSuperseded when it is not */
  change(change: (record: BroadcastRecord) => BroadcastRecord): Promise<BroadcastRecord>;
  metrics: LiveMetrics;
  log: Logger;
};
/** `ended`: everything is published. `handed over`: another worker shall continue. */
export type LiveOutcome = 'ended' | 'handed over';

/** An epoch to write: a new one, or one that goes on from `msn`. */
type Epoch = { info: EpochInfo; isNew: boolean; plan: EncodePlan };
type Resume = { info: EpochInfo; msn: number };
type Start = { place: RingPlace; resume: Resume | null };
/** `rejoin`: the epoch cannot go on, and what the ring holds was shown already: a new one begins at what comes now. */
type EncodeOutcome = LiveOutcome | 'break' | 'crashed' | 'init differs' | 'rejoin';

const RESTARTS_PER_MINUTE = 5;
/** A hand-over waits this long for the open segment to close. Unit: ms. */
const HAND_OVER_MS = 4_000;
/** Asked of the ring before the first frame wanted: B-frames put a key frame's picture later than its timestamp. Unit: ms. */
const REORDER_MARGIN_MS = 250;

export class LiveRun {
  readonly #options: LiveRunOptions;
  readonly #deps: LiveRunDeps;
  readonly #publisher: LivePublisher;
  /** Aborted with the reason why this worker must stop. */
  readonly #stop = new AbortController();
  /** Aborted when the reading of the ring shall end: crash, hand-over, stop. */
  #reading = new AbortController();
  #record: BroadcastRecord;
  #restarts: number[] = [];
  #isHandingOver = false;
  #crash: unknown = null;

  constructor(record: BroadcastRecord, options: LiveRunOptions, deps: LiveRunDeps) {
    this.#record = record;
    this.#options = options;
    this.#deps = deps;
    const publisherOptions = { content: contentOf(options.broadcast), term: options.term, writer: newWriterTag() };
    const { storage, timeline, history, metrics, log } = deps;
    const fail = (thrown: unknown) => this.abort(thrown);
    const signal = this.#stop.signal;
    this.#publisher = new LivePublisher(publisherOptions, { storage, timeline, history, metrics, log, signal, fail });
  }

  /** Stops at once and writes nothing more; run() rejects with `reason`. */
  abort(reason: unknown): void {
    this.#stop.abort(reason);
    this.#reading.abort();
  }

  /** Lets the open segment close (a few seconds at most), then run() ends with `handed over`. */
  async handOver(): Promise<void> {
    const waited = new AbortController();
    await Promise.race([this.#publisher.segmentClosed(), delay(HAND_OVER_MS, waited.signal)]);
    waited.abort();
    this.#isHandingOver = true;
    this.#reading.abort();
  }

  /** @throws LiveSuperseded LiveEncoderFailed */
  async run(): Promise<LiveOutcome> {
    await this.#deps.history.restore(this.#record, this.#options.term);
    let start = this.#firstStart();
    for (;;) {
      const outcome = await this.#follow(start);
      this.#stop.signal.throwIfAborted();
      if (outcome === 'ended' || outcome === 'handed over') return outcome;
      if (outcome === 'crashed') await this.#pauseAfterCrash();
      start = this.#startAfter(outcome);
    }
  }

  #startAfter(outcome: 'crashed' | 'init differs' | 'rejoin'): Start {
    if (outcome === 'crashed') return this.#resumeStart();
    return { place: outcome === 'rejoin' ? { from: 'live' } : this.#resumeStart().place, resume: null };
  }

  #firstStart(): Start {
    if (this.#record.epochs.length === 0) return { place: { from: 'start' }, resume: null };
    this.#deps.metrics.takeovers.add();
    return this.#resumeStart();
  }

  /** The place of the first segment that is not complete in the timeline. */
  #resumeStart(): Start {
    const info = this.#record.epochs.at(-1);
    if (info === undefined) return { place: { from: 'start' }, resume: null };
    const { head } = this.#deps.history;
    const last = this.#deps.history.lastEntry();
    const isInEpoch = last !== null && last.epoch === info.epoch && head !== null;
    const msn = isInEpoch ? last.msn + (last.last ? 1 : 0) : info.msn0;
    const grid = gridOf(info);
    const ts = 1_000 * secondsOfFrame(grid.firstFrame + indexOfSegment(grid, msn), info.fps) - REORDER_MARGIN_MS;
    return { place: { session: info.session, ts }, resume: { info, msn } };
  }

  async #pauseAfterCrash(): Promise<void> {
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < 60_000), now];
    this.#deps.metrics.encoderRestarts.add();
    this.#deps.log.warn('encoder failed', { err: this.#crash, restarts: this.#restarts.length });
    if (this.#restarts.length > RESTARTS_PER_MINUTE) {
      throw new LiveEncoderFailed('it was started too often within a minute', { cause: this.#crash });
    }
    await delay(100 * this.#restarts.length, this.#stop.signal);
  }

  async #follow(start: Start): Promise<Exclude<EncodeOutcome, 'break'>> {
    this.#reading = new AbortController();
    if (this.#stop.signal.aborted || this.#isHandingOver) this.#reading.abort();
    const ring = { ...this.#deps.ring, broadcast: this.#options.broadcast, log: this.#deps.log };
    const feed = new LiveFeed(readRing(start.place, ring, this.#reading.signal));
    try {
      let resume = start.resume;
      for (;;) {
        const epoch = (resume === null ? null : await this.#planResume(feed, resume)) ?? (await this.#planNew(feed));
        if (epoch === null) return await this.#close();
        if (resume !== null && epoch.isNew && this.#deps.history.isReadBack) return 'rejoin';
        resume = null;
        const outcome = await this.#encode(epoch, feed);
        if (outcome !== 'break') return outcome;
      }
    } catch (thrown) {
      if (!(thrown instanceof LiveSourceUnsupported)) throw thrown;
      this.#deps.log.error('source cannot be transcoded', { err: thrown });
      return await this.#waitForEnd(feed);
    } finally {
      this.#reading.abort();
      await feed.close();
    }
  }

  /** Nothing more came: what an earlier worker left open is closed. */
  async #close(): Promise<LiveOutcome> {
    if (this.#isHandingOver) return 'handed over';
    this.#stop.signal.throwIfAborted();
    await this.#publisher.closeDangling();
    await this.#deps.history.storeBlocks(true);
    return 'ended';
  }

  /** Keeps the broadcast, so that no other worker tries the same in vain, until the publisher is gone. */
  async #waitForEnd(feed: LiveFeed): Promise<LiveOutcome> {
    while (!this.#reading.signal.aborted) {
      try {
        if ((await feed.next()).type === 'end') break;
      } catch (thrown) {
        this.#deps.log.debug('frame left out', { reason: messageOf(thrown) });
      }
    }
    return this.#isHandingOver ? 'handed over' : 'ended';
  }

  /** Null when the ring begins after the place wanted, or with another session. */
  async #planResume(feed: LiveFeed, { info, msn }: Resume): Promise<Epoch | null> {
    const first = await feed.next();
    feed.unread([first]);
    const grid = gridOf(info);
    const startFrame = grid.firstFrame + indexOfSegment(grid, msn);
    if (first.type !== 'video' || feed.session !== info.session || frameAt(first.pts, info.fps) > startFrame)
      return null;
    const audio = info.renditions.find((rendition) => rendition.kind === 'audio');
    const plan: EncodePlan = {
      grid,
      firstMsn: msn,
      rungs: rungsOf(info.renditions),
      preset: this.#options.preset,
      audio: audio === undefined ? null : await this.#resumeAudio(feed, info.epoch, audio),
      audioContinuesAt: audio === undefined ? null : this.#audioEnd(info.epoch, msn, audio),
      headers: { ...feed.headers },
    };
    return { info, isNew: false, plan };
  }

  async #resumeAudio(feed: LiveFeed, epoch: number, audio: RenditionInfo): Promise<AudioPlan> {
    const source = audioForResume(feed, audio.timescale);
    const bitrateBps = audio.average_bandwidth;
    if (source !== null) return { from: 'source', isCopied: source.isCopied, bitrateBps };
    return this.#silence(epoch, audio);
  }

  async #silence(epoch: number, audio: RenditionInfo): Promise<AudioPlan> {
    const content = contentOf(this.#options.broadcast);
    const { body } = await this.#deps.storage.read(initKey({ content, rendition: audio.name, epoch }));
    const init = { kind: 'init', bytes: body, info: readInit(body) } as const;
    return { from: 'silence', init, bitrateBps: audio.average_bandwidth };
  }

  #audioEnd(epoch: number, msn: number, audio: RenditionInfo): number | null {
    const before = this.#deps.history.entries().findLast((entry) => entry.epoch === epoch && entry.msn < msn);
    const part = before?.renditions[audio.name];
    return part === undefined ? null : part.tfdt + part.duration;
  }

  /** Null when nothing more comes. */
  async #planNew(feed: LiveFeed): Promise<Epoch | null> {
    const source = await probeSource(feed);
    if (source === null || this.#reading.signal.aborted) return null;
    await this.#publisher.closeDangling();
    await this.#deps.history.storeBlocks(true);
    const { epochs, latency_mode: mode } = this.#record;
    const before = epochs.at(-1);
    const msn0 = this.#deps.history.nextMsn;
    const grid = newGrid(mode, source.fps, source.ts0, msn0);
    const rungs = before ? rungsOf(before.renditions) : liveRungs(source.width, source.height, this.#options.maxRungs);
    const info: EpochInfo = {
      epoch: (before?.epoch ?? -1) + 1,
      session: feed.session ?? ('' as EpochInfo['session']),
      started_at: Date.now(),
      ts0: source.ts0,
      msn0,
      pdt0: Math.max(source.pdt0, this.#lastClock()),
      fps: source.fps,
      part_frames: grid.partFrames,
      gop_frames: grid.gopFrames,
      segment_frames: grid.segmentFrames,
      part_target: gridFor(mode, source.fps).partTargetS,
      target_duration: LIVE_TARGET_DURATION_S,
      renditions: [],
    };
    const audio = await this.#newAudio(source, before);
    const headers = { ...feed.headers };
    const { preset } = this.#options;
    return { info, isNew: true, plan: { grid, firstMsn: msn0, rungs, preset, audio, audioContinuesAt: null, headers } };
  }

  /** The first epoch decides whether there is audio; later ones keep to it. */
  async #newAudio(source: SourceInfo, before: EpochInfo | undefined): Promise<AudioPlan | null> {
    const known = before?.renditions.find((rendition) => rendition.kind === 'audio');
    if (before !== undefined && known === undefined) return null;
    const { audio } = source;
    if (audio !== null) return { from: 'source', isCopied: audio.isCopied, bitrateBps: audio.bitrateBps };
    return before !== undefined && known !== undefined ? this.#silence(before.epoch, known) : null;
  }

  /** Wall clock at the end of what is published: a new epoch does not begin before it. Unit: ms. */
  #lastClock(): number {
    const last = this.#deps.history.lastEntry();
    const info = this.#record.epochs.find((epoch) => epoch.epoch === last?.epoch);
    const video = info?.renditions[0];
    const part = video === undefined ? undefined : last?.renditions[video.name];
    return last === null || video === undefined || part === undefined
      ? 0
      : last.pdt + (1_000 * part.duration) / video.timescale;
  }

  async #encode(epoch: Epoch, feed: LiveFeed): Promise<EncodeOutcome> {
    this.#crash = null;
    const onFailure = (thrown: unknown) => {
      this.#crash = thrown;
      this.#reading.abort();
    };
    const onReady = (renditions: ReadyRendition[]) => this.#openEpoch(epoch, renditions);
    const onPart = (part: CutPart) => this.#publish(epoch, part);
    const run = new EncodeRun(epoch.plan, { onReady, onPart, onFailure }, this.#deps.log);
    try {
      return await this.#pump(run, feed);
    } catch (thrown) {
      if (!(thrown instanceof LiveEncoderFailed)) throw thrown;
      this.#crash ??= thrown;
      return 'crashed';
    } finally {
      await run.kill();
      await this.#publisher.settle();
    }
  }

  async #pump(run: EncodeRun, feed: LiveFeed): Promise<EncodeOutcome> {
    let isFirst = true;
    for (;;) {
      const item = await feed.next();
      this.#stop.signal.throwIfAborted();
      if (this.#crash !== null) return this.#crashOutcome();
      if (this.#isHandingOver) return 'handed over';
      if (item.type === 'break' || item.type === 'end') {
        if (item.type === 'break') this.#deps.log.info('epoch ends', { reason: item.reason });
        await run.finish();
        if (this.#crash !== null) return this.#crashOutcome();
        await this.#publisher.closeEpoch();
        return item.type === 'break' ? 'break' : 'ended';
      }
      if (isFirst) await run.begin(item.dts);
      isFirst = false;
      await this.#publisher.room();
      await run.feed(item);
    }
  }

  #crashOutcome(): EncodeOutcome {
    if (this.#crash instanceof LiveSuperseded) throw this.#crash;
    return this.#crash instanceof LiveInitDiffers ? 'init differs' : 'crashed';
  }

  /** Init parts stored, epoch in the record; only then parts may be named. */
  async #openEpoch(epoch: Epoch, renditions: ReadyRendition[]): Promise<void> {
    await this.#publisher.storeInits(epoch.info.epoch, renditions);
    if (epoch.isNew) {
      epoch.info = { ...epoch.info, renditions: renditions.map(({ info }) => info) };
      const isKnown = (record: BroadcastRecord) => record.epochs.some((known) => known.epoch === epoch.info.epoch);
      const change = (record: BroadcastRecord) =>
        isKnown(record) ? record : { ...record, epochs: [...record.epochs, epoch.info] };
      this.#record = await this.#publisher.persist('write the epoch', () => this.#deps.change(change));
    }
    this.#publisher.beginEpoch(epoch.info, epoch.plan.grid);
    const { epoch: number, msn0, fps, ts0, part_frames } = epoch.info;
    this.#deps.log.info('epoch open', {
      epoch: number,
      isNew: epoch.isNew,
      msn: epoch.plan.firstMsn,
      msn0,
      fps,
      ts0,
      part_frames,
    });
  }

  #publish(epoch: Epoch, part: CutPart): void {
    const { info, plan } = epoch;
    if (part.rendition === info.renditions[0]?.name) {
      const index = indexOfSegment(plan.grid, part.msn) + (part.part + 1) * plan.grid.partFrames;
      this.#deps.metrics.encodeLag.observe(Math.max(0, Date.now() - clockOf(info, index)) / 1_000);
    }
    this.#publisher.add(part);
  }
}
