// The engine behind HTTP/2: connections that agreed on it become sessions, one clock looks after the limits of all. Sockets come from the TLS port after ALPN.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Engine } from './engine.ts';
import { H2Session, type SessionParts } from './h2-session.ts';
import type { EdgeMetrics } from './metrics.ts';
import { connectionLimits } from './node-listener.ts';

/** How often limits in time are looked after. Unit: ms. */
const TICK_MS = 1_000;

export interface H2Sessions {
  /** Speaks HTTP/2 on a connection that has agreed on it. */
  take(socket: Socket): void;
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
  const sessions = new Set<H2Session>();
  let clock: NodeJS.Timeout | null = null;
  const tick = (): void => {
    const nowMs = performance.now();
    for (const session of sessions) session.tick(nowMs);
  };
  const parts: SessionParts = {
    engine,
    headerLimits: { listBytes: connectionLimits.maxHeaderBytes, fields: connectionLimits.maxHeaders },
    idleMs: connectionLimits.stalledMs,
    headersMs: connectionLimits.headersMs,
    report,
    ended: (reason) => metrics.sessionsClosed.add({ reason }),
  };
  return {
    take(socket) {
      socket.setNoDelay(true);
      // Source: RFC 9113, section 9.2.1.
      if (socket instanceof TLSSocket) socket.disableRenegotiation();
      const session = new H2Session(socket, socket.remoteAddress ?? '', parts);
      sessions.add(session);
      clock ??= setInterval(tick, TICK_MS);
      socket.once('close', () => {
        sessions.delete(session);
        if (sessions.size > 0 || clock === null) return;
        clearInterval(clock);
        clock = null;
      });
      if (isDraining()) session.drain();
    },
    get count() {
      return sessions.size;
    },
    drain: () => sessions.forEach((session) => void session.drain()),
  };
}
