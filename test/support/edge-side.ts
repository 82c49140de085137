// An edge's viewer side on real ports before real origins, and viewers who speak HTTP/1.1 or HTTP/2 with it.
import { once } from 'node:events';
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createRoundRobin, type Selector } from '../../edge-cache/balancer.ts';
import type { DiskConfig } from '../../edge-cache/config.ts';
import { createTlsPort } from '../../edge-cache/tls-port.ts';
import { createViewerSide, type ViewerSide } from '../../edge-cache/viewer-side.ts';
import { createHttpClient } from '../../platform/runtime/http-client.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { makeCertificate } from './certificate.ts';
import { tempDir } from './temp.ts';

export const PROTOCOLS = ['HTTP/1.1', 'HTTP/1.1 over TLS', 'HTTP/2'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type Read = { status: number; headers: Record<string, string>; body: Buffer; isComplete: boolean };
/** A request on its way. */
export type Visit = {
  answer: Promise<Read>;
  /** Bytes of the body so far. */
  received(): number;
  leave(): void;
};

export type EdgeSide = {
  side: ViewerSide;
  /** `http://127.0.0.1:port`, or https. */
  base: string;
  visit(path: string, headers?: Record<string, string>, method?: string): Visit;
  read(path: string, headers?: Record<string, string>, method?: string): Promise<Read>;
  /** Sum over the label sets of a metric whose line begins so. */
  metric(name: string): Promise<number>;
  /** Moves the edge's clock. Unit: ms. */
  shiftClock(ms: number): void;
  close(): Promise<void>;
};

export type EdgeSideOptions = {
  protocol?: Protocol;
  selector?: Selector;
  isDraining?: () => boolean;
  memoryBytes?: number;
  disk?: DiskConfig;
  /** Most viewer connections. */
  connections?: number;
};

/** @param origins addresses, read at each refresh */
export async function startEdgeSide(origins: () => string[], options: EdgeSideOptions = {}): Promise<EdgeSide> {
  const {
    protocol = 'HTTP/1.1',
    selector = createRoundRobin(),
    isDraining = () => false,
    connections = 20_000,
  } = options;
  const [http, held] = [createHttpClient(64, 500), createHttpClient(256, 500)];
  const metrics = createMetrics(false);
  let shiftMs = 0;
  const side = createViewerSide({
    http,
    held,
    log: silentLogger,
    metrics,
    selector,
    internalSecret: 'the-secret-between-the-roles-here',
    memoryBytes: options.memoryBytes ?? 50_000_000,
    disk: options.disk ?? null,
    limits: { connections, perAddress: 0 },
    pagesFolder: '/no/such/folder',
    origins: { urls: origins },
    edges: () => ['http://localhost:1'],
    steered: () => [],
    isDraining,
    now: () => performance.now() + shiftMs,
  });
  await side.disk?.start();
  await side.origins.start();
  side.server.listen(0, '127.0.0.1');
  await once(side.server, 'listening');
  const tls = protocol === 'HTTP/1.1' ? null : await openTls(side);
  const port = tls?.port ?? (side.server.address() as AddressInfo).port;
  const base = `http${tls === null ? '' : 's'}://127.0.0.1:${port}`;
  const client = protocol === 'HTTP/2' ? h2Client(base) : h1Client(base);
  return {
    side,
    base,
    visit: client.visit,
    read: (path, headers, method) => client.visit(path, headers, method).answer,
    async metric(name) {
      const lines = (await metrics.expose()).split('\n').filter((line) => line.startsWith(name));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    shiftClock: (ms) => {
      shiftMs = ms;
    },
    async close() {
      client.close();
      await side.origins.close();
      side.fills.close();
      await tls?.close();
      const closed = once(side.server, 'close');
      side.server.close();
      side.server.closeAllConnections();
      await closed;
      await Promise.all([http.close(), held.close(), side.disk?.close()]);
    },
  };
}

async function openTls(side: ViewerSide): Promise<{ port: number; close(): Promise<void> }> {
  const place = { port: 0, host: '127.0.0.1', ...(await makeCertificate(await tempDir('tls'), 'localhost')) };
  const listener = createTlsPort({ place, h1: side.server, h2: side.h2, drainMs: 1_000, log: silentLogger });
  return { port: await listener.start(), close: () => listener.close() };
}

type Client = { visit: EdgeSide['visit']; close(): void };

function h1Client(base: string): Client {
  const isTls = base.startsWith('https');
  const options = { keepAlive: true, maxFreeSockets: 1_000 };
  const agent = isTls ? new TlsAgent(options) : new PlainAgent(options);
  const request = isTls ? tlsRequest : plainRequest;
  return {
    visit(path, headers = {}, method = 'GET') {
      const req = request(base + path, { agent, headers, method, rejectUnauthorized: false });
      let bytes = 0;
      const answer = new Promise<Read>((resolve, reject) => {
        req.on('error', reject);
        req.on('response', (res) => {
          const chunks: Buffer[] = [];
          res.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            chunks.push(chunk);
          });
          res.on('error', () => undefined);
          res.on('close', () =>
            resolve({
              status: res.statusCode ?? 0,
              headers: flat(res.headers),
              body: Buffer.concat(chunks),
              isComplete: res.complete,
            }),
          );
        });
        req.end();
      });
      return { answer, received: () => bytes, leave: () => void req.destroy() };
    },
    close: () => agent.destroy(),
  };
}

function h2Client(base: string): Client {
  const sessions: ClientHttp2Session[] = [];
  let open = 0;
  /** Sessions take at most 100 requests at a time. */
  const session = (): ClientHttp2Session => {
    const last = sessions.at(-1);
    if (last !== undefined && !last.closed && !last.destroyed && open < 90) return last;
    open = 0;
    const fresh = connect(base, { rejectUnauthorized: false });
    fresh.on('error', () => undefined);
    sessions.push(fresh);
    return fresh;
  };
  return {
    visit(path, headers = {}, method = 'GET') {
      open += 1;
      let bytes = 0;
      const stream = session().request({ ':path': path, ':method': method, ...headers }, { endStream: true });
      const answer = new Promise<Read>((resolve, reject) => {
        let status = 0;
        let given: Record<string, string> = {};
        const chunks: Buffer[] = [];
        let isComplete = false;
        stream.on('response', (fields) => {
          status = Number(fields[':status']);
          given = flat(fields);
        });
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
        });
        stream.on('end', () => {
          isComplete = stream.rstCode === 0;
        });
        stream.on('error', (thrown) => status === 0 && reject(thrown));
        stream.on('close', () => {
          open -= 1;
          if (status === 0) reject(new Error(`no answer: reset ${stream.rstCode}`));
          else resolve({ status, headers: given, body: Buffer.concat(chunks), isComplete });
        });
      });
      return { answer, received: () => bytes, leave: () => stream.close(8) };
    },
    close: () => {
      for (const one of sessions) one.destroy();
    },
  };
}

function flat(headers: NodeJS.Dict<string | string[] | number>): Record<string, string> {
  const flatHeaders: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flatHeaders[name] = Array.isArray(value) ? value.join(', ') : String(value);
  }
  return flatHeaders;
}
