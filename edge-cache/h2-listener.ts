// The engine behind node:http2: streams in, answers out, with limits on what one session may cost. Sockets come from the TLS port after ALPN.
import {
  constants,
  createServer,
  type Http2Session,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { letGo, pump } from './answer-body.ts';
import type { Engine } from './engine.ts';
import type { EdgeAnswer, EdgeRequest } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import { connectionLimits } from './node-listener.ts';

const sessionLimits = {
  /** Requests at a time. */
  streams: 100,
  /** Names and values of one request's header. */
  headerBytes: connectionLimits.maxHeaderBytes,
  headerPairs: connectionLimits.maxHeaders,
  /** No byte in either direction: idle, or a viewer that takes nothing. Unit: ms. */
  idleMs: connectionLimits.stalledMs,
  /** Requests taken back by the viewer: more than this in one window is no player (CVE-2023-44487). */
  resets: 100,
  resetWindowMs: 10_000,
  /** Memory that the library may hold for one session; beyond it new requests are refused. Unit: MB. */
  memoryMb: 32,
  /** Bodies go to the library in slices: what it holds of them counts against the session's memory. Unit: bytes. */
  sliceBytes: 131_072,
} as const;

export interface H2Sessions {
  /** Speaks HTTP/2 on a connection that has agreed on it. */
  take(socket: Duplex): void;
  readonly count: number;
  /** No new requests; sessions end with their last answer. */
  drain(): void;
}

/**
 * @param isDraining then each session ends with its answers under way
 * @param report told of an answer that could not be written
 */
export function createH2Sessions(
  engine: Engine,
  isDraining: () => boolean,
  metrics: Pick<EdgeMetrics, 'sessionsClosed'>,
  report: (thrown: unknown) => void,
): H2Sessions {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({
    maxSessionMemory: sessionLimits.memoryMb,
    maxHeaderListPairs: sessionLimits.headerPairs,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    settings: {
      enablePush: false,
      maxConcurrentStreams: sessionLimits.streams,
      maxHeaderListSize: sessionLimits.headerBytes,
    },
  });
  const guard = resetGuard(metrics);
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.setTimeout(sessionLimits.idleMs, () => {
      metrics.sessionsClosed.add({ reason: 'idle' });
      session.destroy();
    });
    if (isDraining()) session.close();
  });
  // Broken frames and cut connections: the session has ended itself.
  server.on('sessionError', () => undefined);
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    // A closed stream no longer knows its session.
    const { session } = stream;
    const request = readRequest(stream, headers);
    stream.on('error', () => undefined);
    stream.once('close', () => {
      request.onLeft?.();
      if (session !== undefined) guard(session, stream);
    });
    engine
      .handle(request)
      .then((answer) => write(stream, answer))
      .catch((thrown: unknown) => {
        report(thrown);
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      });
  });
  return {
    take: (socket) => void server.emit('connection', socket),
    get count() {
      return sessions.size;
    },
    drain: () => sessions.forEach((session) => void session.close()),
  };
}

/** Ends a session whose requests are taken back again and again: each costs the edge work and the peer nothing. */
function resetGuard(
  metrics: Pick<EdgeMetrics, 'sessionsClosed'>,
): (session: Http2Session, stream: Http2Stream) => void {
  const windows = new WeakMap<Http2Session, { resets: number; endMs: number }>();
  return (session, stream) => {
    const isTakenBack = stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR;
    if (!isTakenBack || session.destroyed) return;
    const nowMs = performance.now();
    let window = windows.get(session);
    if (window === undefined || window.endMs < nowMs) {
      window = { resets: 0, endMs: nowMs + sessionLimits.resetWindowMs };
      windows.set(session, window);
    }
    window.resets += 1;
    if (window.resets <= sessionLimits.resets) return;
    metrics.sessionsClosed.add({ reason: 'resets' });
    session.destroy(new Error('too many requests taken back'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
}

function readRequest(stream: ServerHttp2Stream, given: IncomingHttpHeaders): EdgeRequest {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!name.startsWith(':')) headers[name] = Array.isArray(value) ? value[0] : value;
  }
  const authority = given[':authority'];
  const { host } = headers;
  const isTwice = authority !== undefined && host !== undefined && authority !== host;
  return {
    method: given[':method'] ?? '',
    target: given[':path'] ?? '',
    headers,
    hosts: isTwice ? 2 : 1,
    hasBody: !stream.endAfterHeaders,
    client: stream.session?.socket.remoteAddress ?? '',
    onLeft: null,
  };
}

async function write(stream: ServerHttp2Stream, answer: EdgeAnswer): Promise<void> {
  if (stream.destroyed || stream.closed) return letGo(answer);
  const { status, headers, body } = answer;
  stream.respond({ ':status': status, ...headers }, { endStream: body === null });
  if (body === null) return;
  if (Buffer.isBuffer(body) && body.length <= sessionLimits.sliceBytes) stream.end(body);
  else await pump(slicesOf(body), stream, () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
}

async function* slicesOf(body: Buffer | AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of Buffer.isBuffer(body) ? [body] : body) {
    for (let at = 0; at < chunk.length; at += sessionLimits.sliceBytes)
      yield chunk.subarray(at, at + sessionLimits.sliceBytes);
  }
}
