// GET /ring/{broadcast}: the ring as an endless body for workers (platform/contract/ring.ts). Internal secret required.
import express, { type Express, type Request, type Response } from 'express';
import { z } from 'zod';
import { BroadcastId, SessionId } from '../platform/contract/ids.ts';
import type { AppError } from '../platform/runtime/errors.ts';
import {
  assignRequestId,
  problemHandler,
  requireInternalSecret,
  sendProblem,
} from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { healthRoutes, type Readiness } from '../platform/runtime/private-server.ts';
import { RingGone, RingQueryInvalid, RingUnknown } from './errors.ts';
import type { Ring, RingReader, RingStart } from './ring.ts';

export type RingRouteDeps = {
  ring(id: BroadcastId): Ring | null;
  internalSecret: string;
  readiness: Readiness;
  /** A reader came, left, or was cut off for falling behind. */
  onReader(change: 'came' | 'left' | 'lagged'): void;
  /** Aborts when the node stops: bodies are cut. */
  closing: AbortSignal;
  log: Logger;
};

const Count = z.coerce.number<string>().int().min(0).max(0xffff_ffff);
const Query = z.union([
  z.strictObject({ from: z.enum(['start', 'live']) }),
  z.strictObject({ session: SessionId, tag: Count }),
  z.strictObject({ session: SessionId, ts: Count }).transform(({ session, ts }) => ({ session, timestamp: ts })),
]);

/** Bytes in the socket's buffer at which the ring waits for the reader. */
const HIGH_WATER_BYTES = 1024 * 1024;
const LAG_CHECK_MS = 250;

/** The ingest's main listener: ring and health. */
export function createRingApp(deps: RingRouteDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(assignRequestId);
  healthRoutes(app, deps.readiness);
  app.get('/ring/:broadcast', requireInternalSecret(deps.internalSecret), (req, res) => serveRing(deps, req, res));
  app.use((_req, res) => sendProblem(res, 404, 'Not Found', 'NOT_FOUND', ['no such route']));
  app.use(problemHandler(deps.log, statusOf));
  return app;
}

function statusOf(error: AppError): number {
  if (error instanceof RingUnknown) return 404;
  if (error instanceof RingGone) return 410;
  return error instanceof RingQueryInvalid ? 422 : 500;
}

async function serveRing(deps: RingRouteDeps, req: Request, res: Response): Promise<void> {
  const id = BroadcastId.safeParse(req.params['broadcast']);
  const ring = id.success ? deps.ring(id.data) : null;
  if (ring === null) throw new RingUnknown();
  const query = Query.safeParse(req.query);
  if (!query.success) throw new RingQueryInvalid();
  const start: RingStart = query.data;
  const reader = ring.open(start);
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  res.socket?.setNoDelay(true);
  res.set({ 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }).flushHeaders();
  deps.onReader('came');
  try {
    await pump(reader, res, AbortSignal.any([gone.signal, deps.closing]), deps);
  } finally {
    deps.onReader('left');
  }
}

async function pump(reader: RingReader, res: Response, signal: AbortSignal, deps: RingRouteDeps): Promise<void> {
  while (!signal.aborted) {
    const chunk = await reader.next(signal);
    if (chunk === 'ended') {
      res.end();
      return;
    }
    if (chunk === 'lagged' || chunk === 'closed') {
      if (chunk === 'lagged') deps.onReader('lagged');
      break;
    }
    res.write(chunk.bytes);
    if (res.writableLength > HIGH_WATER_BYTES) await drained(res, reader, signal);
  }
  // A body cut without its end tells the reader that it has to come back.
  res.destroy();
}

/** Resolves when the reader took what it was sent, when the ring has left it behind, or when it is gone. */
function drained(res: Response, reader: RingReader, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearInterval(watching);
      res.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const watching = setInterval(() => {
      if (reader.isLagging()) done();
    }, LAG_CHECK_MS);
    res.once('drain', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
