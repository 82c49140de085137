// The private listener of every role: /metrics, /healthz, /readyz, and what a role adds for other roles. Never on the viewers' network.
import { createServer } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import { assignRequestId, closeServer, listen } from './http-server.ts';
import type { Metrics } from './metrics.ts';

/** Empty: ready. Else one reason a line, what does not answer. */
export type Readiness = () => string[] | Promise<string[]>;

/** /healthz: the loop turns. /readyz: 200, or 503 with the reasons. Mounted on the main port of every role too. */
export function healthRoutes(app: Express, readiness: Readiness): void {
  const plain = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
  app.get('/healthz', (_req, res) => {
    res.set(plain).send('ok\n');
  });
  const ready: RequestHandler = async (_req, res) => {
    const reasons = await readiness();
    res
      .set(plain)
      .status(reasons.length === 0 ? 200 : 503)
      .send(reasons.length === 0 ? 'ready\n' : `${reasons.join('\n')}\n`);
  };
  app.get('/readyz', ready);
}

export type PrivateServer = { app: Express; start(): Promise<number>; close(): Promise<void> };

/**
 * @param port METRICS_PORT; 0 takes a free one
 * @returns `app` for a role's internal routes, to be added before start(); start() answers the port in use
 */
export function createPrivateServer(port: number, host: string, metrics: Metrics, readiness: Readiness): PrivateServer {
  const app = express();
  app.disable('x-powered-by');
  app.use(assignRequestId);
  healthRoutes(app, readiness);
  app.get('/metrics', async (_req, res) => {
    res.set('content-type', 'text/plain; version=0.0.4; charset=utf-8').send(await metrics.expose());
  });
  const server = createServer(app);
  return {
    app,
    start: () => listen(server, port, host, 'HEADWATER_METRICS_PORT'),
    close: () => closeServer(server, 1_000),
  };
}
