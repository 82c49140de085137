// One worker's time with one broadcast: from the claimed term to the end, a hand-over, or a lost term. Epochs follow one another here;
// inside an epoch an engine does its work (live-engine.ts), and between two of them there may be a pause (live-pause.ts).
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { TimelineFollower, TimelineWriter } from '../platform/adapters/timeline-store.ts';
import { type BroadcastId, contentOf, type NodeId, newWriterTag, type StreamId } from '../platform/contract/ids.ts';
import type { LiveEncode } from '../platform/contract/nodes.ts';
import type { AssetError, BroadcastRecord, EpochInfo } from '../platform/contract/records.ts';
import type { Position, TimelineEntry } from '../platform/contract/timeline.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import { LiveAppender, type UnsignedEntry } from './live-append.ts';
import { type EngineOutcome, LiveEngine } from './live-engine.ts';
import { LiveEncoderFailed, LiveSuperseded } from './live-errors.ts';
import { faultOf } from './live-faults.ts';
import { LiveFeed, SILENCE_MS } from './live-feed.ts';
import { LiveGaps } from './live-gaps.ts';
import type { LiveHistory } from './live-history.ts';
import { LiveStanding } from './live-hot.ts';
import type { MediaStore } from './live-media-store.ts';
import type { LiveMetrics } from './live-metrics.ts';
import { LivePause } from './live-pause.ts';
import type { LivePictures } from './live-pictures.ts';
import { type Epoch, EpochPlanner, type Resume, type Start } from './live-plans.ts';
import { probeSource, type Shown } from './live-probe.ts';
import { LivePublisher } from './live-publisher.ts';
import { type RingDeps, readRing } from './live-ring.ts';
import { rungsOf } from './live-rungs.ts';

export type LiveRunOptions = {
  broadcast: BroadcastId;
  place: 'leader' | 'hot';
  node: NodeId;
  preset: string;
  maxRungs: number;
};
export type LiveRunDeps = {
  storage: ObjectStorage;
  media: MediaStore;
  timeline: TimelineWriter;
  follower: Pick<TimelineFollower, 'follow'>;
  history: LiveHistory;
  pictures(epochOf: (epoch: number) => EpochInfo | undefined): LivePictures;
  /** Raw yuv420p of a stream's slate in this size; null: it has none. */
  slatePicture(stream: StreamId, width: number, height: number): Promise<Uint8Array | null>;
  /** Entries after a place, ascending; one entry. @throws RedisUnavailable */
  entriesAfter(place: Position | null): Promise<TimelineEntry[]>;
  entryAt(place: Position): Promise<TimelineEntry | null>;
  ring: Omit<RingDeps, 'broadcast' | 'log'>;
  readRecord(): Promise<BroadcastRecord | null>;
  /** Changes the broadcast record while it is at this term. @throws LiveSuperseded when it is not */
  change(term: number, change: (record: BroadcastRecord) => BroadcastRecord): Promise<BroadcastRecord>;
  metrics: LiveMetrics;
  log: Logger;
};
/** `ended`: everything is published. `handed over`: another worker shall continue. */
export type LiveOutcome = 'ended' | 'handed over';
/** `idle`: a second worker with nothing to do until the leader goes on. */
type FollowOutcome = LiveOutcome | Exclude<EngineOutcome, 'break' | 'left' | 'end' | 'moved'> | 'idle';

const RESTARTS_PER_MINUTE = 5;
/** A hand-over waits this long for the open segment to close. Unit: ms. */
const HAND_OVER_MS = 4_000;
/** What the worker's disk holds has so long to reach the store before the broadcast ends all the same. Unit: ms. */
const SETTLE_MS = 60_000;

export class LiveRun {
  readonly standing: LiveStanding;
  readonly #options: LiveRunOptions;
  readonly #deps: LiveRunDeps;
  readonly #publisher: LivePublisher;
  readonly #appender: LiveAppender;
  readonly #planner: EpochPlanner;
  readonly #pause: LivePause;
  readonly #engine: LiveEngine;
  readonly #pictures: LivePictures;
  /** Aborted with the reason why this worker must stop. */
  readonly #stop = new AbortController();
  /** Aborted when the reading of the ring shall end: crash, hand-over, stop. */
  #reading = new AbortController();
  #restarts: number[] = [];
  #isHandingOver = false;
  /** Newest epoch that a second worker joined. */
  #joined: number | null = null;

  constructor(record: BroadcastRecord, options: LiveRunOptions, deps: LiveRunDeps) {
    this.#options = options;
    this.#deps = deps;
    const { history, metrics, log, timeline, storage, media } = deps;
    const signal = this.#stop.signal;
    const content = contentOf(options.broadcast);
    const writer = newWriterTag();
    const seed = (term: number) => timeline.seed(content, term, history.entries());
    const { follower, entriesAfter, readRecord } = deps;
    const base = { content, history, log, signal };
    const standing = { ...base, writer, follower, entriesAfter, seed, readRecord, wait: delay };
    this.standing = new LiveStanding(record, options.place, standing);
    this.#pictures = deps.pictures((epoch) => this.standing.record.epochs.find((info) => info.epoch === epoch));
    const accepted = deps.entryAt;
    const onNamed = (entry: TimelineEntry) => this.#engine.named(entry);
    const naming = { ...base, writer, timeline, standing: this.standing, accepted, onNamed, metrics };
    this.#appender = new LiveAppender(naming);
    const publishing = { storage, media, appender: this.#appender, history, metrics, log, signal };
    const fail = (thrown: unknown) => this.abort(thrown);
    const onClosed = (entry: UnsignedEntry) => this.#segmentClosed(entry);
    this.#publisher = new LivePublisher({ content, node: options.node, writer }, { ...publishing, fail, onClosed });
    this.#planner = new EpochPlanner(
      { content, preset: options.preset, maxRungs: options.maxRungs },
      { storage, history },
    );
    const driving = {
      publisher: this.#publisher,
      standing: this.standing,
      openEpoch: (info: EpochInfo) => this.#writeEpoch(info),
      isHandingOver: () => this.#isHandingOver,
      isOvertaken: () => record.redundancy === 'hot' && this.#appender.isOvertaken,
      metrics,
      log,
      signal,
    };
    this.#engine = new LiveEngine({ ...driving, stopReading: () => this.#reading.abort() });
    this.#pause = new LivePause({
      standing: this.standing,
      history,
      planner: this.#planner,
      publisher: this.#publisher,
      gaps: new LiveGaps({ addGap: (entry) => this.#publisher.addGap(entry), now: Date.now, wait: delay }),
      engine: new LiveEngine({ ...driving, stopReading: () => undefined }),
      slatePicture: deps.slatePicture,
      log,
    });
  }

  get isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Stops at once and writes nothing more; run() rejects with `reason`. */
  abort(reason: unknown): void {
    this.#stop.abort(reason);
    this.#reading.abort();
    this.standing.stop();
  }

  /** Lets the open segment close (a few seconds at most), then run() ends with `handed over`. A second worker leaves at once. */
  async handOver(): Promise<void> {
    if (this.standing.place === 'hot') {
      this.abort(new LiveSuperseded(this.#options.broadcast));
      return;
    }
    const waited = new AbortController();
    if (!this.#pause.isOn) await Promise.race([this.#publisher.segmentClosed(), delay(HAND_OVER_MS, waited.signal)]);
    waited.abort();
    this.#isHandingOver = true;
    this.#reading.abort();
    this.standing.stop();
  }

  /** What the node says of this broadcast. */
  status(): LiveEncode {
    const spooled = this.#deps.media.waiting(contentOf(this.#options.broadcast));
    const { lagS, renditions } = this.#engine.status();
    const isOn = !this.#pause.isOn;
    return { place: this.standing.place, lag_s: isOn ? lagS : 0, renditions: isOn ? renditions : [], cost: 0, spooled };
  }

  /** @throws LiveSuperseded LiveEncoderFailed */
  async run(): Promise<LiveOutcome> {
    try {
      let start = await this.#firstStart();
      for (;;) {
        if (start === 'ended' || start === 'handed over') return start;
        const outcome = await this.#follow(start);
        this.#stop.signal.throwIfAborted();
        start = await this.#startAfter(outcome);
      }
    } finally {
      this.standing.stop();
      await this.#pause.stop();
    }
  }

  async #firstStart(): Promise<Start | LiveOutcome> {
    const { history, metrics } = this.#deps;
    const { record, place, term } = this.standing;
    if (place === 'hot') {
      await this.standing.follow();
      return this.#join();
    }
    await history.restore(record, term);
    if (record.epochs.length > 0) metrics.takeovers.add();
    this.#engine.load.begin(rungsLeftOut(record));
    return this.#planner.resumeStart(record);
  }

  async #startAfter(outcome: FollowOutcome): Promise<Start | LiveOutcome> {
    const { record } = this.standing;
    if (outcome === 'ended' || outcome === 'handed over') return outcome;
    if (outcome === 'idle') return this.#join();
    if (outcome === 'crashed') {
      await this.#pauseAfterCrash();
      return this.#planner.resumeStart(record);
    }
    const fresh = this.#planner.freshStart(record);
    return outcome === 'rejoin' ? { ...fresh, place: { from: 'live' } } : fresh;
  }

  /** Second worker: waits until there is something to encode, or until it is the first. */
  async #join(): Promise<Start | LiveOutcome> {
    if (this.#isHandingOver) return 'handed over';
    const step = await this.standing.next(this.#joined);
    if (step === 'over') return 'ended';
    const { record } = this.standing;
    this.#joined = record.epochs.at(-1)?.epoch ?? null;
    if (step === 'promoted') this.#engine.load.begin(rungsLeftOut(record));
    return this.#planner.resumeStart(record);
  }

  async #pauseAfterCrash(): Promise<void> {
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < 60_000), now];
    this.#deps.metrics.encoderRestarts.add();
    const cause = this.#engine.crash;
    this.#deps.log.warn('encoder failed', { err: cause, restarts: this.#restarts.length });
    if (this.#restarts.length > RESTARTS_PER_MINUTE) {
      throw new LiveEncoderFailed('it was started too often within a minute', { cause });
    }
    await delay(100 * this.#restarts.length, this.#stop.signal);
  }

  async #follow(start: Start): Promise<FollowOutcome> {
    this.#reading = new AbortController();
    if (this.#stop.signal.aborted || this.#isHandingOver) this.#reading.abort();
    const ring = { ...this.#deps.ring, broadcast: this.#options.broadcast, log: this.#deps.log };
    const feed = new LiveFeed(readRing(start.place, ring, this.#reading.signal));
    let { resume } = start;
    try {
      for (;;) {
        try {
          const outcome = await this.#nextEpoch(feed, resume, start.shown);
          if (outcome !== 'break' && outcome !== 'left' && outcome !== 'end') return outcome;
        } catch (thrown) {
          const fault = faultOf(thrown);
          if (fault === null) throw thrown;
          this.#deps.log.error('source cannot be shown', { err: thrown });
          await this.#setFault(fault);
          await this.#skipSession(feed);
        }
        resume = null;
      }
    } finally {
      this.#reading.abort();
      await feed.close();
    }
  }

  /** One epoch, from its plan to its end. */
  async #nextEpoch(
    feed: LiveFeed,
    resume: Resume | null,
    shown: Shown | null,
  ): Promise<FollowOutcome | 'break' | 'left' | 'end'> {
    const { record } = this.standing;
    const [first] = record.epochs;
    if (first !== undefined) feed.kind = first.renditions[0]?.kind ?? 'video';
    let epoch = resume === null ? null : await this.#planner.resume(feed, resume, SILENCE_MS);
    if (epoch === null) {
      if (this.standing.place === 'hot') return 'idle';
      if (resume !== null && this.#deps.history.isReadBack) return 'rejoin';
      epoch = await this.#planNew(feed, shown);
    }
    if (epoch === null) return this.#close();
    const outcome = await this.#engine.run(epoch, feed);
    if (outcome === 'moved') return 'idle';
    if (this.standing.place === 'hot') return outcome === 'crashed' || outcome === 'handed over' ? outcome : 'idle';
    if (outcome === 'end') return this.#close();
    // The second worker still hears the publisher: this one does not, and lets it lead.
    if (outcome === 'silent' && record.redundancy === 'hot' && (await this.#isLedOn())) return 'handed over';
    if (outcome === 'left' || outcome === 'silent') await this.#pause.begin();
    // Too late for what is left out: a slate would cost what the machine does not have.
    if (outcome === 'rejoin') await this.#pause.begin('gaps');
    return outcome;
  }

  /** Another worker named media that this one does not have. */
  async #isLedOn(): Promise<boolean> {
    const { history, entriesAfter } = this.#deps;
    const after = await this.#appender.persist('read the timeline', () => entriesAfter(history.head));
    return this.#appender.isOvertaken || after.some((entry) => !entry.gap);
  }

  /** Null when nothing more comes. */
  async #planNew(feed: LiveFeed, shown: Shown | null): Promise<Epoch | null> {
    for (;;) {
      const { record } = this.standing;
      const isCopied = record.transcode === 'passthrough';
      const limitMs = record.epochs.length > 0 && !this.#pause.isOn ? SILENCE_MS : Number.POSITIVE_INFINITY;
      const options = { shown, limitMs, onFirst: (arrivalMs: number) => this.#pause.hold(arrivalMs) };
      const source = isCopied ? await this.#planner.probeCopy(feed, record, options) : await probeSource(feed, options);
      if (source === 'over' || this.#reading.signal.aborted) return null;
      if (source === 'away') {
        await this.#pause.begin();
        continue;
      }
      await this.#pause.end();
      await this.#deps.history.storeBlocks(false);
      if ('firstMsn' in source) return this.#planner.freshCopy(record, source);
      if (feed.kind === 'any') feed.kind = source.video === null ? 'audio' : 'video';
      // Read anew: a slate that was shown meanwhile is an epoch as well.
      return this.#planner.fresh(feed, this.standing.record, source, this.#engine.load.dropped);
    }
  }

  /** Nothing more came: what is open is closed, and everything goes to the store. */
  async #close(): Promise<LiveOutcome> {
    if (this.#isHandingOver) return 'handed over';
    this.#stop.signal.throwIfAborted();
    const { history, media, log } = this.#deps;
    await this.#pause.end();
    await history.storeBlocks(true);
    await this.#pictures.finish();
    const waiting = await media.settle(contentOf(this.#options.broadcast), SETTLE_MS);
    if (waiting > 0) log.error('broadcast ends before all of it is stored', { waiting });
    return 'ended';
  }

  async #segmentClosed(entry: UnsignedEntry): Promise<void> {
    if (this.standing.place === 'hot') return;
    this.#pictures.segmentClosed({ ...entry, term: this.standing.term });
    await this.#deps.history.storeBlocks(false);
  }

  /** Keeps the broadcast, so that no other worker tries the same in vain, until another publisher comes or nothing more does. */
  async #skipSession(feed: LiveFeed): Promise<void> {
    const { session } = feed;
    while (!this.#reading.signal.aborted && feed.session === session) {
      try {
        const item = await feed.next();
        if (feed.session !== session || item.type === 'end') {
          feed.unread([item]);
          break;
        }
      } catch (thrown) {
        this.#deps.log.debug('frame left out', { reason: messageOf(thrown) });
      }
    }
    if (feed.session !== session) await this.#setFault(null);
  }

  async #setFault(fault: AssetError | null): Promise<void> {
    if (this.standing.place === 'hot') return;
    await this.#change('write the fault', (record) => ({ ...record, fault }));
  }

  async #change(what: string, change: (record: BroadcastRecord) => BroadcastRecord): Promise<void> {
    const { standing } = this;
    const written = await this.#appender.persist(what, () => this.#deps.change(standing.term, change));
    standing.record = written;
  }

  /** A new epoch stands in the record before any of its parts is named. */
  #writeEpoch(info: EpochInfo): Promise<void> {
    const isKnown = (record: BroadcastRecord) => record.epochs.some((known) => known.epoch === info.epoch);
    return this.#change('write the epoch', (record) =>
      isKnown(record) ? record : { ...record, epochs: [...record.epochs, info] },
    );
  }
}

/** Rungs that the newest epoch lacks against the first one. */
function rungsLeftOut(record: BroadcastRecord): number {
  const [first] = record.epochs;
  const newest = record.epochs.at(-1);
  if (first === undefined || newest === undefined) return 0;
  return Math.max(0, rungsOf(first.renditions).length - rungsOf(newest.renditions).length);
}
