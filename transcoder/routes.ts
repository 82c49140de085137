// The transcoder's routes beside health and metrics: what it is doing, for operators. All on the private listener.
import type { Express } from 'express';
import type { JobName } from '../platform/contract/jobs.ts';
import { requireInternalSecret } from '../platform/runtime/http-server.ts';

/** What a worker says of itself. */
export type WorkerState = { sandbox: string; jobs: Record<JobName, number>; concurrency: Record<JobName, number> };

/** GET /state -> 200 WorkerState, for callers with the internal secret. */
export function workerRoutes(app: Express, internalSecret: string, describe: () => WorkerState): void {
  app.get('/state', requireInternalSecret(internalSecret), (_req, res) => {
    res.set('cache-control', 'no-store').json(describe());
  });
}
