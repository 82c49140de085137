// Drives one engine through one epoch: media from the feed into it, parts out of it to the publisher, and a watch on whether it keeps up.
import type { EpochInfo } from '../platform/contract/records.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { CopyRun } from './live-copy.ts';
import { EncodeRun } from './live-encode.ts';
import { LiveEncoderFailed, LiveInitDiffers, LiveSuperseded } from './live-errors.ts';
import { type FeedItem, type LiveFeed, SILENCE_MS } from './live-feed.ts';
import type { LiveStanding } from './live-hot.ts';
import { Arrivals, LoadWatch } from './live-load.ts';
import type { MediaHandlers, MediaRun, ReadyRendition } from './live-media-run.ts';
import type { LiveMetrics } from './live-metrics.ts';
import type { Epoch } from './live-plans.ts';
import type { LivePublisher } from './live-publisher.ts';
import { rungsOf } from './live-rungs.ts';
import type { CutPart } from './live-video-cutter.ts';

export type EngineDeps = {
  publisher: LivePublisher;
  standing: LiveStanding;
  /** Writes a new epoch into the record. */
  openEpoch(info: EpochInfo): Promise<void>;
  /** Ends the reading of the ring: the engine failed. */
  stopReading(): void;
  isHandingOver(): boolean;
  /** The second worker names the parts before this one does. */
  isOvertaken(): boolean;
  metrics: LiveMetrics;
  log: Logger;
  signal: AbortSignal;
};

/**
 * Why an epoch ended. `left`: the publisher did; `silent`: nothing came any more; `lighter`, `heavier`: it shall go on with fewer or more
 * renditions; `rejoin`: too far behind, go on with what comes now; `moved`: the leader writes another epoch.
 */
export type EngineOutcome =
  | 'break'
  | 'left'
  | 'silent'
  | 'end'
  | 'handed over'
  | 'crashed'
  | 'init differs'
  | 'lighter'
  | 'heavier'
  | 'rejoin'
  | 'moved';

/** Nothing named for so long while media comes: the age of what is not named yet is the lag. Unit: ms. */
const QUIET_MS = 1_000;
/** Parts on their way that are measured. */
const UNNAMED_LIMIT = 1_000;

export class LiveEngine {
  readonly load = new LoadWatch();
  readonly #deps: EngineDeps;
  #crash: unknown = null;
  #verdict: 'lighter' | 'heavier' | 'rejoin' | null = null;
  #arrivals = new Arrivals();
  /** Arrival of the newest frame of parts not named yet, by place. */
  #unnamed = new Map<string, number>();
  #renditions: string[] = [];
  #lagMs = 0;
  #encodeLagMs = 0;
  #namedAt = 0;
  #fedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  /** What made the last engine fail. */
  get crash(): unknown {
    return this.#crash;
  }

  /** lagS: from a frame's arrival at the ingest to its part being named. Unit: s. */
  status(): { lagS: number; renditions: string[] } {
    const now = performance.now();
    const quietMs = now - this.#namedAt;
    const renditions = this.#renditions;
    if (now - this.#fedAt > 2 * SILENCE_MS) return { lagS: 0, renditions };
    // A second worker names nothing while the first one is in time.
    if (this.#deps.standing.place === 'hot') return { lagS: this.#encodeLagMs / 1_000, renditions };
    return { lagS: (quietMs > QUIET_MS ? this.#lagMs + quietMs : this.#lagMs) / 1_000, renditions };
  }

  /** A part was named. */
  named(entry: TimelineEntry): void {
    const place = `${entry.msn}.${entry.part}`;
    const arrival = this.#unnamed.get(place);
    if (arrival === undefined) return;
    this.#unnamed.delete(place);
    this.#lagMs = Math.max(0, Date.now() - arrival);
    this.#namedAt = performance.now();
    this.#deps.metrics.publishLag.observe(this.#lagMs / 1_000);
  }

  /** @throws LiveSuperseded */
  async run(epoch: Epoch, feed: LiveFeed): Promise<EngineOutcome> {
    this.#crash = null;
    this.#verdict = null;
    this.#arrivals = new Arrivals();
    this.#unnamed.clear();
    this.#namedAt = performance.now();
    this.load.reset();
    const engine = this.#start(epoch);
    try {
      return await this.#pump(epoch, engine, feed);
    } catch (thrown) {
      if (!(thrown instanceof LiveEncoderFailed)) throw thrown;
      this.#crash ??= thrown;
      return 'crashed';
    } finally {
      await engine.kill();
      await this.#deps.publisher.settle();
      this.#renditions = [];
    }
  }

  #start(epoch: Epoch): MediaRun {
    const handlers: MediaHandlers = {
      onReady: (renditions) => this.#open(epoch, renditions),
      onPart: (part) => this.#publish(epoch, part),
      onFailure: (thrown) => {
        this.#crash = thrown;
        this.#deps.stopReading();
      },
    };
    const { work } = epoch;
    if (work.mode === 'copy') return new CopyRun(work.plan, handlers, this.#deps.log);
    return new EncodeRun(work.plan, handlers, this.#deps.log);
  }

  async #pump(epoch: Epoch, engine: MediaRun, feed: LiveFeed): Promise<EngineOutcome> {
    let isFirst = true;
    for (;;) {
      const item = await feed.next(SILENCE_MS);
      this.#deps.signal.throwIfAborted();
      if (this.#crash !== null) return this.#crashOutcome();
      if (this.#deps.isHandingOver()) return 'handed over';
      if (this.#deps.standing.hasLeft(epoch.info.epoch)) return 'moved';
      const end = this.#endOf(item);
      if (end === 'handed over') return end;
      if (end !== null) return this.#finish(engine, end);
      if (item.type !== 'video' && item.type !== 'audio') continue;
      if (isFirst) await engine.begin(item.dts);
      isFirst = false;
      if (await this.#deps.publisher.room()) this.load.reset();
      this.#fedAt = performance.now();
      if (item.type === epoch.leading) this.#arrivals.add(item.pts, item.arrival);
      await engine.feed(item);
    }
  }

  #endOf(item: FeedItem): EngineOutcome | null {
    if (item.type === 'break') {
      this.#deps.log.info('epoch ends', { reason: item.reason });
      return 'break';
    }
    if (item.type === 'away') return item.reason === 'left' ? 'left' : 'silent';
    if (item.type === 'end') return 'end';
    if (this.#verdict === null || this.#deps.standing.place === 'hot') return null;
    // The second worker keeps up: it goes on as the first, and viewers see nothing of this one's trouble.
    return this.#deps.isOvertaken() ? 'handed over' : this.#verdict;
  }

  async #finish(engine: MediaRun, outcome: EngineOutcome): Promise<EngineOutcome> {
    await engine.finish();
    if (this.#crash !== null) return this.#crashOutcome();
    await this.#deps.publisher.closeEpoch();
    if (outcome === 'lighter' || outcome === 'heavier' || outcome === 'rejoin') {
      this.load.follow(outcome, performance.now());
      this.#deps.log.warn('encoder load', { verdict: outcome, dropped: this.load.dropped });
      this.#deps.metrics.loadChanges.add({ verdict: outcome });
    }
    return outcome;
  }

  #crashOutcome(): EngineOutcome {
    if (this.#crash instanceof LiveSuperseded) throw this.#crash;
    if (!(this.#crash instanceof LiveInitDiffers)) return 'crashed';
    this.#deps.log.warn('epoch cannot go on here', { err: this.#crash });
    return 'init differs';
  }

  /** Init parts stored, epoch in the record; only then parts may be named. */
  async #open(epoch: Epoch, renditions: ReadyRendition[]): Promise<void> {
    const { publisher, openEpoch, log } = this.#deps;
    await publisher.storeInits(epoch.info.epoch, renditions);
    if (epoch.isNew) {
      epoch.info = { ...epoch.info, renditions: renditions.map(({ info }) => info) };
      await openEpoch(epoch.info);
    }
    publisher.beginEpoch(epoch.info);
    this.#renditions = epoch.info.renditions.map(({ name }) => name);
    const { epoch: number, msn0, fps, ts0, part_frames, grid } = epoch.info;
    log.info('epoch open', {
      epoch: number,
      isNew: epoch.isNew,
      msn: epoch.firstMsn,
      msn0,
      fps,
      ts0,
      part_frames,
      grid,
    });
  }

  #publish(epoch: Epoch, part: CutPart): void {
    const [lead] = epoch.info.renditions;
    if (lead !== undefined && part.rendition === lead.name) {
      const arrival = this.#arrivals.until((1_000 * (part.tfdt + part.duration)) / lead.timescale);
      if (arrival > 0) this.#measure(epoch, part, arrival);
    }
    this.#deps.publisher.add(part);
  }

  #measure(epoch: Epoch, part: CutPart, arrival: number): void {
    const lagMs = Math.max(0, Date.now() - arrival);
    this.#deps.metrics.encodeLag.observe(lagMs / 1_000);
    this.#encodeLagMs = lagMs;
    // What the other worker named stays in here.
    if (this.#unnamed.size > UNNAMED_LIMIT) this.#unnamed.clear();
    this.#unnamed.set(`${part.msn}.${part.part}`, arrival);
    if (epoch.work.mode === 'copy' || this.#verdict !== null) return;
    const rungs = rungsOf(this.#deps.standing.record.epochs[0]?.renditions ?? []).length;
    const verdict = this.load.observe(performance.now(), lagMs, rungs);
    if (verdict !== 'fine') this.#verdict = verdict;
  }
}
