// The live worker: takes `live` jobs, and for each the lease and the term of its broadcast; then a LiveRun does the work.
import type { Lease, Leases } from '../platform/adapters/leases.ts';
import type { Records } from '../platform/adapters/records.ts';
import type { RedisClient } from '../platform/adapters/redis.ts';
import type { Registry } from '../platform/adapters/registry.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { TimelineWriter } from '../platform/adapters/timeline-store.ts';
import { type BroadcastId, contentOf, type NodeId } from '../platform/contract/ids.ts';
import type { LiveJob } from '../platform/contract/jobs.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import { createHttpClient, type HttpClient } from '../platform/runtime/http-client.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Metrics } from '../platform/runtime/metrics.ts';
import { delay } from '../platform/runtime/waits.ts';
import { LiveSuperseded } from './live-errors.ts';
import { LiveHistory } from './live-history.ts';
import { createLiveMetrics, type LiveMetrics } from './live-metrics.ts';
import type { RingHome } from './live-ring.ts';
import { LiveRun } from './live-run.ts';

/** Picked by transcoder/config.ts from INTERNAL_SECRET, TRANSCODER_LIVE_PRESET, TRANSCODER_LIVE_MAX_RUNGS, LIVE_WINDOW_S. */
export type LiveWorkerConfig = {
  node: NodeId;
  internalSecret: string;
  livePreset: string;
  liveMaxRungs: number;
  liveWindowS: number;
};
export type LiveWorkerDeps = {
  storage: ObjectStorage;
  records: Pick<Records, 'get' | 'update'>;
  leases: Pick<Leases, 'acquire'>;
  timeline: TimelineWriter;
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
}

const LEASE_MS = 3_000;
/** How long beyond its expiry another worker's lease is waited for, and how often it is tried. */
const LEASE_GRACE_MS = 500;
const LEASE_RETRY_MS = 100;
const RING_CONNECTIONS = 64;
const CONNECT_MS = 2_000;

class Worker implements LiveWorker {
  readonly #config: LiveWorkerConfig;
  readonly #deps: LiveWorkerDeps;
  readonly #metrics: LiveMetrics;
  readonly #runs = new Map<LiveRun, Promise<void>>();
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

  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#runs].map(([run, done]) => run.handOver().then(() => done)));
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    const running = [...this.#runs];
    for (const [run] of running) run.abort(new LiveSuperseded('(the worker is closing)'));
    await Promise.all(running.map(([, done]) => done));
    await this.#http?.close();
    this.#http = null;
  }

  async handle(payload: LiveJob, context: LiveJobContext): Promise<void> {
    if (this.#isDraining) return;
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
      else await this.#carry(record, payload, [lease.lost, context.signal], log);
    } finally {
      await lease.release();
    }
  }

  /** A worker that died leaves its lease behind until it expires: the job is worth that wait. */
  async #acquire(broadcast: BroadcastId, signal: AbortSignal): Promise<Lease | null> {
    const deadline = performance.now() + LEASE_MS + LEASE_GRACE_MS;
    for (;;) {
      const lease = await this.#deps.leases.acquire(leaseNames.live(broadcast), LEASE_MS);
      if (lease !== null || signal.aborted || this.#isDraining || performance.now() > deadline) return lease;
      await delay(LEASE_RETRY_MS, signal);
    }
  }

  /** Takes the term; null when the job is out of date. */
  async #claim(broadcast: BroadcastId, term: number): Promise<BroadcastRecord | null> {
    let isClaimed = false;
    const stored = await this.#deps.records.update('broadcast', broadcast, (record) => {
      isClaimed = record.term === term - 1 && record.status !== 'ended';
      return isClaimed ? { ...record, term, worker: this.#config.node } : null;
    });
    return isClaimed && stored !== null ? stored.value : null;
  }

  async #carry(record: BroadcastRecord, job: LiveJob, ends: AbortSignal[], log: Logger): Promise<void> {
    const run = this.#createRun(record, job, log);
    const stop = () => run.abort(new LiveSuperseded(job.broadcast_id));
    for (const signal of ends) {
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
    }
    const work = this.#work(run, job, log);
    this.#runs.set(
      run,
      work.catch(() => undefined),
    );
    try {
      await work;
    } finally {
      for (const signal of ends) signal.removeEventListener('abort', stop);
      this.#runs.delete(run);
    }
  }

  async #work(run: LiveRun, job: LiveJob, log: Logger): Promise<void> {
    log.info('broadcast taken');
    try {
      const outcome = await run.run();
      if (outcome === 'ended') await this.#end(job);
      log.info(outcome === 'ended' ? 'broadcast ended' : 'broadcast handed over');
    } catch (thrown) {
      if (!(thrown instanceof LiveSuperseded)) throw thrown;
      log.warn('broadcast left', { err: thrown });
    }
  }

  async #end({ broadcast_id: broadcast, term }: LiveJob): Promise<void> {
    await this.#deps.records.update('broadcast', broadcast, (record) =>
      record.term === term && record.status !== 'ended'
        ? { ...record, status: 'ended', ended_at: Date.now(), worker: null }
        : null,
    );
  }

  #createRun(record: BroadcastRecord, { broadcast_id: broadcast, term }: LiveJob, log: Logger): LiveRun {
    const { node, livePreset: preset, liveMaxRungs: maxRungs, liveWindowS: windowS, internalSecret } = this.#config;
    const { storage, timeline, redis } = this.#deps;
    const history = new LiveHistory({ content: contentOf(broadcast), storage, timeline, redis, windowS, log });
    const http = this.#http;
    if (http === null) throw new LiveSuperseded(broadcast);
    const locate = (failures: number) => this.#locate(broadcast, failures, log);
    return new LiveRun(
      record,
      { broadcast, term, node, preset, maxRungs },
      {
        storage,
        timeline,
        history,
        ring: { secret: internalSecret, http, locate },
        change: (change) => this.#change(broadcast, term, change),
        metrics: this.#metrics,
        log,
      },
    );
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
