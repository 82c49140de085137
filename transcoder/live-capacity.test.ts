// Who takes a broadcast: costs, room, and leaving it to a node that is clearly less loaded.
import { beforeEach, describe, expect, test } from 'vitest';
import type { Records } from '../platform/adapters/records.ts';
import { type BroadcastId, type NodeId, newId } from '../platform/contract/ids.ts';
import type { LiveJob } from '../platform/contract/jobs.ts';
import type { LiveEncode, NodeInfo } from '../platform/contract/nodes.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import { JobInterrupted } from './errors.ts';
import { LiveCapacity } from './live-capacity.ts';
import { LiveLag, waitForLive } from './live-priority.ts';

const HERE = newId<NodeId>();
let others: NodeInfo[];
let transcode: 'ladder' | 'passthrough';
let term: number;
let refused: string[];
let now: number;

const node = (cost: number, changes: Partial<NodeInfo> = {}): NodeInfo => ({
  ...{ id: newId<NodeId>(), role: 'transcoder', url: '', public_url: null, private_url: '', state: 'healthy' },
  ...{ started_at: 0, pid: 0, version: '', load: { live_cost: cost, live_capacity: 2 } },
  ...changes,
});
const capacityOf = (jobs = 2): LiveCapacity => {
  const get = async () => ({ value: { transcode, term }, etag: '' });
  return new LiveCapacity(HERE, jobs, {
    registry: { nodes: () => others },
    records: { get } as unknown as Pick<Records, 'get'>,
    log: silentLogger,
    refused: { add: (labels) => void refused.push(labels?.['reason'] ?? '') },
    now: () => now,
  });
};
const job = (place: LiveJob['place'] = 'leader', id = newId<BroadcastId>()): LiveJob => ({
  version: 1,
  broadcast_id: id,
  term: 1,
  place,
});

/** Begins a job that runs until the answer is called. */
function begin(capacity: LiveCapacity, given: LiveJob = job()): { end(): void; done: Promise<string> } {
  let end = (): void => undefined;
  const work = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { end: () => end(), done: capacity.run(given, () => work) };
}

beforeEach(() => {
  others = [];
  transcode = 'ladder';
  term = 0;
  refused = [];
  now = 0;
});

describe('room', () => {
  test('is for as many encoded broadcasts as the setting says, and comes back', async () => {
    const capacity = capacityOf();
    const running = [begin(capacity), begin(capacity)];
    await delay(0);
    expect(capacity.cost).toBe(2);
    expect(await begin(capacity).done).toBe('full');
    expect(refused).toEqual(['full']);
    running[0]?.end();
    expect(await running[0]?.done).toBe('taken');
    const next = begin(capacity);
    next.end();
    expect(await next.done).toBe('taken');
    running[1]?.end();
    await running[1]?.done;
    expect(capacity.cost).toBe(0);
  });

  test('is for twenty times as many that are passed through', async () => {
    transcode = 'passthrough';
    const capacity = capacityOf(1);
    const running = Array.from({ length: 20 }, () => begin(capacity));
    await delay(0);
    expect(capacity.cost).toBeCloseTo(1);
    expect(await begin(capacity).done).toBe('full');
    for (const one of running) one.end();
    expect(await Promise.all(running.map(({ done }) => done))).toEqual(running.map(() => 'taken'));
  });

  test('is taken as a share of the node', async () => {
    const capacity = capacityOf();
    const given = job();
    const running = begin(capacity, given);
    await delay(0);
    expect([capacity.share(given.broadcast_id), capacity.share('another')]).toEqual([0.5, 0]);
    running.end();
    await running.done;
  });

  test('is given back when the work fails', async () => {
    const capacity = capacityOf();
    await expect(capacity.run(job(), () => Promise.reject(new Error('it failed')))).rejects.toThrow('it failed');
    expect(capacity.cost).toBe(0);
  });
});

describe('a less loaded node', () => {
  test('gets a new broadcast, at most twice in a row', async () => {
    const capacity = capacityOf();
    begin(capacity);
    await delay(0);
    others = [node(0)];
    const id = newId<BroadcastId>();
    expect(await begin(capacity, job('leader', id)).done).toBe('elsewhere');
    expect(await begin(capacity, job('leader', id)).done).toBe('elsewhere');
    const third = begin(capacity, job('leader', id));
    third.end();
    expect(await third.done).toBe('taken');
  });

  test.each([
    ['a broadcast that was taken over', 3, () => node(0)],
    ['a small difference', 0, () => node(0.9)],
    ['it while it drains', 0, () => node(0, { state: 'draining' })],
    ['it when it is there for on-demand jobs', 0, () => node(0, { pool: 'vod' })],
    ['it when it says nothing of its room', 0, () => node(0, { load: {} })],
  ] as const)('does not get %s', async (_name, taken, other) => {
    const capacity = capacityOf();
    begin(capacity);
    await delay(0);
    others = [other()];
    term = taken;
    const second = begin(capacity);
    second.end();
    expect(await second.done).toBe('taken');
  });

  test('gets the second worker of a broadcast, whatever its term', async () => {
    const capacity = capacityOf();
    begin(capacity);
    await delay(0);
    others = [node(0)];
    term = 5;
    expect(await begin(capacity, job('hot')).done).toBe('elsewhere');
  });
});

describe('on-demand jobs', () => {
  const signal = new AbortController().signal;
  const encode = (lag: number): Record<string, LiveEncode> => ({
    broadcast: { place: 'leader', lag_s: lag, renditions: [], cost: 0, spooled: 0 },
  });

  const behindSince = (lagS: number, ms: number): boolean => {
    let clock = 0;
    const lag = new LiveLag(() => clock);
    lag.note(encode(lagS));
    clock = ms;
    lag.note(encode(lagS));
    return lag.isBehind;
  };

  test('wait for a broadcast that stays behind, not for one that catches up', () => {
    expect([behindSince(0.6, 60_000), behindSince(3, 3_000), behindSince(3, 4_000)]).toEqual([false, false, true]);
    const lag = new LiveLag(() => 10_000);
    lag.note({});
    expect(lag.isBehind).toBe(false);
  });

  test('begin when it has caught up', async () => {
    const lag = { isBehind: true };
    let isBegun = false;
    const waiting = waitForLive(lag, { signal, draining: signal }).then(() => {
      isBegun = true;
    });
    await delay(20);
    expect(isBegun).toBe(false);
    lag.isBehind = false;
    await waiting;
  });

  test('go back to the queue when the role drains', async () => {
    const draining = new AbortController();
    const waiting = waitForLive({ isBehind: true }, { signal, draining: draining.signal });
    draining.abort();
    await expect(waiting).rejects.toThrow(JobInterrupted);
  });
});
