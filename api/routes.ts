// The api's express app: endpoint table, one-time upload addresses, status page. The only file that knows status codes.
import { join } from 'node:path';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { builtFolder } from '../platform/runtime/built-assets.ts';
import type { AppError } from '../platform/runtime/errors.ts';
import { assignRequestId, problemHandler, requestIdOf, sendProblem } from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { healthRoutes, type Readiness } from '../platform/runtime/private-server.ts';
import { requireToken } from './auth.ts';
import type { Endpoint } from './endpoint.ts';
import { RequestInvalid } from './errors.ts';
import type { ApiMetrics } from './metrics.ts';
import { etagHeader } from './versions.ts';

const STATUS_OF: Record<string, number> = {
  API_NOT_FOUND: 404,
  API_TOKEN_REFUSED: 401,
  API_REQUEST_INVALID: 422,
  API_IF_MATCH_REQUIRED: 428,
  API_VERSION_STALE: 412,
  API_NOT_ALLOWED_NOW: 409,
  API_UPLOAD_GONE: 410,
  API_UPLOAD_TOO_LARGE: 413,
  API_UPLOAD_OFFSET_CONFLICT: 409,
  API_UPLOAD_BUSY: 423,
  API_UPLOAD_INTERRUPTED: 400,
  API_DISK_LOW: 507,
  STORAGE_FULL: 507,
};

/** Status of each known error; upstream faults that may pass are 503. */
export const statusOf = (error: AppError): number =>
  STATUS_OF[error.code] ?? (error.source === 'client' ? 400 : error.source === 'upstream' ? 503 : 500);

export type RouteDeps = {
  endpoints: Endpoint[];
  uploadAddress: RequestHandler;
  adminToken: string;
  publicUrl: string;
  readiness: Readiness;
  metrics: ApiMetrics;
  log: Logger;
  /** Folder of the built status page. */
  pageFolder?: string;
};

/** Largest JSON body. Unit: bytes. */
const BODY_BYTES = 64 * 1024;

/** Counts and logs each answer under its route, never under its address: upload addresses are secrets. */
const observe =
  (metrics: ApiMetrics, log: Logger): RequestHandler =>
  (req, res, next) => {
    const started = performance.now();
    res.once('close', () => {
      const seconds = (performance.now() - started) / 1_000;
      const route = String(res.locals['route'] ?? 'other');
      const status = res.writableFinished ? String(res.statusCode) : 'aborted';
      metrics.requests.add({ route, status });
      metrics.seconds.observe(seconds, { route });
      log.debug('request answered', { request: requestIdOf(res), method: req.method, route, status, seconds });
    });
    next();
  };

const named =
  (route: string): RequestHandler =>
  (_req, res, next) => {
    res.locals['route'] = route;
    next();
  };

const perform =
  (item: Endpoint): RequestHandler<Record<string, string>> =>
  async (req, res) => {
    const answer = await item.handle({
      params: req.params,
      body: req.body,
      query: req.query,
      ifMatch: req.get('if-match') ?? null,
      requestId: requestIdOf(res),
    });
    res.set('cache-control', 'no-store');
    if (answer.etag !== undefined) res.set('etag', etagHeader(answer.etag));
    if (item.status === 204) res.status(204).end();
    // A record's ETag does not cover what is alive in the answer (progress, viewers); the overview's covers all of it.
    else if (item.operation === 'getOverview' && req.get('if-none-match') === res.get('etag')) res.status(304).end();
    else if (item.isBare) res.json(answer.data);
    else if (answer.nextCursor !== undefined) res.json({ data: answer.data, next_cursor: answer.nextCursor });
    else res.status(item.status).json({ data: answer.data });
  };

/** A body that is no JSON is a client's fault like any other that does not fit. */
const explainBodyFault: ErrorRequestHandler = (thrown: unknown, _req, _res, next) => {
  const type: unknown = thrown instanceof Error ? Reflect.get(thrown, 'type') : null;
  next(type === 'entity.parse.failed' ? new RequestInvalid(['the body is not valid JSON'], { cause: thrown }) : thrown);
};

/** Every fault of an invalid request gets a line of its own. */
const listFaults: ErrorRequestHandler = (thrown: unknown, _req, res, next) => {
  if (thrown instanceof RequestInvalid && !res.headersSent)
    sendProblem(res, 422, 'Unprocessable Content', thrown.code, thrown.messages);
  else next(thrown);
};

function statusPage(app: Express, folder: string, publicUrl: string): void {
  const policy = [
    "default-src 'self'",
    `connect-src 'self' ${new URL(publicUrl).origin}`,
    "img-src 'self' data: http: https:",
    "style-src 'self' 'unsafe-inline'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
  const guard: RequestHandler = (_req, res, next) => {
    res.set({
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    next();
  };
  app.use(named('page'), guard);
  app.use('/assets', express.static(join(folder, 'assets'), { immutable: true, maxAge: '1y', fallthrough: true }));
  app.use(
    express.static(folder, {
      index: 'index.html',
      cacheControl: false,
      setHeaders: (res) => res.setHeader('cache-control', 'no-cache'),
    }),
  );
}

/** Builds the app; listens nowhere. */
export function createApiApp(deps: RouteDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use(assignRequestId);
  healthRoutes(app, deps.readiness);
  app.use(observe(deps.metrics, deps.log));
  app.use('/uploads', named('/uploads/:address'));
  app.use(deps.uploadAddress);
  const auth = requireToken(deps.adminToken);
  const json = express.json({ limit: BODY_BYTES, type: () => true });
  for (const item of deps.endpoints) {
    const guards = item.isOpen ? [named(item.path)] : [named(item.path), auth];
    const body = item.raw === undefined ? json : express.raw({ limit: item.raw.maxBytes, type: () => true });
    app[item.method](item.path, ...guards, body, perform(item));
  }
  // Unknown addresses below the API tell nothing to those without a token.
  app.use(['/video', '/ops', '/system'], auth);
  statusPage(app, deps.pageFolder ?? builtFolder('dashboard'), deps.publicUrl);
  app.use((_req, res) => {
    sendProblem(res, 404, 'Not Found', 'API_NOT_FOUND', ['no such address']);
  });
  app.use(explainBodyFault, listFaults, problemHandler(deps.log, statusOf));
  return app;
}
