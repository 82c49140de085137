// The TLS port: which protocol is spoken, what one session may cost, a certificate that is renewed while viewers watch, the end.
import { once } from 'node:events';
import { copyFile, writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectH2, constants, type OutgoingHttpHeaders } from 'node:http2';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTlsPort } from '../../edge-cache/tls-port.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { until } from '../support/platform.ts';
import { tempDir } from '../support/temp.ts';
import { createTestLive, playlistPath, type TestLive } from '../support/test-live.ts';
import { CONTENT, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const SEGMENT = `/v/-/${CONTENT}/v240/0/s1.writer.m4s`;
const BLOCKED = `${playlistPath()}?_HLS_msn=10&_HLS_part=1`;

let origin: TestOrigin;
let live: TestLive;
let edge: EdgeSide;
let isDraining: boolean;
let sessions: ClientHttp2Session[];

beforeEach(async () => {
  isDraining = false;
  sessions = [];
  origin = await startTestOrigin();
  live = createTestLive();
  origin.intercept(live.handler);
  edge = await startEdgeSide(() => [origin.url], { protocol: 'HTTP/2', isDraining: () => isDraining });
});

afterEach(async () => {
  for (const session of sessions) session.destroy();
  await edge.close();
  await origin.stop();
});

async function open(options: ConnectionOptions, url = edge.base): Promise<TLSSocket> {
  const { port } = new URL(url);
  const socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

async function openSession(): Promise<ClientHttp2Session> {
  const session = connectH2(edge.base, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  sessions.push(session);
  await once(session, 'remoteSettings');
  return session;
}

/** Status of one request; 0 when the stream was reset. */
async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, endStream = true): Promise<number> {
  const stream = session.request(headers, { endStream });
  let status = 0;
  stream.on('response', (fields) => {
    status = Number(fields[':status']);
  });
  stream.on('error', () => undefined);
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  return status;
}

/** A stream that is reset before its header has left never reaches the edge. */
const flushed = () => new Promise((resolve) => setImmediate(resolve));

describe('the protocol', () => {
  it.each(['TLSv1.3', 'TLSv1.2'] as const)(
    '%s: the cheaper of the safe ciphers, whatever the viewer prefers',
    async (version) => {
      const of = (bits: number) => [`ECDHE-ECDSA-AES${bits}-GCM`, `ECDHE-RSA-AES${bits}-GCM`];
      const before = of(256).map((name) => `${name}-SHA384`);
      const after = of(128).map((name) => `${name}-SHA256`);
      const ciphers = ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256', ...before, ...after].join(':');
      const socket = await open({ minVersion: version, maxVersion: version, ciphers });
      expect(socket.getCipher().standardName).toContain('AES_128_GCM');
      socket.destroy();
    },
  );

  it.each([
    ['h2', ['h2', 'http/1.1'], 'h2'],
    ['HTTP/1.1 for those who offer it alone', ['http/1.1'], 'http/1.1'],
    ['HTTP/1.1 for those who offer nothing', undefined, false],
  ])('is %s', async (_name, offered, expected) => {
    const socket = await open(offered === undefined ? {} : { ALPNProtocols: offered });
    expect(socket.alpnProtocol).toBe(expected);
    if (expected !== 'h2') {
      socket.write(`GET ${SEGMENT} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n`);
      const [head] = (await once(socket, 'data')) as [Buffer];
      expect(head.toString('latin1')).toContain('HTTP/1.1 200 OK');
    }
    socket.destroy();
  });

  it('is refused when it is none of ours, and TLS below 1.2 too', async () => {
    for (const options of [{ ALPNProtocols: ['spdy/3'] }, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' } as const])
      await expect(open(options)).rejects.toThrow();
    expect((await edge.read(SEGMENT)).status).toBe(200);
  });
});

describe('a session', () => {
  it('is told its limits', async () => {
    const { remoteSettings } = await openSession();
    expect(remoteSettings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 16_384 });
  });

  it('whose requests are taken back again and again is ended, and nobody else notices', async () => {
    const bystander = edge.read(BLOCKED);
    await until('it waits', 5_000, async () => live.held > 0);
    const session = await openSession();
    const goaway = new Promise<number>((resolve) => session.on('goaway', resolve));
    for (let i = 0; i < 150 && !session.destroyed && !session.closed; i += 1) {
      const stream = session.request({ ':path': BLOCKED });
      stream.on('error', () => undefined);
      await flushed();
      stream.close(constants.NGHTTP2_CANCEL);
    }
    expect(await goaway).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(await edge.metric('headwater_edge_http2_sessions_closed_total{reason="resets"}')).toBe(1);
    await until(
      'only the bystander waits',
      5_000,
      async () => (await edge.metric('headwater_edge_blocked_viewers')) === 1,
    );
    live.advance();
    expect((await bystander).status).toBe(200);
    expect(origin.asked.filter((path) => path === BLOCKED)).toHaveLength(1);
  });

  it('of a player that now and then changes its mind goes on', async () => {
    const session = await openSession();
    for (let i = 0; i < 50; i += 1) {
      const stream = session.request({ ':path': BLOCKED });
      stream.on('error', () => undefined);
      await flushed();
      stream.close(constants.NGHTTP2_CANCEL);
    }
    expect(await ask(session, { ':path': SEGMENT })).toBe(200);
    expect(session.destroyed).toBe(false);
  });

  it('may not send endless headers', async () => {
    const session = await openSession();
    const status = await ask(session, { ':path': SEGMENT, 'x-long': 'a'.repeat(20_000) });
    expect(status).not.toBe(200);
    expect(origin.asked).toHaveLength(0);
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`x-${i}`, 'a']));
    expect(await ask(await openSession(), { ':path': SEGMENT, ...many })).not.toBe(200);
    expect(origin.asked).toHaveLength(0);
    expect((await edge.read(SEGMENT)).status).toBe(200);
  });

  it.each([
    ['a body', { ':path': SEGMENT }, false, 400],
    ['another host in Host', { ':path': SEGMENT, ':authority': 'a', host: 'b' }, true, 400],
    ['a method we do not serve', { ':path': SEGMENT, ':method': 'DELETE' }, true, 405],
    ['dots', { ':path': `/v/-/${CONTENT}/../records` }, true, 404],
    ['a path that is none', { ':path': `${SEGMENT}#x` }, true, 400],
  ])('with %s is refused before an origin hears of it', async (_name, headers, endStream, status) => {
    expect(await ask(await openSession(), headers, endStream)).toBe(status);
    expect(origin.asked).toHaveLength(0);
  });

  it('answers HEAD and conditions without a body', async () => {
    const head = await edge.read(SEGMENT, {}, 'HEAD');
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '300000', 0]);
    const known = await edge.read(SEGMENT, { 'if-none-match': head.headers['etag'] ?? '' });
    expect([known.status, known.body.length]).toEqual([304, 0]);
    const span = await edge.read(SEGMENT, { range: 'bytes=10-19' });
    expect([span.status, span.body.length]).toEqual([206, 10]);
  });

  it('with large bodies that it does not read yet is answered all the same', async () => {
    const large = Buffer.alloc(10_000_000, 'x');
    origin.intercept((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"l"', 'content-length': large.length }).end(large);
      return true;
    });
    await edge.read(SEGMENT);
    expect((await edge.read(SEGMENT, { range: 'bytes=0-1' })).headers['x-cache']).toBe('HIT');
    const session = await openSession();
    const slow = Array.from({ length: 3 }, () => session.request({ ':path': SEGMENT }));
    await Promise.all(slow.map((stream) => once(stream, 'response')));
    origin.intercept(live.handler);
    expect(await ask(session, { ':path': playlistPath() })).toBe(200);
    for (const stream of slow) {
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      await once(stream, 'end');
      expect(bytes).toBe(large.length);
    }
  });

  it('gets its answers under way when the edge drains, and no more', async () => {
    const session = await openSession();
    const waiting = ask(session, { ':path': BLOCKED });
    await until('it waits', 5_000, async () => live.held > 0);
    isDraining = true;
    edge.side.h2.drain();
    await once(session, 'goaway');
    live.advance();
    expect(await waiting).toBe(200);
    await until('it is closed', 5_000, async () => session.closed || session.destroyed);
  });
});

describe('the certificate', () => {
  const nameOf = async (url: string): Promise<string> => {
    const socket = await open({}, url);
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return String(subject.CN);
  };
  const port = (cert: string, key: string) => {
    const place = { port: 0, host: '127.0.0.1', cert, key };
    const { server: h1, h2 } = edge.side;
    return createTlsPort({ place, h1, h2, drainMs: 100, log: silentLogger, lookMs: 20 });
  };

  it('is renewed without a restart; open connections stay; a half-written pair changes nothing', async () => {
    const folder = await tempDir('edge-tls');
    const used = await makeCertificate(folder, 'first');
    const [second, third] = [await makeCertificate(folder, 'second'), await makeCertificate(folder, 'third')];
    const listener = port(used.cert, used.key);
    const url = `https://127.0.0.1:${await listener.start()}`;
    const viewer = await open({ ALPNProtocols: ['http/1.1'] }, url);
    expect(await nameOf(url)).toBe('first');
    await Promise.all([copyFile(second.cert, used.cert), copyFile(second.key, used.key)]);
    await until('the second one is shown', 5_000, async () => (await nameOf(url)) === 'second');
    await copyFile(third.cert, used.cert);
    for (let i = 0; i < 5; i += 1) expect(await nameOf(url)).toBe('second');
    await copyFile(third.key, used.key);
    await until('the third one is shown', 5_000, async () => (await nameOf(url)) === 'third');
    viewer.write(`GET ${SEGMENT} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n`);
    const [head] = (await once(viewer, 'data')) as [Buffer];
    expect(head.toString('latin1')).toContain('200 OK');
    await listener.close();
    await listener.close();
  });

  it('that is none stops the start and says which file', async () => {
    const folder = await tempDir('edge-tls');
    const { key } = await makeCertificate(folder, 'good');
    const bad = join(folder, 'bad.crt');
    await writeFile(bad, 'not a certificate');
    for (const cert of [bad, join(folder, 'missing.crt')]) {
      const listener = port(cert, key);
      await expect(listener.start()).rejects.toMatchObject({ code: 'TLS_FILES_INVALID' });
      await expect(listener.start()).rejects.toThrow(cert);
      await listener.close();
    }
  });
});
