// One upload's job from lease to ready: take the asset, fetch the file, make what is missing, name it in the record, tidy up.
// May be killed at any step and run again: what the record names is done, what it does not name is made anew under a new term.
import type { EventBus } from '../platform/adapters/event-bus.ts';
import type { Lease, Leases } from '../platform/adapters/leases.ts';
import type { JobContext } from '../platform/adapters/queue.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { type AssetId, newWriterTag } from '../platform/contract/ids.ts';
import { jobs, type VodJob } from '../platform/contract/jobs.ts';
import { imageKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import { AppError, messageOf } from '../platform/runtime/errors.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay, repeat } from '../platform/runtime/waits.ts';
import { FfmpegFailed, JobInterrupted, MediaRefused, OwnershipLost } from './errors.ts';
import type { TranscoderMetrics } from './metrics.ts';
import type { Sandbox } from './sandbox.ts';
import type { JobFolder, Scratch } from './scratch.ts';
import { TrackedStore, tidyUp } from './vod-objects.ts';
import { AssetOwner, type AssetRecords } from './vod-owner.ts';
import { planRenditions } from './vod-plan.ts';
import { ProgressMeter, type ProgressSink } from './vod-progress.ts';
import { downloadSource, listChunks, sizeOf } from './vod-source.ts';
import { checkLength, examine, inputInfo, makeImages, makeRendition, missingOf, threadsFor } from './vod-steps.ts';

export type VodDeps = {
  store: ObjectStorage;
  records: AssetRecords;
  leases: Pick<Leases, 'acquire'>;
  events: Pick<EventBus, 'publish' | 'on'>;
  /** Where progress of an asset goes; must not throw. */
  progressOf: (asset: AssetId) => ProgressSink;
  /** Known after start. */
  sandbox: () => Sandbox;
  scratch: Scratch;
  metrics: TranscoderMetrics;
};
export type VodConfig = { preset: string; jobs: number };

export interface VodWorker extends Component {
  /** @throws MediaRefused after the asset was marked; retryable errors for the queue to try again */
  handle(payload: VodJob, context: JobContext): Promise<void>;
}

const LEASE_TTL_MS = 10_000;
/** A killed worker's lease runs out within its time; this job waits for that instead of being lost. */
const LEASE_WAIT_MS = LEASE_TTL_MS + 3_000;
const WATCH_MS = 2_000;

/** One run of a job: its reasons to stop in one signal. */
type Run = { id: AssetId; stop: AbortController; signal: AbortSignal; log: Logger; context: JobContext };

export function createVodWorker(config: VodConfig, deps: VodDeps): VodWorker {
  const running = new Set<Run>();
  let isStopping = false;
  let removeListener: () => void = () => undefined;
  const stopAll = () => {
    isStopping = true;
    for (const run of running) run.stop.abort(new JobInterrupted('this worker is shutting down'));
  };
  return {
    async start() {
      removeListener = deps.events.on((event) => {
        if (event.type !== 'cancel-vod') return;
        for (const run of running) {
          if (run.id === event.id) run.stop.abort(new MediaRefused('CANCELLED', 'the transcode was cancelled'));
        }
      });
    },
    async handle(payload, context) {
      if (isStopping) throw new JobInterrupted('this worker is shutting down');
      const log = context.log.child({ asset: payload.asset_id, request: payload.request_id });
      const stop = new AbortController();
      const run: Run = {
        id: payload.asset_id,
        stop,
        signal: AbortSignal.any([stop.signal, context.signal, context.draining]),
        log,
        context,
      };
      running.add(run);
      const startedAt = performance.now();
      const observe = (outcome: string) =>
        deps.metrics.jobEnded('vod', outcome, (performance.now() - startedAt) / 1_000);
      try {
        observe(await runUnderLease(config, deps, run));
      } catch (thrown) {
        observe(thrown instanceof MediaRefused ? 'refused' : 'failed');
        throw thrown;
      } finally {
        running.delete(run);
      }
    },
    async drain() {
      stopAll();
    },
    async close() {
      stopAll();
      removeListener();
    },
  };
}

type Outcome = 'ready' | 'idle' | 'yielded';

async function runUnderLease(config: VodConfig, deps: VodDeps, run: Run): Promise<Outcome> {
  const lease = await waitForLease(deps.leases, run);
  if (lease === null) {
    run.log.info('asset left to the worker that has it');
    return 'yielded';
  }
  const signal = AbortSignal.any([run.signal, lease.lost]);
  try {
    const taken = await AssetOwner.take(run.id, deps.records, deps.events);
    if ('idle' in taken) return await endIdle(deps, run, taken.idle);
    return await runAttempt(config, deps, { ...run, signal }, taken);
  } finally {
    await lease.release();
  }
}

async function waitForLease(leases: VodDeps['leases'], run: Run): Promise<Lease | null> {
  const until = performance.now() + LEASE_WAIT_MS;
  while (!run.signal.aborted) {
    const lease = await leases.acquire(leaseNames.vod(run.id), LEASE_TTL_MS);
    if (lease !== null || performance.now() > until) return lease;
    await delay(500, run.signal);
  }
  throw run.signal.reason;
}

/** A job for an asset that is ready may be one that was killed before it could tidy up. */
async function endIdle(deps: VodDeps, run: Run, reason: string): Promise<Outcome> {
  run.log.info('nothing to transcode', { reason });
  const asset = (await deps.records.get('asset', run.id))?.value ?? null;
  if (asset?.status === 'ready') await tidyUp(deps.store, asset);
  return 'idle';
}

type Attempting = { owner: AssetOwner; asset: AssetRecord };

async function runAttempt(config: VodConfig, deps: VodDeps, run: Run, taken: Attempting): Promise<Outcome> {
  const { owner } = taken;
  const meter = new ProgressMeter(deps.progressOf(run.id));
  const tracked = new TrackedStore(deps.store);
  // The record is asked again and again: a lost cancel event costs two seconds, a newer owner is noticed without a write.
  const watching = new AbortController();
  const watch = repeat(
    WATCH_MS,
    () =>
      owner.verify().catch((thrown: unknown) => {
        if (thrown instanceof OwnershipLost || thrown instanceof MediaRefused) watching.abort(thrown);
      }),
    (thrown) => run.log.warn('record not watched', { err: thrown }),
  );
  const signal = AbortSignal.any([run.signal, watching.signal]);
  deps.metrics.activeJobs('vod', 1);
  try {
    const asset = await transcodeAll(config, deps, { ...run, signal }, { ...taken, meter, tracked });
    await meter.enter('ready');
    run.log.info('asset ready', { duration_s: asset.duration_s, bytes: asset.size_bytes, term: owner.term });
    await tidyUp(deps.store, asset).catch((thrown: unknown) => run.log.warn('left-overs stay', { err: thrown }));
    return 'ready';
  } catch (thrown) {
    const cause = signal.aborted ? asInterruption(signal.reason) : thrown;
    await settle(deps, run, { owner, meter, tracked }, cause);
    if (cause instanceof OwnershipLost) return 'yielded';
    throw cause instanceof AppError ? cause : new FfmpegFailed('finish the job', messageOf(cause), { cause });
  } finally {
    deps.metrics.activeJobs('vod', -1);
    await watch.close();
  }
}

/** Reasons to stop that are not about the asset: a lost lease or queue lock, a shutdown. The job goes on elsewhere. */
const asInterruption = (reason: unknown): unknown =>
  reason instanceof AppError ? reason : new JobInterrupted(messageOf(reason), { cause: reason });

type Tools = { meter: ProgressMeter; tracked: TrackedStore };

async function transcodeAll(config: VodConfig, deps: VodDeps, run: Run, t: Attempting & Tools): Promise<AssetRecord> {
  const { owner, asset, meter } = t;
  owner.check(asset);
  if (asset.source.type !== 'upload') throw new OwnershipLost(run.id, 'it is not an upload');
  await meter.enter('downloading');
  const uploadId = asset.source.upload_id;
  const upload = await deps.records.get('upload', uploadId);
  const chunks = await listChunks(deps.store, uploadId, upload?.value.length ?? null, run.signal);
  const folder = await deps.scratch.open(`${run.id}-${owner.term}`, sizeOf(chunks));
  try {
    const head = await downloadSource(deps.store, chunks, folder.files, run.signal);
    return await transcodeFile(config, deps, run, { ...t, folder, head });
  } finally {
    await deps.scratch.remove(folder);
  }
}

type OnFile = Attempting & Tools & { folder: JobFolder; head: Buffer };

async function transcodeFile(config: VodConfig, deps: VodDeps, run: Run, t: OnFile): Promise<AssetRecord> {
  const { owner, meter, tracked } = t;
  const { signal, log } = run;
  await meter.enter('probing');
  const source = await examine(deps.sandbox(), t.folder, t.head, threadsFor(config.jobs));
  const plans = planRenditions(source.info);
  let asset = await owner.plan(
    inputInfo(source),
    plans.map((plan) => plan.name),
  );
  const attempt = { content: asset.content_id, epoch: owner.term, writer: newWriterTag() };
  const missing = missingOf(plans, asset);
  meter.begin(
    plans,
    asset.renditions.map((entry) => entry.name),
  );
  log.info('source examined', {
    container: source.container,
    duration_s: source.info.durationS,
    missing: missing.length,
  });
  for (const plan of missing) {
    const startedAt = performance.now();
    const reports: Promise<void>[] = [];
    const onProgress = (fraction: number) => {
      reports.push(meter.advance(plan.name, fraction));
    };
    const options = { preset: config.preset, attempt, store: tracked, signal, onProgress };
    const entry = await makeRendition(source, plan, options);
    await Promise.all(reports);
    asset = await owner.addRendition(entry);
    tracked.named();
    await meter.finish(plan.name);
    const seconds = (performance.now() - startedAt) / 1_000;
    deps.metrics.renditionMade(plan.kind, entry.duration_s / Math.max(0.001, seconds));
    log.info('rendition stored', { rendition: plan.name, segments: entry.segments, bytes: entry.bytes, s: seconds });
  }
  await meter.enter('finishing');
  checkLength(source, asset.renditions);
  if (asset.images_writer === null) {
    const bytes = await makeImages(source, attempt.content, attempt.writer, { store: tracked, signal, log });
    if (bytes !== null) asset = await owner.setImages(attempt.writer);
    tracked.named();
  }
  signal.throwIfAborted();
  const ready = await owner.finish(await imageBytes(deps.store, asset));
  tracked.named();
  return ready;
}

/** Bytes of the pictures, also of those that an earlier attempt stored. */
async function imageBytes(store: ObjectStorage, asset: AssetRecord): Promise<number> {
  let bytes = 0;
  if (asset.images_writer === null) return bytes;
  for await (const entry of store.list(imageKey(asset.content_id, '', asset.images_writer))) bytes += entry.bytes;
  return bytes;
}

/** After a failed attempt: what nothing names is removed, and a fault of the file (or the last attempt's) ends the asset. */
async function settle(deps: VodDeps, run: Run, t: Tools & { owner: AssetOwner }, cause: unknown): Promise<void> {
  const { owner, meter, tracked } = t;
  await deps.store
    .delete([...tracked.unnamed])
    .catch((thrown: unknown) => run.log.warn('objects of a failed attempt stay', { err: thrown }));
  if (cause instanceof OwnershipLost) return run.log.info('asset given up', { err: cause });
  const isLast = run.context.attempt >= jobs.vod.attempts && !(cause instanceof JobInterrupted);
  if (!(cause instanceof MediaRefused) && !isLast) {
    return run.log.warn('attempt failed', { attempt: run.context.attempt, err: cause });
  }
  const error =
    cause instanceof MediaRefused
      ? cause
      : new MediaRefused('UNKNOWN', 'the transcode failed again and again; the operator finds the reason in the log');
  run.log.warn('asset errored', { type: error.type, err: cause });
  try {
    await owner.fail(error.assetError);
    await meter.enter('errored');
  } catch (thrown) {
    run.log.warn('error not recorded', { err: thrown });
  }
}
