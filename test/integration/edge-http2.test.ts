// The edge's HTTP/2 before other implementations: node:http2 as a client, and h2spec where it is installed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { H2Session } from '../../edge-cache/h2-session.ts';
import type { EdgeRequest } from '../../edge-cache/messages.ts';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { answerOf, engineOf } from '../support/raw-h2.ts';
import { CONTENT, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

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

/** PATH, or where `go install` puts it. */
function findH2spec(): string | null {
  const folder = spawnSync('go', ['env', 'GOPATH'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const names = [process.env['H2SPEC'] ?? 'h2spec', `${folder}/bin/h2spec`];
  return names.find((name) => spawnSync(name, ['--version']).status === 0) ?? null;
}

const h2spec = findH2spec();
if (h2spec === null)
  process.stderr.write(
    'h2spec is not installed: skipped. GOFLAGS=-mod=mod go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible\n',
  );

describe.skipIf(h2spec === null)('h2spec', () => {
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

  it('finds nothing against RFC 9113 and RFC 7541', async () => {
    const path = `/v/-/${CONTENT}/v240/0/s1.writer.m4s`;
    // Its tests of windows want a body that is short and held.
    await edge.read(path);
    const { port } = new URL(edge.base);
    const child = spawn(h2spec ?? '', ['-h', '127.0.0.1', '-p', port, '-t', '-k', '-S', '-P', path, '-o', '5']);
    const output = text(child.stdout);
    await once(child, 'close');
    expect((await output).trimEnd().split('\n').at(-1)).toMatch(/^\d+ tests, \d+ passed, 0 skipped, 0 failed$/);
  });
});
