// Queue jobs: payload schema, attempts and timing of each. Bull only dispatches; the lease and the term decide who may publish.
import { z } from 'zod';
import { AssetId, BroadcastId } from './ids.ts';

export const VodJob = z.object({
  version: z.literal(1),
  asset_id: AssetId,
  /** For logs across services: the request that caused the job. */
  request_id: z.string(),
});
export type VodJob = z.infer<typeof VodJob>;

export const LiveJob = z.object({
  version: z.literal(1),
  broadcast_id: BroadcastId,
  /**
   * `leader`: the term the worker shall take, the record's term + 1; a job whose term is not next ends at once.
   * `hot`: the term that is followed (0: whichever is); the worker takes the lease liveHot, and the next term when the leader's lease lapses.
   */
  term: z.number().int().nonnegative(),
  place: z.enum(['leader', 'hot']).default('leader'),
});
export type LiveJob = z.infer<typeof LiveJob>;

/** Queue settings. Times in ms. `vod` survives killed workers by Bull's stall check; `live` is re-enqueued by ingest with the next term. */
export const jobs = {
  vod: {
    payload: VodJob,
    attempts: 3,
    backoffMs: 2_000,
    lockMs: 10_000,
    renewMs: 3_000,
    stalledCheckMs: 5_000,
    maxStalled: 10,
  },
  live: {
    payload: LiveJob,
    attempts: 1,
    backoffMs: 0,
    lockMs: 10_000,
    renewMs: 3_000,
    stalledCheckMs: 5_000,
    maxStalled: 0,
  },
} as const;
export type JobName = keyof typeof jobs;
export type JobPayload = { vod: VodJob; live: LiveJob };

export const vodJobId = (asset: string, round: number): string => `vod:${asset}:${round}`;
export const liveJobId = (broadcast: string, term: number): string => `live:${broadcast}:${term}`;
/** @param round counts up: a job that is done with is enqueued anew under a new name */
export const hotJobId = (broadcast: string, round: number): string => `live-hot:${broadcast}:${round}`;

/** States as the API shows them. */
export const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];
