// Cancel and retry of a job, as the status page asks: turned into the same on what the job works on.

import type { Records } from '../platform/adapters/records.ts';
import { AssetId, BroadcastId } from '../platform/contract/ids.ts';
import type { Assets } from './assets.ts';
import { NotAllowedNow, NotFound } from './errors.ts';
import type { LiveStreams } from './live-streams.ts';

export interface JobControl {
  /** @throws NotFound NotAllowedNow */
  cancel(queue: 'vod' | 'live', jobId: string, requestId: string): Promise<void>;
  /** @throws NotFound NotAllowedNow */
  retry(queue: 'vod' | 'live', jobId: string, requestId: string): Promise<void>;
}
export type JobControlDeps = {
  assets: Pick<Assets, 'cancel' | 'retry'>;
  records: Pick<Records, 'get'>;
  streams: Pick<LiveStreams, 'complete'>;
};

/** `vod:{asset}:{round}` and `live:{broadcast}:{term}` (contract/jobs.ts). */
const subjectOf = (jobId: string): string => jobId.split(':')[1] ?? '';

export function createJobControl(deps: JobControlDeps): JobControl {
  const assetOf = (jobId: string) => {
    const id = AssetId.safeParse(subjectOf(jobId));
    if (!id.success) throw new NotFound('job');
    return id.data;
  };
  async function endBroadcast(jobId: string): Promise<void> {
    const id = BroadcastId.safeParse(subjectOf(jobId));
    const found = id.success ? await deps.records.get('broadcast', id.data) : null;
    if (!found) throw new NotFound('job');
    if (found.value.status === 'ended') throw new NotAllowedNow('this broadcast is over');
    await deps.streams.complete(found.value.stream_id);
  }
  return {
    async cancel(queue, jobId) {
      if (queue === 'live') await endBroadcast(jobId);
      else await deps.assets.cancel(assetOf(jobId));
    },
    async retry(queue, jobId, requestId) {
      if (queue === 'live') throw new NotAllowedNow('a live broadcast is taken up again by itself');
      await deps.assets.retry(assetOf(jobId), requestId);
    },
  };
}
