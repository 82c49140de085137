// The gate before every timing: a server that answers wrongly, or asks its origin for what it holds, is not timed.
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { sha256Of } from './objects.ts';
import type { Protocol } from './peer.ts';

export type Reply = { status: number; headers: Record<string, string>; body: Buffer };
export interface GateClient {
  ask(path: string, headers?: Record<string, string>, method?: string): Promise<Reply>;
  close(): void;
}

const LIMIT_MS = 10_000;
const HITS = 20;

export const gateClient = (base: string, protocol: Protocol): GateClient =>
  protocol === 'h2' ? h2Client(base) : h1Client(base);

export type Checked = { path: string; body: Buffer };

/**
 * Asks for an object in every way that is timed or that players use.
 * @param isCache ceilings are only asked for the bytes
 * @param originRequests requests at the origins since the last reading
 * @returns what is wrong; null: it may be timed
 */
export async function gate(
  client: GateClient,
  { path, body }: Checked,
  isCache: boolean,
  originRequests: () => Promise<number>,
): Promise<string | null> {
  const expected = sha256Of(body);
  const isWhole = (reply: Reply) => reply.status === 200 && sha256Of(reply.body) === expected;
  const first = await client.ask(path);
  if (!isWhole(first)) return `status ${first.status}, ${first.body.length} bytes of ${body.length}, or other bytes`;
  if (!isCache) return null;
  const head = await client.ask(path, {}, 'HEAD');
  if (head.status !== 200 || head.body.length > 0 || Number(head.headers['content-length']) !== body.length)
    return `HEAD: status ${head.status}, content-length ${head.headers['content-length']}`;
  const part = await client.ask(path, { range: 'bytes=100-299' });
  if (part.status !== 206 || !part.body.equals(body.subarray(100, 300))) return `a range: status ${part.status}`;
  const { etag } = first.headers;
  const again = etag === undefined ? null : await client.ask(path, { 'if-none-match': etag });
  if (again?.status !== 304) return `a validator: status ${again?.status ?? 'without an ETag'}`;
  await originRequests();
  for (let hit = 0; hit < HITS; hit += 1) if (!isWhole(await client.ask(path))) return 'a hit has other bytes';
  const asked = await originRequests();
  return asked > 0 ? `${asked} requests at the origin for ${HITS} hits` : null;
}

function h1Client(base: string): GateClient {
  const isTls = base.startsWith('https');
  const options = { keepAlive: true, maxSockets: 1 };
  const agent = isTls ? new TlsAgent({ ...options, rejectUnauthorized: false }) : new PlainAgent(options);
  const send = isTls ? tlsRequest : plainRequest;
  return {
    ask: (path, headers = {}, method = 'GET') =>
      new Promise((resolve, reject) => {
        const request = send(base + path, { agent, headers, method, timeout: LIMIT_MS }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', reject);
          response.once('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: flat(response.headers),
              body: Buffer.concat(chunks),
            }),
          );
        });
        request.once('timeout', () => request.destroy(new Error('no answer')));
        request.once('error', reject);
        request.end();
      }),
    close: () => agent.destroy(),
  };
}

function h2Client(base: string): GateClient {
  const session: ClientHttp2Session = connect(base, { rejectUnauthorized: false });
  // A session that breaks fails its requests.
  session.on('error', () => undefined);
  return {
    ask: (path, headers = {}, method = 'GET') =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':path': path, ':method': method, ...headers }, { endStream: true });
        const chunks: Buffer[] = [];
        let given: Record<string, string> = {};
        stream.setTimeout(LIMIT_MS, () => stream.destroy(new Error('no answer')));
        stream.once('response', (fields) => {
          given = flat(fields);
        });
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.once('error', reject);
        stream.once('end', () =>
          resolve({ status: Number(given[':status']), headers: given, body: Buffer.concat(chunks) }),
        );
      }),
    close: () => session.destroy(),
  };
}

function flat(headers: NodeJS.Dict<string | string[] | number>): Record<string, string> {
  const text = (value: string | string[] | number): string => (Array.isArray(value) ? value.join(', ') : String(value));
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, text(value)]])),
  );
}
