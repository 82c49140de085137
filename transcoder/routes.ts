// The transcoder's routes beside health and metrics: what it is doing, and live objects that the store does not have yet. All on the
// private listener.
import type { Express, RequestHandler } from 'express';
import type { JobName } from '../platform/contract/jobs.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import { PUBLIC_GRANT, parseViewerPath, routeKey } from '../platform/contract/routes.ts';
import { requireInternalSecret, sendProblem } from '../platform/runtime/http-server.ts';
import type { SpooledObject } from './live-spool.ts';

/** What a worker says of itself. `live`: capacity taken and to be had, in jobs. */
export type WorkerState = {
  sandbox: string;
  jobs: Record<JobName, number>;
  concurrency: Record<JobName, number>;
  live: { cost: number; capacity: number };
};

/** GET /state -> 200 WorkerState, for callers with the internal secret. */
export function workerRoutes(app: Express, internalSecret: string, describe: () => WorkerState): void {
  app.get('/state', requireInternalSecret(internalSecret), (_req, res) => {
    res.set('cache-control', 'no-store').json(describe());
  });
}

/** Key of a media object out of `/spool/{key}`: parsed into ids, which make the key anew; null when it is none. */
export function spoolKeyOf(path: string): ObjectKey | null {
  const tail = /^\/spool\/media\/(.{1,200})$/.exec(path)?.[1];
  const route = tail === undefined ? null : parseViewerPath(`/v/${PUBLIC_GRANT}/${tail}`);
  return route !== null && (route.kind === 'init' || route.kind === 'segment' || route.kind === 'part')
    ? routeKey(route)
    : null;
}

/**
 * GET, HEAD /spool/{object key} -> 200 with length and ETag, for origins with the internal secret; 404 once the store has it, or when it
 * was never here.
 */
export function spoolRoute(app: Express, internalSecret: string, find: (key: ObjectKey) => SpooledObject | null): void {
  const answer: RequestHandler = async (req, res) => {
    const key = spoolKeyOf(req.path);
    const found = key === null ? null : find(key);
    const body = await found?.body().catch(() => null);
    if (found === null || !body) {
      sendProblem(res, 404, 'Not Found', 'NOT_SPOOLED', ['this worker does not hold the object']);
      return;
    }
    res.set({ 'content-type': found.contentType, 'cache-control': 'no-store' });
    // Set by hand: express would make its own ETag and answer ranges, which origins do not ask for here.
    res.writeHead(200, { etag: found.etag, 'content-length': body.length });
    res.end(req.method === 'HEAD' ? undefined : body);
  };
  app.get('/spool/{*key}', requireInternalSecret(internalSecret), answer);
}
