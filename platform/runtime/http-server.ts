// What every HTTP listener of the platform shares: listening with a clear error, closing with a limit, request ids, problem documents.
import { timingSafeEqual } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { randomText } from '../contract/ids.ts';
import { headers } from '../contract/routes.ts';
import { AppError, codeOf, PortInUse } from './errors.ts';
import type { Logger } from './log.ts';
import { delay } from './waits.ts';

/** Connections that may wait to be accepted: viewers come in crowds, and an overflow costs each a second. */
const BACKLOG = 4_096;

/**
 * Listens and answers the port in use.
 * @param variable the setting that chose the port, for the error
 * @throws PortInUse
 */
export async function listen(server: NetServer, port: number, host: string, variable: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const failed = (thrown: Error) =>
      reject(codeOf(thrown) === 'EADDRINUSE' ? new PortInUse(port, variable, { cause: thrown }) : thrown);
    server.once('error', failed);
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', failed);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** What can stop listening: a server of node:http, or what acts as one. */
export type Closable = Pick<NetServer, 'listening'> &
  Pick<Server, 'closeIdleConnections' | 'closeAllConnections'> & { close(closed: () => void): unknown };

/** Stops listening; open requests have `graceMs` to end, then their connections are cut. */
export async function closeServer(server: Closable, graceMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const grace = new AbortController();
  const cut = delay(graceMs, grace.signal).then(() => {
    if (!grace.signal.aborted) server.closeAllConnections();
  });
  await closed;
  grace.abort();
  await cut;
}

/** RFC 9457 body, Mux's envelope of messages included. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  code: string;
  messages: string[];
  request_id: string;
};

export function sendProblem(res: Response, status: number, title: string, code: string, messages: string[]): void {
  const problem: Problem = { type: 'about:blank', title, status, code, messages, request_id: requestIdOf(res) };
  res.status(status).set('content-type', 'application/problem+json').send(JSON.stringify(problem));
}

const REQUEST_ID = /^[A-Za-z0-9_-]{8,64}$/;
/** Takes the caller's request id when it is well formed, else makes one; answers it in the same header. */
export const assignRequestId: RequestHandler = (req, res, next) => {
  const given = req.get(headers.requestId);
  const id = given !== undefined && REQUEST_ID.test(given) ? given : randomText(16);
  res.locals['requestId'] = id;
  res.set(headers.requestId, id);
  next();
};
export const requestIdOf = (res: Response): string => String(res.locals['requestId'] ?? '');

/** Compares secrets in constant time. */
export function secretsEqual(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Lets only other roles of the platform pass; everyone else gets 401. */
export const requireInternalSecret =
  (secret: string): RequestHandler =>
  (req, res, next) => {
    if (secretsEqual(req.get(headers.internal) ?? '', secret)) next();
    else
      sendProblem(res, 401, 'Unauthorized', 'INTERNAL_SECRET_REQUIRED', [
        'this route is for other roles of the platform',
      ]);
  };

/** Last handler of an express app: what was thrown becomes a problem document; `statusOf` chooses the status of known errors. */
export const problemHandler =
  (log: Logger, statusOf: (error: AppError) => number): ErrorRequestHandler =>
  (thrown: unknown, req, res, _next) => {
    if (res.headersSent) {
      res.destroy();
      return;
    }
    const error = thrown instanceof AppError ? thrown : null;
    const status = error ? statusOf(error) : httpStatusOf(thrown);
    if (status >= 500)
      log.error('request failed', {
        request: requestIdOf(res),
        method: req.method,
        route: req.route?.path,
        err: thrown,
      });
    const shown =
      error && (status < 500 || error.source !== 'internal')
        ? error.message
        : status < 500
          ? String((thrown as Error).message)
          : 'something went wrong here; the log names it under this request id';
    sendProblem(res, status, TITLES[status] ?? 'Error', error?.code ?? (status < 500 ? 'BAD_REQUEST' : 'INTERNAL'), [
      shown,
    ]);
  };

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
};

/** Status that express and its body parsers put on their errors. */
function httpStatusOf(thrown: unknown): number {
  const status = thrown instanceof Error && 'status' in thrown ? Number(thrown.status) : 500;
  return status >= 400 && status < 600 ? status : 500;
}
