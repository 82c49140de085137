// A transparent proxy between edges and one origin that notes every request: what reaches an origin is counted where it passes.
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export type CountedRequest = {
  /** With query. */
  path: string;
  /** X-Request-Id: an edge passes that of the first viewer who wanted it. */
  id: string;
  /** Of the origin's answer; 0: none came. */
  status: number;
};

export type RequestCounter = {
  url: string;
  /** In the order of arrival; health checks left out. */
  seen: CountedRequest[];
  /** The origin behind; until it is set, 503. */
  target: string;
  close(): Promise<void>;
};

/** Listens on a free port. */
export async function startRequestCounter(): Promise<RequestCounter> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4_096 });
  const counter: RequestCounter = { url: '', seen: [], target: '', close: async () => undefined };
  const server = createServer((req, res) => {
    if (counter.target === '') {
      res.writeHead(503).end();
      return;
    }
    const { hostname, port } = new URL(counter.target);
    const counted = { path: req.url ?? '', id: String(req.headers['x-request-id'] ?? ''), status: 0 };
    if (counted.path !== '/healthz') counter.seen.push(counted);
    const options = { agent, host: hostname, port, method: req.method, path: req.url, headers: req.headers };
    const forward = request(options, (answer) => {
      counted.status = answer.statusCode ?? 0;
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    forward.on('error', () => res.destroy());
    res.on('close', () => forward.destroy());
    req.pipe(forward);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  counter.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  counter.close = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    agent.destroy();
  };
  return counter;
}
