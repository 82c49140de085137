// Keeps one open `vod` job per asset: each round has a job id of its own, so a finished or failed job never blocks the next.
import type { AssetId } from '../platform/contract/ids.ts';
import { type JobState, type VodJob, vodJobId } from '../platform/contract/jobs.ts';

export interface VodQueue {
  enqueue(name: 'vod', jobId: string, payload: VodJob): Promise<'added' | 'present'>;
  state(name: 'vod', jobId: string): Promise<JobState | null>;
  remove(name: 'vod', jobId: string): Promise<void>;
}

export interface VodJobs {
  /**
   * Enqueues the next round unless a job is open. Of two callers at once one adds, the other finds it present.
   * @param term the asset record's term: rounds below it may have been forgotten by the queue
   */
  ensure(asset: AssetId, term: number, requestId: string): Promise<'added' | 'present'>;
  /** Whether a job of this asset waits or runs. */
  isOpen(asset: AssetId, term: number): Promise<boolean>;
  /** Takes waiting jobs of this asset out of the queue; running ones stay. */
  removeWaiting(asset: AssetId, term: number): Promise<void>;
}

/** Rounds looked at below and above the term: attempts of one job raise the term without a new round. */
const ROUNDS_AROUND_TERM = 12;
const OPEN: ReadonlySet<JobState> = new Set<JobState>(['waiting', 'active', 'delayed']);

export function createVodJobs(queue: VodQueue): VodJobs {
  async function rounds(
    asset: AssetId,
    term: number,
  ): Promise<{ id: string; round: number; state: JobState | null }[]> {
    const found: { id: string; round: number; state: JobState | null }[] = [];
    for (let round = Math.max(0, term - ROUNDS_AROUND_TERM); round <= term + ROUNDS_AROUND_TERM; round += 1) {
      const id = vodJobId(asset, round);
      found.push({ id, round, state: await queue.state('vod', id) });
    }
    return found;
  }
  const isOpenState = (state: JobState | null) => state !== null && OPEN.has(state);

  return {
    async ensure(asset, term, requestId) {
      const all = await rounds(asset, term);
      if (all.some((item) => isOpenState(item.state))) return 'present';
      const next = all.find((item) => item.state === null && item.round >= term);
      const id = next?.id ?? vodJobId(asset, Date.now());
      return await queue.enqueue('vod', id, { version: 1, asset_id: asset, request_id: requestId });
    },
    isOpen: async (asset, term) => (await rounds(asset, term)).some((item) => isOpenState(item.state)),
    async removeWaiting(asset, term) {
      for (const item of await rounds(asset, term)) {
        if (item.state === 'waiting' || item.state === 'delayed') await queue.remove('vod', item.id);
      }
    },
  };
}
