// The engine behind node:http, for connections whose syntax the raw listener leaves to it: reads requests into EdgeRequest, writes answers with backpressure, limits what a connection may cost.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { letGo, pump } from './answer-body.ts';
import type { Engine } from './engine.ts';
import type { EdgeAnswer, EdgeRequest, Headers } from './messages.ts';

export const connectionLimits = {
  /** From the first byte of a request to the end of its header. Unit: ms. */
  headersMs: 10_000,
  requestMs: 15_000,
  /** Idle between two requests. Unit: ms. */
  keepAliveMs: 30_000,
  /** No byte in either direction: a viewer that takes nothing is cut. Unit: ms. */
  stalledMs: 30_000,
  maxHeaderBytes: 16_384,
  maxHeaders: 64,
} as const;

/**
 * A node:http server whose every request goes to the engine. Not listening yet: the raw listener hands it connections.
 * @param isDraining then each answer is the last of its connection, or a drain would wait for idle ones
 */
export function createNodeListener(
  engine: Engine,
  isDraining: () => boolean,
  report: (thrown: unknown) => void,
): Server {
  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    const request = readRequest(req);
    res.once('close', () => request.onLeft?.());
    engine
      .handle(request)
      .then((answer) => write(res, answer, answer.isLast === true || isDraining()))
      .catch((thrown: unknown) => {
        report(thrown);
        res.destroy();
      });
  };
  const server = createServer(
    {
      maxHeaderSize: connectionLimits.maxHeaderBytes,
      headersTimeout: connectionLimits.headersMs,
      requestTimeout: connectionLimits.requestMs,
      keepAliveTimeout: connectionLimits.keepAliveMs,
      connectionsCheckingInterval: 5_000,
    },
    handle,
  );
  server.maxHeadersCount = connectionLimits.maxHeaders;
  server.setTimeout(connectionLimits.stalledMs, (socket) => socket.destroy());
  server.on('checkContinue', (_req, res: ServerResponse) => {
    res.writeHead(417, { connection: 'close', 'content-length': '0' }).end();
  });
  server.on('upgrade', (_req, socket) => {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  server.on('clientError', (thrown: NodeJS.ErrnoException, socket) => {
    if (thrown.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else socket.end(`HTTP/1.1 ${statusOf(thrown.code)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  return server;
}

function statusOf(code: string | undefined): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
}

function readRequest(req: IncomingMessage): EdgeRequest {
  const headers: Record<string, string | undefined> = {};
  let hosts = 0;
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = (req.rawHeaders[i] ?? '').toLowerCase();
    if (name === 'host') hosts += 1;
    headers[name] ??= req.rawHeaders[i + 1];
  }
  const length = headers['content-length'];
  return {
    method: req.method ?? '',
    target: req.url ?? '',
    headers,
    hosts,
    hasBody: headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0'),
    client: req.socket.remoteAddress ?? '',
    onLeft: null,
  };
}

async function write(res: ServerResponse, answer: EdgeAnswer, isLast: boolean): Promise<void> {
  if (res.destroyed) return letGo(answer);
  const headers: Headers = isLast ? { ...answer.headers, connection: 'close' } : answer.headers;
  res.writeHead(answer.status, headers);
  if (answer.body === null || Buffer.isBuffer(answer.body)) res.end(answer.body ?? undefined);
  else await pump(answer.body, res, () => res.destroy());
}
