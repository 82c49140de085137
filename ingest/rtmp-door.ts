// The RTMP and RTMPS listeners: who may connect and wait, and until when. What a connection says is rtmp-server.ts's business.
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { listen } from '../platform/runtime/http-server.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { followTlsFiles, type TlsFiles } from '../platform/runtime/tls-files.ts';
import { AddressGuard } from './address-guard.ts';
import { type PublisherGate, RTMP_LIMITS } from './rtmp-protocol.ts';
import { PublisherSession } from './rtmp-server.ts';
import { type Stranger, WAITING, WaitingRoom } from './waiting-room.ts';

export interface RtmpDoor extends Component {
  /** Known after start(). */
  port(): number;
  /** Null without RTMPS. */
  tlsPort(): number | null;
  /** Open connections, publishers and strangers. */
  connections(): number;
}

export type RtmpDoorOptions = {
  port: number;
  bind: string;
  /** Null: no RTMPS. */
  tls: { port: number; files: TlsFiles } | null;
  /** A publisher without a media message for this long is dropped. Unit: ms. */
  silenceMs: number;
  maxPublishers: number;
};

const SWEEP_MS = 250;
const KEEPALIVE_MS = 10_000;
/** Sockets beside publishers and those that wait: some are being closed. */
const SPARE = 64;
const SOCKET = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS } as const;

class Door implements RtmpDoor {
  private readonly options: RtmpDoorOptions;
  private readonly gate: PublisherGate;
  private readonly log: Logger;
  private readonly guard = new AddressGuard();
  private readonly greeting = new WaitingRoom();
  private readonly asking = new WaitingRoom();
  private readonly sessions = new Set<PublisherSession>();
  private readonly plain: Server;
  private readonly secure: { server: TlsServer; files: Component } | null;
  private sweeper: NodeJS.Timeout | undefined;
  private isClosing = false;
  private ports: { plain: number; secure: number | null } = { plain: 0, secure: null };

  constructor(options: RtmpDoorOptions, gate: PublisherGate, log: Logger) {
    this.options = options;
    this.gate = gate;
    this.log = log;
    this.plain = createServer(SOCKET);
    this.plain.on('connection', (socket) => this.open(socket, this.enter(socket)));
    this.secure = options.tls === null ? null : this.makeSecure(options.tls.files);
    for (const server of this.servers) {
      server.maxConnections = options.maxPublishers + 2 * WAITING.all + SPARE;
      server.on('error', (thrown) => log.error('rtmp listener failed', { err: thrown }));
    }
  }

  port(): number {
    return this.ports.plain;
  }
  tlsPort(): number | null {
    return this.ports.secure;
  }
  connections(): number {
    return this.sessions.size;
  }

  async start(): Promise<void> {
    const { port, bind, tls } = this.options;
    await this.secure?.files.start();
    this.ports.plain = await listen(this.plain, port, bind, 'HEADWATER_RTMP_PORT');
    if (this.secure !== null && tls !== null)
      this.ports.secure = await listen(this.secure.server, tls.port, bind, 'HEADWATER_RTMPS_PORT');
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS);
  }

  async close(): Promise<void> {
    this.isClosing = true;
    await this.secure?.files.close();
    const closed = this.servers.filter((server) => server.listening).map((server) => stopped(server));
    for (const session of this.sessions) session.close('shutdown');
    for (const room of this.rooms) room.clear();
    await Promise.all(closed);
    clearInterval(this.sweeper);
  }

  private get rooms(): WaitingRoom[] {
    return [this.greeting, this.asking];
  }

  private get servers(): Server[] {
    return this.secure === null ? [this.plain] : [this.plain, this.secure.server];
  }

  private makeSecure(files: TlsFiles): { server: TlsServer; files: Component } {
    const server = createTlsServer({ ...SOCKET, handshakeTimeout: RTMP_LIMITS.handshakeMs, minVersion: 'TLSv1.2' });
    // The TLS handshake is waiting too; its socket and the one inside it have the same peer.
    const waiting = new Map<string, Stranger>();
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      waiting.set(peer, this.enter(socket));
      socket.once('close', () => waiting.delete(peer));
    });
    server.on('secureConnection', (socket) => {
      const stranger = waiting.get(peerOf(socket));
      if (stranger === undefined) socket.destroy();
      else this.open(socket, stranger);
    });
    server.on('tlsClientError', (_thrown, socket) => {
      this.gate.turnedAway('malformed');
      socket.destroy();
    });
    return { server, files: followTlsFiles(server, files, this.log) };
  }

  private enter(socket: Socket): Stranger {
    const stranger: Stranger = {
      address: socket.remoteAddress ?? 'unknown',
      giveWay: () => {
        this.leave(stranger);
        if (!this.isClosing) this.gate.turnedAway('crowded');
        socket.destroy();
      },
    };
    socket.once('close', () => this.leave(stranger));
    this.greeting.enter(stranger);
    return stranger;
  }

  /** It publishes, gave way, or is gone. */
  private leave(stranger: Stranger): void {
    for (const room of this.rooms) room.leave(stranger);
  }

  private open(socket: Socket, stranger: Stranger): void {
    const { gate, guard, log } = this;
    const deps = { gate, guard, log, silenceMs: this.options.silenceMs };
    const session = new PublisherSession(socket, deps, {
      greeted: () => {
        this.greeting.leave(stranger);
        this.asking.enter(stranger);
      },
      publishing: () => this.leave(stranger),
    });
    this.sessions.add(session);
    socket.on('close', () => this.sessions.delete(session));
    session.run();
  }

  private sweep(): void {
    const now = performance.now();
    for (const session of this.sessions) if (session.deadline < now) session.expire();
  }
}

const peerOf = (socket: Socket): string => `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;

const stopped = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/** The listeners. Free of effects until start(). */
export const createRtmpDoor = (options: RtmpDoorOptions, gate: PublisherGate, log: Logger): RtmpDoor =>
  new Door(options, gate, log);
