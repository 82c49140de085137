// The reader of heads beside llhttp, the parser of node:http, over requests that were bent at random: what ours takes, llhttp reads the same way, byte for byte.
import { createServer, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import { afterAll, expect, it } from 'vitest';
import { readHead } from './http1-request.ts';

type Seen = { method: string; target: string; headers: Record<string, string> };

/** Requests that llhttp finds in the bytes, up to the first that it refuses. */
function createOracle(): { server: Server; read(bytes: Buffer): Promise<Seen[]> } {
  let seen: Seen[] = [];
  const server = createServer({ maxHeaderSize: 65_536 }, (req, res) => {
    const headers: Record<string, string> = Object.create(null);
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      headers[(req.rawHeaders[i] ?? '').toLowerCase()] ??= req.rawHeaders[i + 1] ?? '';
    seen.push({ method: req.method ?? '', target: req.url ?? '', headers });
    res.end();
  });
  server.maxHeadersCount = 0;
  server.on('clientError', (_thrown, socket) => socket.destroy());
  server.on('upgrade', (_req, socket) => socket.destroy());
  return {
    server,
    async read(bytes) {
      seen = [];
      const socket = new Duplex({
        read: () => undefined,
        write: (_chunk, _encoding, done) => done(),
      });
      socket.on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      server.emit('connection', socket);
      socket.push(bytes);
      socket.push(null);
      await closed;
      return seen;
    },
  };
}

/** Requests that ours takes, up to the first that it does not. */
function ours(bytes: Buffer): Seen[] {
  const taken: Seen[] = [];
  for (let at = 0; at < bytes.length; ) {
    const head = readHead(bytes, at);
    if (head.type !== 'request') break;
    taken.push({ method: head.method, target: head.target, headers: { ...head.fields.headers } as Seen['headers'] });
    if (head.fields.isLast) break;
    at = head.end;
  }
  return taken;
}

const CORPUS = [
  'GET /a HTTP/1.1\r\nHost: edge\r\n\r\n',
  'GET /v/-/x/index.m3u8?_HLS_msn=1 HTTP/1.1\r\nHost: edge:8080\r\nRange: bytes=0-1\r\nUser-Agent: a b\r\n\r\n',
  'HEAD /b HTTP/1.1\r\nHost: edge\r\nConnection: keep-alive\r\nIf-None-Match: "a", W/"b"\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: edge\r\nContent-Length: 5\r\n\r\nGET /',
  'POST /a HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nX: \t1\t \r\nEmpty:\r\n\r\n',
  'GET /a HTTP/1.0\r\nHost: edge\r\nConnection: keep-alive\r\n\r\n',
];
const PIECES = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\0',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '\x7f',
    '\x80',
    '\xff',
    '/',
    '#',
    '\\',
    '%00',
    'HTTP/1.1',
    '0',
  ],
  ...['GET ', 'HEAD ', 'Host: b\r\n', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', '\r\n\r\n', ' \r\n'],
];

/** The same in each run. */
let state = 20_260_501;
const random = (below: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) % below;
};
const pick = (from: readonly string[]): string => from[random(from.length)] ?? '';

function bend(text: string): string {
  const [at, length] = [random(text.length + 1), random(4)];
  const kind = random(5);
  if (kind === 0) return text.slice(0, at) + text.slice(at + length);
  if (kind === 1) return text.slice(0, at) + pick(PIECES) + text.slice(at);
  if (kind === 2) return text.slice(0, at) + pick(PIECES) + text.slice(at + length);
  if (kind === 3) return text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
  return text.slice(0, at) + text.slice(random(text.length + 1));
}

const oracle = createOracle();
afterAll(() => void oracle.server.close());

it('takes nothing that llhttp refuses or reads otherwise', async () => {
  let [taken, refused] = [0, 0];
  for (let round = 0; round < 6_000; round += 1) {
    let text = pick(CORPUS) + pick(CORPUS);
    for (let i = random(4); i >= 0; i -= 1) text = bend(text);
    const bytes = Buffer.from(text, 'latin1');
    const mine = ours(bytes);
    if (mine.length === 0) {
      refused += 1;
      continue;
    }
    taken += 1;
    const theirs = await oracle.read(bytes);
    expect(theirs.slice(0, mine.length).map(plain), JSON.stringify(text)).toEqual(mine.map(plain));
  }
  // Bent too little or too much, the corpus would prove nothing.
  expect(taken).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(500);
});

const plain = ({ method, target, headers }: Seen) => ({ method, target, headers: { ...headers } });
