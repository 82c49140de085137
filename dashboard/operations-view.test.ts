// Jobs in words and in order.
import { describe, expect, it } from 'vitest';
import type { OverviewJob } from '../platform/contract/overview.ts';
import { jobFacts, jobsInOrder, nodeLoads, nodeState } from './operations-view.ts';

const job = (over: Partial<OverviewJob>): OverviewJob => ({
  queue: 'vod',
  id: 'vod:a:1',
  state: 'active',
  step: 'transcoding',
  percent: 12.5,
  attempts: 1,
  asset_id: 'a',
  broadcast_id: null,
  error: null,
  created_at: 0,
  ...over,
});

describe('jobs', () => {
  it('stand with the running ones first, then waiting, then over, newest first', () => {
    const ids = jobsInOrder([
      job({ id: 'old', state: 'completed', created_at: 1 }),
      job({ id: 'failed', state: 'failed', created_at: 5 }),
      job({ id: 'waits', state: 'waiting', created_at: 2 }),
      job({ id: 'runs', state: 'active', created_at: 3 }),
      job({ id: 'runs-newer', state: 'active', created_at: 4 }),
    ]).map((item) => item.id);
    expect(ids).toEqual(['runs-newer', 'runs', 'waits', 'failed', 'old']);
  });

  it('say what they do, how far they are and why they failed', () => {
    expect(jobFacts(job({}), 3_000)).toBe('Upload · transcoding · 12 % · 3 s ago');
    expect(jobFacts(job({ state: 'failed', error: 'no video', attempts: 3 }), 3_000)).toBe(
      'Upload · attempt 3 · no video · 3 s ago',
    );
    expect(jobFacts(job({ queue: 'live', percent: null, step: 'active' }), 3_000)).toBe('Live · 3 s ago');
  });
});

describe('nodeLoads', () => {
  it('gives gauges as words, bytes with their unit', () => {
    expect(nodeLoads({ open_connections: 5, cache_bytes: 1_073_082 })).toEqual(['open connections 5', 'cache 1.1 MB']);
  });
});

describe('nodeState', () => {
  it('tells an edge that was ordered out of use from a process that ends', () => {
    expect(nodeState({ state: 'healthy', is_drained: false })).toBe('healthy');
    expect(nodeState({ state: 'draining', is_drained: false })).toBe('draining');
    expect(nodeState({ state: 'draining', is_drained: true })).toBe('drained');
  });
});
