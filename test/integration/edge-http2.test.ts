// The edge's HTTP/2 before other implementations: node:http2 as a client, h2spec, Chromium.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { H2Session } from '../../edge-cache/h2-session.ts';
import type { EdgeRequest } from '../../edge-cache/messages.ts';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { requirePart } from '../support/parts.ts';
import { answerOf, engineOf } from '../support/raw-h2.ts';
import { bytesOf, CONTENT, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

describe('header blocks of node:http2', () => {
  it('are read whatever characters its Huffman code holds', async () => {
    const asked: EdgeRequest[] = [];
    const engine = engineOf((request) => {
      asked.push(request);
      return answerOf(Buffer.from('ok'));
    });
    const limits = { headerLimits: { listBytes: 65_536, fields: 200 }, idleMs: 1e9, headersMs: 1e9 };
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      new H2Session(socket, '', { ...limits, engine, report: () => undefined, ended: () => undefined });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const characters = Array.from({ length: 256 - 32 }, (_, i) => String.fromCharCode(32 + i)).filter(
      (c) => c !== '\x7f',
    );
    for (let i = 0; i < characters.length; i += 50) {
      // Short codes around each character, so that the Huffman code is the shorter one and is taken.
      const sent = Object.fromEntries(
        characters.slice(i, i + 50).map((c, n) => [`x-${n}`, `${'a'.repeat(30)}${c}${'e'.repeat(30)}`]),
      );
      const stream = client.request({ ':path': '/', ...sent });
      expect(await text(stream)).toBe('ok');
      expect(asked.at(-1)?.headers).toMatchObject(sent);
    }
    client.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
});

/** From PATH, or built by the set-up. */
function findH2spec(): string | null {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(cache, 'headwater', 'bin')];
  return folders.map((folder) => join(folder, 'h2spec')).find((path) => existsSync(path)) ?? null;
}

const isBrowser = await hasChromium();
const hasH2spec = await requirePart('h2spec', () => findH2spec() !== null);

describe('the edge', () => {
  let origin: TestOrigin;
  let edge: EdgeSide;

  beforeEach(async () => {
    origin = await startTestOrigin();
    edge = await startEdgeSide(() => [origin.url], { protocol: 'HTTP/2' });
  });

  afterEach(async () => {
    await edge.close();
    await origin.stop();
  });

  it.skipIf(!hasH2spec)('gives h2spec nothing to say against it: RFC 9113 and RFC 7541', async () => {
    const path = `/v/-/${CONTENT}/v240/0/s1.writer.m4s`;
    // Its tests of windows want a body that is short and held.
    await edge.read(path);
    const { port } = new URL(edge.base);
    const child = spawn(findH2spec() ?? '', ['-h', '127.0.0.1', '-p', port, '-t', '-k', '-S', '-P', path, '-o', '5']);
    const output = text(child.stdout);
    await once(child, 'close');
    expect((await output).trimEnd().split('\n').at(-1)).toMatch(/^\d+ tests, \d+ passed, 0 skipped, 0 failed$/);
  });

  it.skipIf(!isBrowser)('gives a browser 60 objects at a time on one connection, each byte in its place', async () => {
    const browser = await startBrowser();
    try {
      const page = await browser.newPage({ ignoreHTTPSErrors: true });
      await page.goto(`${edge.base}/healthz`);
      const paths = Array.from({ length: 60 }, (_, i) => `/v/-/${CONTENT}/v240/0/s${i}.writer.m4s`);
      const script = `(async (paths) => {
        const digest = async (path) => {
          const body = await (await fetch(path)).arrayBuffer();
          const sum = await crypto.subtle.digest('SHA-256', body);
          return [...new Uint8Array(sum)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
        };
        const sums = await Promise.all(paths.map(digest));
        const protocols = performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol);
        return { sums, protocols: [...new Set(protocols)] };
      })(${JSON.stringify(paths)})`;
      const expected = paths.map((path) => createHash('sha256').update(bytesOf(path)).digest('hex'));
      expect(await page.evaluate(script)).toEqual({ sums: expected, protocols: ['h2'] });
      expect(edge.side.h2.count).toBe(1);
    } finally {
      await browser.close();
    }
  });
});
