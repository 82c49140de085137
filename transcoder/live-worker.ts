// The live worker: takes `live` jobs, and for each the lease and the term of its broadcast; then a LiveRun does the work. A second worker
// (hot redundancy) begins without the term, and takes it when the first one's lease lapses.
import type { Lease, Leases } from '../platform/adapters/leases.ts';
import type { Records } from '../platform/adapters/records.ts';
import type { RedisClient } from '../platform/adapters/redis.ts';
import type { Registry } from '../platform/adapters/registry.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import {
  entryId,
  parseEntries,
  type TimelineFollower,
  TimelineRefused,
  type TimelineWriter,
} from '../platform/adapters/timeline-store.ts';
import { type BroadcastId, type ContentId, contentOf, type NodeId, type StreamId } from '../platform/contract/ids.ts';
import type { LiveJob } from '../platform/contract/jobs.ts';
import type { LiveEncode } from '../platform/contract/nodes.ts';
import type { BroadcastRecord, EpochInfo } from '../platform/contract/records.ts';
import { leases as leaseNames, timelineKey } from '../platform/contract/redis-keys.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { createHttpClient, type HttpClient } from '../platform/runtime/http-client.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Metrics } from '../platform/runtime/metrics.ts';
import { backoffMs, delay } from '../platform/runtime/waits.ts';
import { LiveSuperseded } from './live-errors.ts';
import { LiveHistory } from './live-history.ts';
import type { MediaStore } from './live-media-store.ts';
import { createLiveMetrics, type LiveMetrics } from './live-metrics.ts';
import type { LivePictures } from './live-pictures.ts';
import type { RingHome } from './live-ring.ts';
import { LiveRun } from './live-run.ts';

/** Picked by transcoder/config.ts from INTERNAL_SECRET, TRANSCODER_LIVE_PRESET, TRANSCODER_LIVE_MAX_RUNGS. */
export type LiveWorkerConfig = {
  node: NodeId;
  internalSecret: string;
  livePreset: string;
  liveMaxRungs: number;
};
export type LiveWorkerDeps = {
  storage: ObjectStorage;
  records: Pick<Records, 'get' | 'update'>;
  leases: Pick<Leases, 'acquire'>;
  timeline: TimelineWriter;
  /** For second workers: reads timelines as they grow. */
  follower: Pick<TimelineFollower, 'follow'>;
  media: MediaStore;
  /** Cuts pictures of a broadcast as it goes on. */
  pictures(content: ContentId, log: Logger, epochOf: (epoch: number) => EpochInfo | undefined): LivePictures;
  /** Raw yuv420p of a stream's slate in this size; null: it has none. Without it the slate is a plain card. */
  slatePicture?(stream: StreamId, width: number, height: number): Promise<Uint8Array | null>;
  /** Hints that a broadcast changed. Never throws. */
  announce(broadcast: BroadcastId): Promise<void>;
  redis: Pick<RedisClient, 'xRange'>;
  registry: Pick<Registry, 'nodes'>;
  log: Logger;
  metrics: Metrics;
};
/** What a job of the queue brings along. */
export type LiveJobContext = { signal: AbortSignal; log: Logger };
export interface LiveWorker extends Component {
  /**
   * Carries the broadcast until it ends, another worker takes it, or this one drains.
   * @throws LiveEncoderFailed when ffmpeg keeps failing: the next term tries elsewhere
   */
  handle(payload: LiveJob, context: LiveJobContext): Promise<void>;
  /** Hands every broadcast over: another worker goes on within seconds. */
  drain(): Promise<void>;
  /** Broadcasts carried now. */
  active(): number;
  /** What the node says of them, by broadcast id. */
  encodes(): Record<string, LiveEncode>;
}

const LEASE_MS = 3_000;
/** How long beyond its expiry another worker's lease is waited for, and how often it is tried. */
const LEASE_GRACE_MS = 500;
const LEASE_RETRY_MS = 100;
/** How often a second worker tries the first one's lease. Unit: ms. */
const PROMOTE_MS = 200;
const RETRY_CAP_MS = 1_000;
/** Rings of one ingest node that are read at a time: more than one worker carries. */
const RING_CONNECTIONS = 512;
const CONNECT_MS = 2_000;

class Worker implements LiveWorker {
  readonly #config: LiveWorkerConfig;
  readonly #deps: LiveWorkerDeps;
  readonly #metrics: LiveMetrics;
  readonly #runs = new Map<LiveRun, { broadcast: BroadcastId; done: Promise<void> }>();
  #http: HttpClient | null = null;
  #isDraining = false;

  constructor(config: LiveWorkerConfig, deps: LiveWorkerDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#metrics = createLiveMetrics(deps.metrics);
  }

  async start(): Promise<void> {
    this.#http = createHttpClient(RING_CONNECTIONS, CONNECT_MS);
  }

  active(): number {
    return this.#runs.size;
  }

  encodes(): Record<string, LiveEncode> {
    return Object.fromEntries([...this.#runs].map(([run, { broadcast }]) => [broadcast, run.status()]));
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#runs].map(([run, { done }]) => run.handOver().then(() => done)));
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    const running = [...this.#runs];
    for (const [run] of running) run.abort(new LiveSuperseded('(the worker is closing)'));
    await Promise.all(running.map(([, { done }]) => done));
    await this.#http?.close();
    this.#http = null;
  }

  async handle(payload: LiveJob, context: LiveJobContext): Promise<void> {
    if (this.#isDraining) return;
    if (payload.place === 'hot') return this.#handleHot(payload.broadcast_id, context);
    const { broadcast_id: broadcast, term } = payload;
    const log = context.log.child({ broadcast, term });
    const lease = await this.#acquire(broadcast, context.signal);
    if (lease === null) {
      log.info('broadcast is carried by another worker');
      return;
    }
    try {
      const record = await this.#claim(broadcast, term);
      if (record === null) log.info('term is not next');
      else await this.#carry(this.#createRun(record, 'leader', log), broadcast, [lease.lost, context.signal], log);
    } finally {
      await lease.release();
    }
  }

  /** Stands by until the first worker is gone. */
  async #handleHot(broadcast: BroadcastId, context: LiveJobContext): Promise<void> {
    const log = context.log.child({ broadcast, place: 'hot' });
    const record = (await this.#deps.records.get('broadcast', broadcast))?.value;
    // On one node both would die together; the job is enqueued again and may reach another.
    if (record === undefined || record.status === 'ended' || record.worker === this.#config.node) return;
    const lease = await this.#deps.leases.acquire(leaseNames.liveHot(broadcast), LEASE_MS, { isKept: true });
    if (lease === null) return;
    const run = this.#createRun(record, 'hot', log);
    const over = new AbortController();
    const promoting = this.#promote(
      run,
      broadcast,
      lease,
      AbortSignal.any([over.signal, lease.lost, context.signal]),
      log,
    );
    try {
      await this.#carry(run, broadcast, [lease.lost, context.signal], log);
    } finally {
      over.abort();
      const taken = await promoting;
      await lease.release();
      await taken?.release();
    }
  }

  /** Tries the first worker's lease until it is free; then the run goes on under the next term. Never rejects. */
  async #promote(
    run: LiveRun,
    broadcast: BroadcastId,
    hot: Lease,
    stop: AbortSignal,
    log: Logger,
  ): Promise<Lease | null> {
    while (!stop.aborted) {
      try {
        const lease = await this.#deps.leases.acquire(leaseNames.live(broadcast), LEASE_MS, { isKept: true });
        if (lease !== null) {
          const record = stop.aborted ? null : await this.#claim(broadcast, null);
          if (record === null) {
            await lease.release();
            return null;
          }
          lease.lost.addEventListener('abort', () => run.abort(new LiveSuperseded(broadcast)), { once: true });
          await run.standing.promote(record);
          this.#metrics.promotions.add();
          log.info('goes on as the first worker', { term: record.term });
          await hot.release();
          return lease;
        }
      } catch (thrown) {
        if (thrown instanceof TimelineRefused) {
          run.abort(new LiveSuperseded(broadcast, { cause: thrown }));
          return null;
        }
        log.debug('lease of the first worker not tried', { err: thrown });
      }
      await delay(PROMOTE_MS, stop);
    }
    return null;
  }

  /** A worker that died leaves its lease behind until it expires: the job is worth that wait. */
  async #acquire(broadcast: BroadcastId, signal: AbortSignal): Promise<Lease | null> {
    const deadline = performance.now() + LEASE_MS + LEASE_GRACE_MS;
    for (;;) {
      const lease = await this.#deps.leases.acquire(leaseNames.live(broadcast), LEASE_MS, { isKept: true });
      if (lease !== null || signal.aborted || this.#isDraining || performance.now() > deadline) return lease;
      await delay(LEASE_RETRY_MS, signal);
    }
  }

  /** Takes the term (null: whichever is next); null when the job is out of date. */
  async #claim(broadcast: BroadcastId, term: number | null): Promise<BroadcastRecord | null> {
    let isClaimed = false;
    const stored = await this.#deps.records.update('broadcast', broadcast, (record) => {
      const next = record.term + 1;
      isClaimed = (term === null || next === term) && record.status !== 'ended';
      return isClaimed ? { ...record, term: next, worker: this.#config.node } : null;
    });
    return isClaimed && stored !== null ? stored.value : null;
  }

  async #carry(run: LiveRun, broadcast: BroadcastId, ends: AbortSignal[], log: Logger): Promise<void> {
    const stop = () => run.abort(new LiveSuperseded(broadcast));
    for (const signal of ends) {
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
    }
    const work = this.#work(run, broadcast, log);
    const done = work.catch(() => undefined);
    this.#runs.set(run, { broadcast, done });
    try {
      await work;
    } finally {
      for (const signal of ends) signal.removeEventListener('abort', stop);
      this.#runs.delete(run);
    }
  }

  async #work(run: LiveRun, broadcast: BroadcastId, log: Logger): Promise<void> {
    log.info('broadcast taken', { place: run.standing.place });
    try {
      const outcome = await run.run();
      if (outcome === 'ended' && run.standing.place === 'leader') await this.#end(broadcast, run, log);
      log.info(outcome === 'ended' ? 'broadcast ended' : 'broadcast handed over');
    } catch (thrown) {
      if (!(thrown instanceof LiveSuperseded)) throw thrown;
      log.warn('broadcast left', { err: thrown });
    }
  }

  /** The record says it last: until then another worker would do the end again. */
  async #end(broadcast: BroadcastId, run: LiveRun, log: Logger): Promise<void> {
    const { records, announce } = this.#deps;
    const { term } = run.standing;
    for (let attempt = 0; !run.isStopped; attempt += 1) {
      try {
        await records.update('broadcast', broadcast, (record) =>
          record.term === term && record.status !== 'ended'
            ? { ...record, status: 'ended', ended_at: Date.now(), worker: null }
            : null,
        );
        return await announce(broadcast);
      } catch (thrown) {
        if (attempt === 2) log.warn('end of the broadcast not written yet', { err: thrown });
        await delay(backoffMs(attempt, 100, RETRY_CAP_MS));
      }
    }
  }

  #createRun(record: BroadcastRecord, place: 'leader' | 'hot', log: Logger): LiveRun {
    const { node, livePreset: preset, liveMaxRungs: maxRungs, internalSecret } = this.#config;
    const { storage, media, timeline, follower, redis, records, pictures } = this.#deps;
    const broadcast = record.id;
    const content = contentOf(broadcast);
    const http = this.#http;
    if (http === null) throw new LiveSuperseded(broadcast);
    const locate = (failures: number) => this.#locate(broadcast, failures, log);
    return new LiveRun(
      record,
      { broadcast, place, node, preset, maxRungs },
      {
        storage,
        media,
        timeline,
        follower,
        history: new LiveHistory({ content, storage, media, timeline, redis, log }),
        pictures: (epochOf) => pictures(content, log, epochOf),
        slatePicture: async (...args) => (await this.#deps.slatePicture?.(...args)) ?? null,
        entriesAfter: (after) => this.#entries(content, after === null ? '-' : `(${entryId(after)}`, '+'),
        entryAt: async (at) => (await this.#entries(content, entryId(at), entryId(at)))[0] ?? null,
        ring: { secret: internalSecret, http, locate },
        readRecord: async () => (await records.get('broadcast', broadcast))?.value ?? null,
        change: (term, change) => this.#change(broadcast, term, change),
        metrics: this.#metrics,
        log,
      },
    );
  }

  async #entries(content: ContentId, from: string, to: string): Promise<TimelineEntry[]> {
    return parseEntries(await this.#deps.redis.xRange(timelineKey(content), from, to)).entries;
  }

  async #change(
    broadcast: BroadcastId,
    term: number,
    change: (record: BroadcastRecord) => BroadcastRecord,
  ): Promise<BroadcastRecord> {
    let isOurs = false;
    const stored = await this.#deps.records.update('broadcast', broadcast, (record) => {
      isOurs = record.term === term;
      return isOurs ? change(record) : null;
    });
    if (!isOurs || stored === null) throw new LiveSuperseded(broadcast);
    return stored.value;
  }

  /**
   * The ingest node with the publisher. Between two publishers nobody is named, but the ring is still at the last one's node: each is
   * asked in turn. A broadcast that is ending is over when none has a ring.
   */
  async #locate(broadcast: BroadcastId, failures: number, log: Logger): Promise<RingHome> {
    try {
      const record = (await this.#deps.records.get('broadcast', broadcast))?.value;
      if (record === undefined || record.status === 'ended') return 'over';
      const nodes = this.#deps.registry.nodes('ingest');
      if (record.status === 'ending' && failures >= nodes.length) return 'over';
      const publishing = nodes.find((node) => node.id === record.ingest?.node);
      const asked = record.ingest === null ? nodes[failures % Math.max(1, nodes.length)] : publishing;
      return asked === undefined ? 'away' : { url: asked.url };
    } catch (thrown) {
      log.debug('broadcast record not read', { err: thrown });
      return 'away';
    }
  }
}

/** Free of effects; handle() may be called after start(). */
export function createLiveWorker(config: LiveWorkerConfig, deps: LiveWorkerDeps): LiveWorker {
  return new Worker(config, deps);
}
