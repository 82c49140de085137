// The job queue on a real Redis: once per id, retries, a killed worker, an emptied Redis, drain and close.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createQueue, type JobContext, type JobHandler, type JobQueue } from '../../platform/adapters/queue.ts';
import { createRedis, RedisUnavailable } from '../../platform/adapters/redis.ts';
import { type AssetId, newId } from '../../platform/contract/ids.ts';
import { type VodJob, vodJobId } from '../../platform/contract/jobs.ts';
import { AppError } from '../../platform/runtime/errors.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { delay, within } from '../../platform/runtime/waits.ts';
import { buildScript } from '../support/build-script.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestRedis;
const open: JobQueue[] = [];
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());
beforeEach(() => server.flush());
afterEach(async () => {
  await Promise.all(open.splice(0).map((queue) => queue.close()));
});

/** A started queue; with a handler it works. */
async function queueWith(handler?: JobHandler<'vod'>, concurrency = 1): Promise<JobQueue> {
  const queue = createQueue(server.url, ['vod', 'live'], silentLogger);
  if (handler) queue.process('vod', concurrency, handler);
  open.push(queue);
  await queue.start();
  return queue;
}
function newJob(): { id: string; payload: VodJob } {
  const asset = newId<AssetId>();
  return { id: vodJobId(asset, 1), payload: { version: 1, asset_id: asset, request_id: 'test' } };
}
const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

describe('jobs', () => {
  test('a worker gets the payload; an id runs once while it is known', async () => {
    const seen: { payload: VodJob; context: JobContext }[] = [];
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    await queueWith(async (payload, context) => {
      seen.push({ payload, context });
      await gate;
    });
    const api = await queueWith();
    const { id, payload } = newJob();
    expect(await api.state('vod', id)).toBeNull();
    expect(await api.enqueue('vod', id, payload)).toBe('added');
    await waitUntil('the job is active', async () => (await api.state('vod', id)) === 'active');
    expect(await api.enqueue('vod', id, payload)).toBe('present');
    go();
    await waitUntil('the job is done', async () => (await api.state('vod', id)) === 'completed');
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ payload, context: { id, attempt: 1 } });
    expect(await api.enqueue('vod', id, payload)).toBe('added');
    await waitUntil('it ran again', () => seen.length === 2);
  });
  test('shows waiting jobs, their age and number; removes all but active ones', async () => {
    const api = await queueWith();
    const [first, second] = [newJob(), newJob()];
    await api.enqueue('vod', first.id, first.payload);
    await delay(30);
    await api.enqueue('vod', second.id, second.payload);
    expect(await api.counts('vod')).toEqual({ waiting: 2, active: 0, delayed: 0, failed: 0, completed: 0 });
    const age = await api.oldestWaitingAgeMs('vod');
    expect(age).toBeGreaterThanOrEqual(30);
    expect(age).toBeLessThan(10_000);
    const list = await api.list('vod', 10);
    expect(list.map((job) => job.id)).toEqual([second.id, first.id]);
    expect(list[1]).toMatchObject({
      name: 'vod',
      state: 'waiting',
      attempts: 0,
      payload: first.payload,
      started_at: null,
    });
    expect(await api.list('vod', 1)).toHaveLength(1);
    await api.remove('vod', first.id);
    await api.remove('vod', 'vod:unknown:1');
    expect(await api.state('vod', first.id)).toBeNull();
    expect(await api.oldestWaitingAgeMs('live')).toBe(0);

    const worker = await queueWith(async (_payload, context) => untilAborted(context.signal));
    await waitUntil('active', async () => (await api.state('vod', second.id)) === 'active');
    await api.remove('vod', second.id);
    expect(await api.state('vod', second.id)).toBe('active');
    await worker.close();
  });
  test('priority 1 goes before 5', async () => {
    const api = await queueWith();
    const [late, soon] = [newJob(), newJob()];
    await api.enqueue('vod', late.id, late.payload, { priority: 5 });
    await api.enqueue('vod', soon.id, soon.payload, { priority: 1 });
    const order: string[] = [];
    await queueWith(async (_payload, context) => void order.push(context.id));
    await waitUntil('both ran', () => order.length === 2);
    expect(order).toEqual([soon.id, late.id]);
  });
  test('a failed attempt is tried again; a fault that another try cannot help is not', async () => {
    const attempts: number[] = [];
    await queueWith(async (_payload, context) => {
      attempts.push(context.attempt);
      if (context.attempt === 1) throw new Error('try again');
      throw new AppError('NO_USE', 'it will never work', { source: 'client', retryable: false });
    });
    const api = await queueWith();
    const { id, payload } = newJob();
    await api.enqueue('vod', id, payload);
    await waitUntil('the job failed', async () => (await api.state('vod', id)) === 'failed', 20_000);
    expect(attempts).toEqual([1, 2]);
    expect((await api.list('vod', 5))[0]).toMatchObject({ state: 'failed', failed_reason: 'it will never work' });
  });
});

describe('a worker that dies', () => {
  test('loses its job to another after kill -9', async () => {
    const script = await buildScript('test/support/queue-worker.ts');
    const api = await queueWith();
    const { id, payload } = newJob();
    await api.enqueue('vod', id, payload);
    const child = spawn(process.execPath, [script, server.url], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = await once(child.stdout, 'data');
    expect(String(said)).toContain(id);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const killedAt = performance.now();
    const taken: JobContext[] = [];
    await queueWith(async (_payload, context) => void taken.push(context));
    await waitUntil('another took it', () => taken.length === 1, 30_000);
    expect(taken[0]?.id).toBe(id);
    // Lock 10 s, a stall check each 5 s.
    expect(performance.now() - killedAt).toBeLessThan(20_000);
  });
});

describe('a worker that stands still', () => {
  test('is handed no job any more after a second, however many it would take', async () => {
    const script = await buildScript('test/support/queue-worker.ts');
    const api = await queueWith();
    const first = newJob();
    await api.enqueue('vod', first.id, first.payload);
    const child = spawn(process.execPath, [script, server.url, '16'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const blocked = async () => /blocked_clients:(\d+)/.exec(await server.command('INFO', 'clients'))?.[1];
      await waitUntil('it waits for more', async () => (await blocked()) === '1');
      child.kill('SIGSTOP');
      const stoppedAt = performance.now();
      await waitUntil('Redis lets it wait no more', async () => (await blocked()) === '0');
      expect(performance.now() - stoppedAt).toBeLessThan(1_500);
      const taken: string[] = [];
      await queueWith(async (_payload, context) => void taken.push(context.id));
      const jobs = Array.from({ length: 8 }, newJob);
      for (const { id, payload } of jobs) await api.enqueue('vod', id, payload);
      await waitUntil('the other has done them all', () => taken.length === jobs.length);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('an emptied Redis', () => {
  test('workers, idle and busy, take new jobs afterwards', async () => {
    const done: string[] = [];
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const lost = newJob();
    const handler: JobHandler<'vod'> = async (_payload, context) => {
      if (context.id === lost.id) await gate;
      done.push(context.id);
    };
    await queueWith(handler, 2);
    const api = await queueWith();
    await api.enqueue('vod', lost.id, lost.payload);
    await waitUntil('active', async () => (await api.state('vod', lost.id)) === 'active');
    await server.flush();
    const next = newJob();
    expect(await api.enqueue('vod', next.id, next.payload)).toBe('added');
    await waitUntil('the idle slot took the next', () => done.includes(next.id));
    expect(await api.state('vod', lost.id)).toBeNull();
    go();
    await waitUntil('the lost job ended', () => done.includes(lost.id));
    for (let i = 0; i < 4; i += 1) {
      const job = newJob();
      await api.enqueue('vod', job.id, job.payload);
      await waitUntil('each later job runs', () => done.includes(job.id));
    }
    expect(await api.enqueue('vod', lost.id, lost.payload)).toBe('added');
    await waitUntil('the forgotten one too', () => done.filter((id) => id === lost.id).length === 2);
  });
  test('also after Redis was killed and came back empty', async () => {
    const own = await startRedis();
    const done: string[] = [];
    const worker = createQueue(own.url, ['vod'], silentLogger);
    worker.process('vod', 1, async (_payload, context) => void done.push(context.id));
    open.push(worker);
    await worker.start();
    await own.kill();
    const job = newJob();
    await expect(worker.counts('vod')).rejects.toThrow(RedisUnavailable);
    await own.restart();
    await waitUntil('enqueued', () => worker.enqueue('vod', job.id, job.payload).catch(() => null), 15_000);
    await waitUntil('done', () => done.includes(job.id), 15_000);
    await worker.close();
    await own.stop();
  }, 60_000);
});

describe('the end', () => {
  test('drain takes no new jobs and waits for the running one', async () => {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const contexts: JobContext[] = [];
    const worker = await queueWith(async (_payload, context) => {
      contexts.push(context);
      await gate;
    });
    const api = await queueWith();
    const [running, waiting] = [newJob(), newJob()];
    await api.enqueue('vod', running.id, running.payload);
    await waitUntil('started', () => contexts.length === 1);
    await api.enqueue('vod', waiting.id, waiting.payload);
    let isDrained = false;
    const draining = worker.drain().then(() => {
      isDrained = true;
    });
    await untilAborted(contexts[0]?.draining ?? AbortSignal.abort());
    expect(contexts[0]?.signal.aborted).toBe(false);
    await delay(300);
    expect(isDrained).toBe(false);
    go();
    await within(draining, 5_000, 'draining');
    await waitUntil('the running one is done', async () => (await api.state('vod', running.id)) === 'completed');
    expect(await api.state('vod', waiting.id)).toBe('waiting');
    await worker.close();
    await worker.close();
  });
  test('close aborts a running job, whose next attempt is another worker', async () => {
    let started = 0;
    const worker = await queueWith(async (_payload, context) => {
      started += 1;
      await untilAborted(context.signal);
      throw new Error('cut off');
    });
    const api = await queueWith();
    const { id, payload } = newJob();
    await api.enqueue('vod', id, payload);
    await waitUntil('started', () => started === 1);
    await within(worker.close(), 5_000, 'closing');
    const taken: JobContext[] = [];
    await queueWith(async (_payload, context) => void taken.push(context));
    await waitUntil('taken over', () => taken.length === 1, 15_000);
    expect(taken[0]?.attempt).toBe(2);
  });
  test('a Redis that is not there is named at the start, and closing still works', async () => {
    // A port that was free a moment ago may be another test's by now.
    const url = 'redis://127.0.0.1:1/0';
    const queue = createQueue(url, ['vod'], silentLogger);
    const link = createRedis(url, silentLogger);
    const starts = await Promise.allSettled([queue.start(), link.start()]);
    for (const start of starts) {
      expect(start.status === 'rejected' && start.reason).toBeInstanceOf(RedisUnavailable);
      expect(start.status === 'rejected' && String(start.reason)).toContain('REDIS_URL');
    }
    await queue.close();
    await link.close();
  }, 30_000);
});
