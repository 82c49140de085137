// A reverse proxy before a real S3 server: it counts, and at a chosen request lets a test kill a process before or after the store has done it.

import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

/** Where in the life of a matching request the trigger fires. */
export type Moment = 'before' | 'after';
export type Trigger = {
  matches: (method: string, path: string) => boolean;
  moment: Moment;
  fire: () => void | Promise<void>;
};

export type StoreProxy = {
  url: string;
  /** Arms one trigger; it fires once, at the first match. */
  arm(trigger: Trigger): void;
  /** Whether the armed trigger has fired. */
  hasFired(): boolean;
  close(): Promise<void>;
};

/** @param target `http://127.0.0.1:port` */
export async function startStoreProxy(target: string): Promise<StoreProxy> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const upstream = new URL(target);
  let armed: Trigger | null = null;
  let isFired = false;

  const take = (req: IncomingMessage, moment: Moment): Trigger | null => {
    if (!armed || armed.moment !== moment || !armed.matches(req.method ?? '', decodeURIComponent(req.url ?? '')))
      return null;
    const trigger = armed;
    armed = null;
    isFired = true;
    return trigger;
  };
  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    await take(req, 'before')?.fire();
    const forward = request({
      agent,
      host: upstream.hostname,
      port: upstream.port,
      method: req.method,
      path: req.url,
      headers: req.headers,
    });
    forward.on('error', () => res.destroy());
    req.on('error', () => forward.destroy());
    req.on('aborted', () => forward.destroy());
    req.pipe(forward);
    const [answer] = (await once(forward, 'response')) as [IncomingMessage];
    await take(req, 'after')?.fire();
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(res);
  };
  const server = createServer((req, res) => {
    handle(req, res).catch(() => res.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    arm(trigger) {
      armed = trigger;
      isFired = false;
    },
    hasFired: () => isFired,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}
