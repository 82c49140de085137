// The job queue: Bull, and the one file that names it. Bull only dispatches; lease and term decide who may publish, so a job that
// runs twice, or is forgotten by an emptied Redis, does no harm: its owner enqueues it again.
import Bull from 'bull';
import { type JobName, type JobPayload, type JobState, jobs } from '../contract/jobs.ts';
import { parseRedisUrl } from '../contract/redis-address.ts';
import { queuePrefix } from '../contract/redis-keys.ts';
import { AppError, messageOf } from '../runtime/errors.ts';
import type { Component } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { backoffMs, within } from '../runtime/waits.ts';
import { createQueueClient, type QueueClient } from './queue-clients.ts';
import { RedisUnavailable } from './redis.ts';

const ANSWER_MS = 5_000;
const START_MS = 10_000;
/** Time that aborted jobs have to end in close(). */
const ABORT_MS = 5_000;
/** Finished jobs kept per queue, for the status page. */
const KEEP_FINISHED = 200;
/**
 * A wait for jobs ends so soon, also that of a worker that stands still: before the lease of what it carries lapses (2 s at the earliest), so
 * that the job which takes its place reaches another.
 */
const BLOCK_S = 1;
/** A link that is silent for longer is dead. */
const DEAD_LINK_MS = 15_000;
const REPORT_EVERY_MS = 10_000;

/** One run of a job. */
export type JobContext = {
  id: string;
  /** 1 for the first. */
  attempt: number;
  /** Aborts when the queue is closed: end at once. */
  signal: AbortSignal;
  /** Aborts when the role drains: hand the work over soon, if it would run long. */
  draining: AbortSignal;
  /** Carries `job` and `queue`. */
  log: Logger;
};
export type JobHandler<N extends JobName> = (payload: JobPayload[N], context: JobContext) => Promise<void>;

/** A job as the status page shows it. Times: ms since the epoch. */
export type JobView = {
  id: string;
  name: JobName;
  state: JobState;
  attempts: number;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  failed_reason: string | null;
  payload: JobPayload[JobName];
};
export type JobCounts = Record<'waiting' | 'active' | 'delayed' | 'failed' | 'completed', number>;

/** Each call throws RedisUnavailable when Redis does not answer within 5 s. */
export interface JobQueue extends Component {
  /**
   * Adds a job unless its id is waiting, delayed or active. A finished job of the same id gives way.
   * @param options `priority`: 1 is first; none is before all
   */
  enqueue<N extends JobName>(
    name: N,
    jobId: string,
    payload: JobPayload[N],
    options?: { priority?: number },
  ): Promise<'added' | 'present'>;
  /**
   * Registers the handler, before start(). What it throws fails the attempt; an AppError that is not retryable fails the job.
   * @param concurrency jobs at a time in this process
   */
  process<N extends JobName>(name: N, concurrency: number, handler: JobHandler<N>): void;
  state(name: JobName, jobId: string): Promise<JobState | null>;
  /** Newest first. */
  list(name: JobName, limit: number): Promise<JobView[]>;
  /** Removes a job in any state but active; a missing or active one stays as it is. */
  remove(name: JobName, jobId: string): Promise<void>;
  counts(name: JobName): Promise<JobCounts>;
  /** Age of the job that waits longest, ms; 0 when none does. */
  oldestWaitingAgeMs(name: JobName): Promise<number>;
  /** Takes no new jobs, waits for the running ones. */
  drain(): Promise<void>;
}

/** REDIS_URL as Bull's client takes it; behind Sentinels it follows the master by itself. */
function connectionOf(url: string): Bull.QueueOptions['redis'] & object {
  const address = parseRedisUrl(url);
  if (address?.kind === 'sentinel') {
    const { sentinels, name, username, password, db } = address;
    const who = password === '' ? {} : { password, ...(username === '' ? {} : { username }) };
    return { sentinels, name, db, ...who };
  }
  const parsed = new URL(url);
  const db = Number(parsed.pathname.slice(1) || '0');
  const password = decodeURIComponent(parsed.password);
  const username = decodeURIComponent(parsed.username);
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(parsed.port || '6379'),
    db,
    ...(password === '' ? {} : { password }),
    ...(username === '' ? {} : { username }),
    ...(parsed.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

type Processor = { name: JobName; concurrency: number; run: (payload: unknown, context: JobContext) => Promise<void> };

class BullQueue implements JobQueue {
  readonly #url: string;
  readonly #names: readonly JobName[];
  readonly #log: Logger;
  readonly #queues = new Map<JobName, Bull.Queue<unknown>>();
  readonly #clients: QueueClient[] = [];
  readonly #processors: Processor[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #draining = new AbortController();
  #failures = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(redisUrl: string, names: readonly JobName[], log: Logger) {
    this.#url = redisUrl;
    this.#names = names;
    this.#log = log;
  }

  process<N extends JobName>(name: N, concurrency: number, handler: JobHandler<N>): void {
    if (concurrency < 1) return;
    const run = (payload: unknown, context: JobContext) => handler(payload as JobPayload[N], context);
    this.#processors.push({ name, concurrency, run });
  }

  async start(): Promise<void> {
    for (const name of this.#names) this.#queues.set(name, this.#open(name));
    try {
      // isReady() alone resolves before there is a connection.
      const ready = [...this.#queues.values()].map(async (queue) => (await queue.isReady()).getJobCounts());
      await within(Promise.all(ready), START_MS, 'connecting the queue');
    } catch (thrown) {
      await this.close();
      throw new RedisUnavailable('accept the queue within 10 s', { cause: thrown });
    }
    for (const processor of this.#processors) {
      const handle: Bull.ProcessPromiseFunction<unknown> = (job) => this.#run(processor, job);
      const running = this.#queue(processor.name).process(processor.concurrency, handle);
      // Resolves when the queue is closed.
      Promise.resolve(running).catch((thrown: unknown) => this.#report(processor.name, thrown));
    }
  }

  #open(name: JobName): Bull.Queue<unknown> {
    const { attempts, backoffMs: backoff, lockMs, renewMs, stalledCheckMs, maxStalled } = jobs[name];
    const queue = new Bull<unknown>(name, {
      prefix: queuePrefix,
      createClient: (type, options) => {
        const client = createQueueClient(type, options ?? {});
        this.#clients.push(client);
        return client;
      },
      redis: {
        ...connectionOf(this.#url),
        maxRetriesPerRequest: null,
        enableReadyCheck: false,
        connectTimeout: 3_000,
        socketTimeout: DEAD_LINK_MS,
        retryStrategy: (times: number) => backoffMs(times, 50, 1_000),
      },
      settings: {
        lockDuration: lockMs,
        lockRenewTime: renewMs,
        stalledInterval: stalledCheckMs,
        maxStalledCount: maxStalled,
        retryProcessDelay: 500,
        drainDelay: BLOCK_S,
      },
      defaultJobOptions: {
        attempts,
        backoff: { type: 'exponential', delay: backoff },
        removeOnComplete: KEEP_FINISHED,
        removeOnFail: KEEP_FINISHED,
      },
    });
    queue.on('error', (thrown) => this.#report(name, thrown));
    queue.on('stalled', (job: Bull.Job) => this.#log.warn('job stalled', { queue: name, job: String(job.id) }));
    queue.on('lock-extension-failed', (job: Bull.Job, thrown: Error) => {
      this.#log.warn('job lock not renewed', { queue: name, job: String(job.id), err: thrown });
    });
    return queue;
  }

  /** Link faults repeat many times a second; a job that Redis forgot (FLUSHALL) is told apart. */
  #report(name: JobName, thrown: unknown): void {
    this.#failures += 1;
    if (/^Missing (?:key|lock) for job/.test(messageOf(thrown))) {
      this.#log.warn('finished job was not in the queue any more', { queue: name, reason: messageOf(thrown) });
      return;
    }
    const now = performance.now();
    if (this.#closing.signal.aborted || now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    this.#log.warn('queue failed', { queue: name, failures: this.#failures, err: thrown });
  }

  #run(processor: Processor, job: Bull.Job<unknown>): Promise<void> {
    const work = this.#attempt(processor, job);
    const ended = work.then(
      () => undefined,
      () => undefined,
    );
    this.#running.add(ended);
    void ended.then(() => this.#running.delete(ended));
    return work;
  }

  async #attempt({ name, run }: Processor, job: Bull.Job<unknown>): Promise<void> {
    const id = String(job.id);
    const attempt = job.attemptsMade + 1;
    const log = this.#log.child({ queue: name, job: id, attempt });
    const context = { id, attempt, log, signal: this.#closing.signal, draining: this.#draining.signal };
    const startedAt = performance.now();
    log.info('job started');
    try {
      await run(jobs[name].payload.parse(job.data), context);
      log.info('job done', { ms: Math.round(performance.now() - startedAt) });
    } catch (thrown) {
      const isFinal = (thrown instanceof AppError && !thrown.retryable) || isSchemaFault(thrown);
      if (isFinal) await job.discard();
      log.warn('job failed', { err: thrown, is_final: isFinal, ms: Math.round(performance.now() - startedAt) });
      throw thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    }
  }

  #queue(name: JobName): Bull.Queue<unknown> {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new RedisUnavailable(`use the queue ${name}, which is not open`);
    return queue;
  }

  /** One call to Bull, with a time limit: it waits for ever while Redis is away. */
  async #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await within(work(), ANSWER_MS, what);
    } catch (thrown) {
      if (thrown instanceof RedisUnavailable) throw thrown;
      throw new RedisUnavailable(what, { cause: thrown });
    }
  }

  async enqueue<N extends JobName>(
    name: N,
    jobId: string,
    payload: JobPayload[N],
    options: { priority?: number } = {},
  ): Promise<'added' | 'present'> {
    const checked = jobs[name].payload.parse(payload);
    return this.#ask(`enqueue ${jobId}`, async () => {
      const queue = this.#queue(name);
      const present = await queue.getJob(jobId);
      if (present !== null) {
        const isFinished = (await present.isCompleted()) || (await present.isFailed());
        if (!isFinished) return 'present';
        await present.remove().catch(() => undefined);
      }
      await queue.add(checked, { ...options, jobId });
      return 'added';
    });
  }

  state(name: JobName, jobId: string): Promise<JobState | null> {
    return this.#ask(`read the state of ${jobId}`, async () => {
      const job = await this.#queue(name).getJob(jobId);
      return job === null ? null : stateOf(await job.getState());
    });
  }

  list(name: JobName, limit: number): Promise<JobView[]> {
    return this.#ask(`list the queue ${name}`, async () => {
      const queue = this.#queue(name);
      const states = ['active', 'waiting', 'delayed', 'failed', 'completed'] as const;
      const pages = await Promise.all(
        states.map(async (state) => {
          const found = await queue.getJobs([state], 0, limit - 1, false);
          return found.flatMap((job) => viewOf(name, state, job));
        }),
      );
      const seen = new Map(pages.flat().map((view) => [view.id, view]));
      return [...seen.values()].sort((a, b) => b.created_at - a.created_at).slice(0, limit);
    });
  }

  remove(name: JobName, jobId: string): Promise<void> {
    return this.#ask(`remove ${jobId}`, async () => {
      const job = await this.#queue(name).getJob(jobId);
      if (job === null || (await job.isActive())) return;
      try {
        await job.remove();
      } catch (thrown) {
        if (!/^Could not remove job/.test(messageOf(thrown))) throw thrown;
        this.#log.debug('job not removed: it runs', { queue: name, job: jobId });
      }
    });
  }

  counts(name: JobName): Promise<JobCounts> {
    return this.#ask(`count the queue ${name}`, async () => {
      const { waiting, active, delayed, failed, completed } = await this.#queue(name).getJobCounts();
      return { waiting, active, delayed, failed, completed };
    });
  }

  oldestWaitingAgeMs(name: JobName): Promise<number> {
    return this.#ask(`read the queue ${name}`, async () => {
      const [oldest] = await this.#queue(name).getJobs(['waiting'], 0, 0, true);
      return oldest ? Math.max(0, Date.now() - oldest.timestamp) : 0;
    });
  }

  async drain(): Promise<void> {
    this.#draining.abort();
    for (const { name } of this.#processors) {
      const queue = this.#queues.get(name);
      if (queue === undefined) continue;
      try {
        await within(queue.pause(true, true), ANSWER_MS, `pausing the queue ${name}`);
      } catch (thrown) {
        this.#report(name, thrown);
      }
    }
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async close(): Promise<void> {
    this.#draining.abort();
    this.#closing.abort();
    try {
      await within(Promise.all(this.#running), ABORT_MS, 'ending jobs');
    } catch {
      this.#log.error('jobs did not end in time', { jobs: this.#running.size });
    }
    const closing = [...this.#queues.entries()].map(async ([name, queue]) => {
      try {
        await within(queue.close(this.#running.size > 0), ABORT_MS, `closing the queue ${name}`);
      } catch (thrown) {
        this.#log.debug('queue cut off', { queue: name, err: thrown });
      }
    });
    this.#queues.clear();
    await Promise.all(closing);
    for (const client of this.#clients.splice(0)) client.disconnect();
  }
}

const isSchemaFault = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'ZodError';

function stateOf(state: string): JobState {
  if (state === 'active' || state === 'delayed' || state === 'completed' || state === 'failed') return state;
  return 'waiting';
}

/** Nothing for a job that was removed meanwhile or whose payload is of another version. */
function viewOf(name: JobName, state: JobState, job: Bull.Job<unknown> | null): JobView[] {
  const payload = jobs[name].payload.safeParse(job?.data);
  if (job === null || !payload.success) return [];
  return [
    {
      id: String(job.id),
      name,
      state,
      attempts: job.attemptsMade,
      created_at: job.timestamp,
      started_at: job.processedOn ?? null,
      finished_at: job.finishedOn ?? null,
      failed_reason: job.failedReason ?? null,
      payload: payload.data,
    },
  ];
}

/**
 * Queues of the given names; only those with a handler take jobs.
 * @param redisUrl as REDIS_URL; the queue opens its own connections
 */
export function createQueue(redisUrl: string, names: readonly JobName[], log: Logger): JobQueue {
  return new BullQueue(redisUrl, names, log);
}
