// How an HTTP/1.1 listener of the edge behaves, on real sockets: bytes that no well-meaning client sends, answers, their order and their end.
import { once } from 'node:events';
import { type AddressInfo, connect, type Server } from 'node:net';
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Engine } from '../../edge-cache/engine.ts';
import { CONTENT_ID, type EdgeWorld, edgeWorld, PLAYBACK_ID, streamed, whole } from './edge-world.ts';

const SEGMENT = `/v/-/${CONTENT_ID}/v720/1/s7.writer.m4s`;
const HEADERS = {
  'cache-control': 'public, max-age=31536000, immutable',
  etag: '"media"',
  'content-type': 'video/mp4',
};

type Listener = Server & { closeAllConnections(): void };
export type CreateListener = (engine: Engine, isDraining: () => boolean, report: (thrown: unknown) => void) => Listener;

export const get = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nHost: edge\r\n${more}\r\n`;

/** @param create builds the listener, not listening yet */
export function http1Suite(create: CreateListener): void {
  let world: EdgeWorld;
  let server: Listener;
  let port: number;
  let isDraining: boolean;
  let isBroken: boolean;
  const reported: unknown[] = [];

  beforeEach(async () => {
    isDraining = false;
    isBroken = false;
    reported.length = 0;
    world = edgeWorld(() => {
      const piece = Buffer.alloc(100_000, 'x');
      if (isBroken) return streamed({ ...HEADERS, etag: '' }, 300_000, [piece, new Error('reset')]);
      return whole(200, HEADERS, 'body');
    });
    server = create(
      world.engine,
      () => isDraining,
      (thrown) => reported.push(thrown),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });

  afterEach(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    expect(reported).toEqual([]);
  });

  /** Sends bytes and reads until the server closes, or until `isEnough`. */
  async function raw(bytes: string, isEnough: (text: string) => boolean = () => false): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('error', () => undefined);
    socket.write(bytes);
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (isEnough(text)) resolve();
      });
      socket.on('close', () => resolve());
    });
    socket.destroy();
    return text;
  }

  describe('requests that make no sense', () => {
    it.each([
      ['an unknown method', `BREW ${SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n`, '400'],
      ['a method we do not serve', `DELETE ${SEGMENT} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n`, '405'],
      ['absolute-form', get(`http://other.example${SEGMENT}`), '400'],
      ['two Hosts', get(SEGMENT, 'Host: other\r\n'), '400'],
      ['no Host', `GET ${SEGMENT} HTTP/1.1\r\n\r\n`, '400'],
      ['dots', get(`/v/-/${CONTENT_ID}/v720/../../records`, 'Connection: close\r\n'), '404'],
      ['encoded dots', get(`/v/-/${CONTENT_ID}/%2e%2e/records`, 'Connection: close\r\n'), '404'],
      ['encoded slash', get(`/v/-/${CONTENT_ID}%2fv720/index.m3u8`, 'Connection: close\r\n'), '404'],
      ['a NUL', get('/v/%00', 'Connection: close\r\n'), '404'],
      ['a body by length', get(SEGMENT, 'Content-Length: 5\r\n'), '400'],
      ['a body by chunks', get(SEGMENT, 'Transfer-Encoding: chunked\r\n'), '400'],
      ['both lengths', get(SEGMENT, 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), '400'],
      ['two lengths', get(SEGMENT, 'Content-Length: 5\r\nContent-Length: 6\r\n'), '400'],
      ['a signed length', get(SEGMENT, 'Content-Length: +5\r\n'), '400'],
      ['space before the colon', get(SEGMENT, 'X-A : b\r\n'), '400'],
      ['a folded header', get(SEGMENT, 'X-A: b\r\n c\r\n').replace('edge', 'edge'), '400'],
      ['an upgrade', get(SEGMENT, 'Connection: Upgrade\r\nUpgrade: h2c\r\n'), '400'],
      ['Expect', get(SEGMENT, 'Expect: 100-continue\r\n'), '417'],
      ['a giant header', get(SEGMENT, `X-A: ${'a'.repeat(20_000)}\r\n`), '431'],
      ['CONNECT', 'CONNECT origin:80 HTTP/1.1\r\nHost: origin:80\r\n\r\n', ''],
      ['noise', '\u0016\u0003\u0001\u0002\r\n\r\n', '400'],
    ])('%s', async (_name, bytes, status) => {
      const answer = await raw(bytes);
      expect(answer.split(' ')[1] ?? '').toBe(status);
      expect(world.asked).toHaveLength(0);
    });

    it('bytes after a request with a body are never taken for another request', async () => {
      const smuggled = get(`/${PLAYBACK_ID}.m3u8`);
      const answer = await raw(`${get(SEGMENT, `Content-Length: ${smuggled.length}\r\n`)}${smuggled}`);
      expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(world.asked).toHaveLength(0);
    });

    it('pipelined requests are answered in order', async () => {
      const answer = await raw(get(SEGMENT) + get('/nothing', 'Connection: close\r\n'));
      expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(['200', '404']);
    });
  });

  describe('answers', () => {
    it('are the engine’s, header by header', async () => {
      const answer = await request(server).get(SEGMENT).set('range', 'bytes=1-2').buffer(true);
      expect(answer.status).toBe(206);
      expect(answer.headers).toMatchObject({
        'content-range': 'bytes 1-2/4',
        'content-type': 'video/mp4',
        'x-cache': 'MISS',
        'access-control-allow-origin': '*',
      });
    });

    it('have no body on HEAD', async () => {
      const answer = await request(server).head(SEGMENT);
      expect(answer.status).toBe(200);
      expect(answer.headers['content-length']).toBe('4');
    });

    it('keep a request id that is well formed and replace any other', async () => {
      const kept = await request(server).get(SEGMENT).set('x-request-id', 'my-request-1');
      expect(kept.headers['x-request-id']).toBe('my-request-1');
      const replaced = await request(server).get(SEGMENT).set('x-request-id', 'no spaces, please');
      expect(replaced.headers['x-request-id']).toMatch(/^[A-Za-z0-9]{16}$/);
    });

    it('that break off end the connection short of their length', async () => {
      isBroken = true;
      const answer = await raw(get(SEGMENT));
      expect(answer).toContain('content-length: 300000');
      expect(answer.length).toBeLessThan(300_000);
    });

    it('are the last of their connection while draining', async () => {
      isDraining = true;
      const answer = await raw(get(SEGMENT));
      expect(answer).toContain('200 OK');
      expect(answer.toLowerCase()).toContain('connection: close');
    });
  });
}
