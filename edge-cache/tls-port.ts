// The TLS port: one handshake, then HTTP/2 or HTTP/1.1 as agreed by ALPN, both in front of the same engine. A renewed certificate is taken up while it runs.
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { type Closable, closeServer, listen } from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Listener } from '../platform/runtime/role-frame.ts';
import { followTlsFiles } from '../platform/runtime/tls-files.ts';
import type { H2Sessions } from './h2-listener.ts';
import type { Http1Server } from './http1-listener.ts';

export type TlsPlace = {
  /** 0 takes a free one. */
  port: number;
  host: string;
  /** PEM files. */
  cert: string;
  key: string;
};

const HANDSHAKE_MS = 10_000;

export type TlsPortParts = {
  place: TlsPlace;
  /** Takes connections that speak HTTP/1.1, and admits all. */
  h1: Pick<Http1Server, 'take' | 'admit' | 'closeIdleConnections'>;
  h2: H2Sessions;
  /** Requests under way have this long after the drain begins. Unit: ms. */
  drainMs: number;
  log: Logger;
  /** How often the files are looked at. Unit: ms. */
  lookMs?: number;
};

/** @throws (start) TlsFilesInvalid, PortInUse */
export function createTlsPort({ place, h1, h2, drainMs, log, lookMs }: TlsPortParts): Listener {
  const sockets = new Set<TLSSocket>();
  const server = createServer({
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: HANDSHAKE_MS,
    noDelay: true,
  });
  const files = followTlsFiles(server, place, log, lookMs);
  server.on('connection', (raw: Socket) => h1.admit(raw));
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (socket.alpnProtocol === 'h2') h2.take(socket);
    else h1.take(socket);
  });
  // A failed handshake is the peer's affair; node has closed the socket.
  server.on('tlsClientError', () => undefined);
  const closable: Closable = {
    get listening() {
      return server.listening;
    },
    close: (closed) => server.close(closed),
    closeIdleConnections() {
      h2.drain();
      h1.closeIdleConnections();
    },
    closeAllConnections() {
      for (const socket of sockets) socket.destroy();
    },
  };
  return {
    async start() {
      await files.start();
      return listen(server, place.port, place.host, 'HEADWATER_EDGE_TLS_PORTS');
    },
    drain: () => closeServer(closable, drainMs),
    async close() {
      await closeServer(closable, 0);
      await files.close();
    },
  };
}
