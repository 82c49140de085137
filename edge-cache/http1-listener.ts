// The HTTP/1.1 door: who may connect, which connections wait too long, and what goes on at node:http.
import { createServer, type Server, type Socket } from 'node:net';
import { Admission, type AdmissionLimits } from './admission.ts';
import type { Engine } from './engine.ts';
import { Http1Connection, type Http1Parts } from './http1-connection.ts';
import type { EdgeMetrics } from './metrics.ts';
import { createNodeListener } from './node-listener.ts';
import { createHeads } from './prepared-heads.ts';

/** How often connections that wait too long are looked for. Unit: ms. */
const SWEEP_MS = 1_000;

export type Http1ListenerParts = {
  engine: Engine;
  /** Then each answer is the last of its connection, or a drain would wait for idle ones. */
  isDraining: () => boolean;
  metrics: Pick<EdgeMetrics, 'connectionsCut'>;
  /** Told of an answer that could not be written. */
  report: (thrown: unknown) => void;
  limits: AdmissionLimits;
  /** Monotonic. Unit: ms. */
  now?: () => number;
};

export type Http1Server = Server & {
  /** Speaks HTTP/1.1 on a connection that another listener has admitted. */
  take(socket: Socket): void;
  /** Counts a connection, or cuts it because there are too many in all or of its address. */
  admit(socket: Socket): boolean;
  closeIdleConnections(): void;
  closeAllConnections(): void;
  /** Number of connections taken and still open. */
  count(): number;
  /** Ends what has waited too long; called each second while there are connections. */
  sweep(): void;
};

/** A server on raw sockets, not listening yet. */
export function createHttp1Server(parts: Http1ListenerParts): Http1Server {
  const { engine, isDraining, metrics, report, now = () => performance.now() } = parts;
  const open = new Map<Socket, Http1Connection | null>();
  const admission = new Admission(parts.limits);
  const slow = createNodeListener(engine, isDraining, report);
  // It never listens, and node:http begins to watch deadlines of heads only then.
  slow.emit('listening');
  let nowMs = now();
  let sweeping: NodeJS.Timeout | null = null;

  const connectionParts: Http1Parts = {
    engine,
    headOf: createHeads(),
    isDraining,
    nowMs: () => nowMs,
    handOver(socket, bytes) {
      open.set(socket, null);
      socket.unshift(bytes);
      slow.emit('connection', socket);
    },
    wasCut: (reason) => metrics.connectionsCut.add({ reason }),
    report,
  };
  const sweep = (): void => {
    nowMs = now();
    for (const connection of open.values()) connection?.sweep(nowMs);
  };
  const take = (socket: Socket): void => {
    if (sweeping === null) {
      nowMs = now();
      sweeping = setInterval(sweep, SWEEP_MS);
    }
    open.set(socket, new Http1Connection(socket, connectionParts));
    socket.once('close', () => {
      open.delete(socket);
      if (open.size > 0 || sweeping === null) return;
      clearInterval(sweeping);
      sweeping = null;
    });
  };
  const admit = (socket: Socket): boolean => {
    const admitted = admission.enter(socket.remoteAddress ?? '');
    if ('leave' in admitted) {
      socket.once('close', admitted.leave);
      return true;
    }
    metrics.connectionsCut.add({ reason: admitted.refused });
    socket.destroy();
    return false;
  };
  const server = createServer({ noDelay: true }, (socket) => {
    if (admit(socket)) take(socket);
  });
  server.once('close', () => slow.close());
  return Object.assign(server, {
    take,
    admit,
    sweep,
    closeIdleConnections() {
      for (const connection of open.values()) connection?.closeIfIdle();
      slow.closeIdleConnections();
    },
    closeAllConnections() {
      for (const socket of open.keys()) socket.destroy();
    },
    count: () => open.size,
  });
}
