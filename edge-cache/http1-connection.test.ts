// One connection beyond what both listeners share: deadlines, order, bounds, slow readers, the way to node:http. Real sockets, a clock that the test moves.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONTENT_ID, type EdgeWorld, edgeWorld, unseenMetrics, whole } from '../test/support/edge-world.ts';
import { get } from '../test/support/http1-suite.ts';
import { fakeSocket, openViewer, type Viewer } from '../test/support/http1-viewer.ts';
import { http1Limits } from './http1-connection.ts';
import { createHttp1Server, type Http1Server } from './http1-listener.ts';
import type { EdgeAnswer } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { OriginAnswer } from './upstream.ts';

const segment = (msn: number) => `/v/-/${CONTENT_ID}/v720/1/s${msn}.writer.m4s`;
const HEADERS = { 'cache-control': 'max-age=60', etag: '"media"', 'content-type': 'video/mp4' };

let world: EdgeWorld;
let server: Http1Server;
let port: number;
let nowMs: number;
let body: string;
let held: (() => void)[];
let isHolding: boolean;
const cut: string[] = [];
const open: Viewer[] = [];

beforeEach(async () => {
  [nowMs, body, held, isHolding] = [0, 'body', [], false];
  cut.length = 0;
  world = edgeWorld(async (): Promise<OriginAnswer> => {
    if (isHolding) await new Promise<void>((resolve) => held.push(resolve));
    return whole(200, HEADERS, body);
  });
  server = start(0);
  port = await listening(server);
});

function start(perAddress: number, engine = world.engine): Http1Server {
  const metrics: EdgeMetrics = {
    ...unseenMetrics(),
    connectionsCut: { add: (labels = {}) => void cut.push(labels['reason'] ?? '') },
  };
  return createHttp1Server({
    engine,
    isDraining: () => false,
    metrics,
    report: (thrown) => expect.unreachable(String(thrown)),
    limits: { connections: 100, perAddress },
    now: () => nowMs,
  });
}

async function listening(one: Http1Server): Promise<number> {
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  return (one.address() as AddressInfo).port;
}

afterEach(async () => {
  for (const { socket } of open.splice(0)) socket.destroy();
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});

async function viewer(): Promise<Viewer> {
  const one = await openViewer(port);
  open.push(one);
  return one;
}
const count = (text: string): number => text.match(/HTTP\/1\.1 \d/g)?.length ?? 0;
/** Nothing is enough: until the server closes. */
const closed = (): boolean => false;
/** The server has read what was written before. */
const asked = async (many: number): Promise<void> => {
  while (world.asked.length < many) await new Promise((resolve) => setImmediate(resolve));
};

/** Moves the clock and lets the server look at it. Unit: ms. */
function pass(ms: number): void {
  nowMs += ms;
  server.sweep();
}

describe('deadlines', () => {
  it('a head that trickles is cut 10 s after its first byte, however often bytes come', async () => {
    const one = await viewer();
    one.socket.write(get(segment(1)));
    await one.until((text) => text.includes('body'));
    const before = one.text().length;
    one.socket.write('GET /a HTTP/1.1\r\n');
    // A second viewer's answer says that the server has read what the first one wrote before it.
    await (await askedOnce()).until((text) => text.includes('body'));
    pass(http1Limits.headMs / 2);
    one.socket.write('X: 1\r\n');
    await (await askedOnce()).until((text) => text.includes('body'));
    pass(http1Limits.headMs / 2);
    const text = await one.until(closed);
    expect(text.slice(before)).toContain('HTTP/1.1 408 Request Timeout');
    expect(cut).toEqual(['header-timeout']);
  });

  it('an idle connection is ended after 30 s without a word', async () => {
    const one = await viewer();
    one.socket.write(get(segment(1)));
    await one.until((text) => text.includes('body'));
    pass(http1Limits.idleMs - 1);
    one.socket.write(get(segment(1)));
    await one.until((text) => count(text) === 2);
    pass(http1Limits.idleMs - 1);
    expect(one.socket.closed).toBe(false);
    pass(1);
    const text = await one.until(closed);
    expect(count(text)).toBe(2);
    expect(text.endsWith('body')).toBe(true);
    expect(cut).toEqual([]);
  });

  it('a viewer whose answer is still to come may wait for it', async () => {
    isHolding = true;
    const one = await viewer();
    one.socket.write(get(segment(1)));
    await asked(1);
    pass(1_000_000);
    held[0]?.();
    expect(await one.until((text) => text.includes('body'))).toContain('200 OK');
  });

  it('a viewer that takes nothing of a body is cut after 30 s, and costs no more than a slice', async () => {
    body = 'x'.repeat(9_000_000);
    const [slow, other] = [await viewer(), await viewer()];
    slow.socket.pause();
    slow.socket.write(get(segment(1)));
    await asked(1);
    other.socket.write(get(segment(1)));
    await other.until((text) => text.length > body.length);
    pass(http1Limits.sliceMs);
    slow.socket.resume();
    const text = await slow.until(closed);
    expect(text.length).toBeLessThan(body.length);
    expect(cut).toEqual(['slow-reader']);
  });

  it('a viewer that reads slowly, but reads, gets every byte', async () => {
    body = 'x'.repeat(18_000_000);
    const one = await viewer();
    one.socket.write(get(segment(1)));
    // More than one slice's time in all; less than it for what the system's buffers hold.
    for (let next = 1_000_000; next < body.length; next += 1_000_000) {
      await one.until((text) => text.length > next);
      one.socket.pause();
      pass(http1Limits.sliceMs / 10);
      one.socket.resume();
    }
    const text = await one.until((all) => all.length > body.length);
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(body);
    expect(cut).toEqual([]);
  });

  it('the last answer is not cut while the viewer takes it; then the connection may linger for 5 s', async () => {
    body = 'x'.repeat(100_000);
    await world.get(segment(1));
    let take: () => void = () => undefined;
    const socket = fakeSocket('192.0.2.1', (_chunk, done) => {
      take = done;
    });
    server.take(socket);
    socket.push(get(segment(1), 'Connection: close\r\n'));
    while (socket.writableLength === 0) await new Promise((resolve) => setImmediate(resolve));
    pass(http1Limits.lingerMs);
    expect(socket.destroyed).toBe(false);
    while (!socket.writableFinished) {
      take();
      await new Promise((resolve) => setImmediate(resolve));
    }
    pass(http1Limits.lingerMs - 1);
    expect(socket.destroyed).toBe(false);
    pass(1);
    expect(socket.destroyed).toBe(true);
    expect(cut).toEqual([]);
  });

  it('the last answer is cut when the viewer takes none of it for 30 s', async () => {
    body = 'x'.repeat(100_000);
    await world.get(segment(1));
    const socket = fakeSocket('192.0.2.1', () => undefined);
    server.take(socket);
    socket.push(get(segment(1), 'Connection: close\r\n'));
    while (socket.writableLength === 0) await new Promise((resolve) => setImmediate(resolve));
    pass(http1Limits.sliceMs);
    expect(socket.destroyed).toBe(true);
    expect(cut).toEqual(['slow-reader']);
  });

  async function askedOnce(): Promise<Viewer> {
    const other = await viewer();
    other.socket.write(get(segment(1)));
    return other;
  }
});

describe('a body of another length than announced', () => {
  it.each([
    ['short', '10', 1],
    ['long', '3', 1],
    ['right', '5', 2],
  ])('%s: never padded, never mixed with the next answer', async (_name, length, answers) => {
    const answer = (): EdgeAnswer => ({
      kind: 'segment',
      result: 'bypass',
      status: 200,
      headers: { 'content-length': length },
      body: (async function* () {
        yield Buffer.from('he');
        yield Buffer.from('llo');
      })(),
    });
    const odd = start(0, { answerNow: () => null, handle: async () => answer() });
    const socket = fakeSocket('192.0.2.1');
    let text = '';
    const written = new Promise<void>((resolve) => {
      socket.once('close', resolve);
      socket.on('sent', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (count(text) === 2 && text.endsWith('hello')) resolve();
      });
    });
    odd.take(socket);
    socket.push(get(segment(1)) + get(segment(2)));
    await written;
    expect(count(text)).toBe(answers);
    socket.destroy();
  });

  it('unknown: its end is the end of the connection', async () => {
    const answer: EdgeAnswer = {
      kind: 'segment',
      result: 'bypass',
      status: 200,
      headers: {},
      body: (async function* () {
        yield Buffer.from('hello');
      })(),
    };
    const odd = start(0, { answerNow: () => null, handle: async () => answer });
    const socket = fakeSocket('192.0.2.1');
    let text = '';
    socket.on('sent', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    odd.take(socket);
    socket.push(get(segment(1)) + get(segment(2)));
    await once(socket, 'finish');
    expect(text).toMatch(/connection: close\r\n\r\nhello$/);
    socket.destroy();
  });
});

describe('pipelined requests', () => {
  it('are answered in order though a later one is held', async () => {
    await world.get(segment(2));
    isHolding = true;
    const one = await viewer();
    one.socket.write(get(segment(1), 'X-Request-Id: first-one\r\n') + get(segment(2), 'X-Request-Id: second-one\r\n'));
    await asked(2);
    expect(one.text()).toBe('');
    held[0]?.();
    const text = await one.until((all) => count(all) === 2);
    expect([...text.matchAll(/x-request-id: (\S+)/g)].map((match) => match[1])).toEqual(['first-one', 'second-one']);
    expect([...text.matchAll(/x-cache: (\S+)/g)].map((match) => match[1])).toEqual(['MISS', 'HIT']);
  });

  it('in any number are answered, however they are cut into packets', async () => {
    await world.get(segment(1));
    const one = await viewer();
    const all = get(segment(1)).repeat(3_000);
    for (let at = 0; at < all.length; at += 7_919) one.socket.write(all.slice(at, at + 7_919), 'latin1');
    expect(count(await one.until((text) => count(text) === 3_000))).toBe(3_000);
  });

  it('are read ahead to a limit while an answer is under way, then reading stops until it is out', async () => {
    isHolding = true;
    const socket = fakeSocket('192.0.2.1');
    server.take(socket);
    socket.push(get(segment(1)));
    await asked(1);
    const next = get(segment(1));
    for (let ahead = 0; ahead <= http1Limits.aheadBytes; ahead += next.length) {
      expect(socket.isPaused()).toBe(false);
      socket.push(next);
    }
    expect(socket.isPaused()).toBe(true);
    held[0]?.();
    while (socket.isPaused()) await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
  });

  it('behind the last one are not answered', async () => {
    const one = await viewer();
    one.socket.write(get(segment(1), 'Connection: close\r\n') + get(segment(2)));
    const text = await one.until(closed);
    expect(count(text)).toBe(1);
    expect(text).toContain('connection: close');
    expect(world.asked).toHaveLength(1);
  });
});

describe('rare syntax', () => {
  it('goes to node:http with its bytes and all that follows them', async () => {
    const one = await viewer();
    one.socket.write(get(segment(1)));
    await one.until((text) => text.includes('body'));
    const rare = 'OPTIONS * HTTP/1.1\r\nHost: edge\r\n\r\n';
    one.socket.write(rare + get(segment(1)));
    const text = await one.until((all) => count(all) === 3 && all.endsWith('body'));
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(['200', '204', '200']);
    one.socket.write(get(segment(1)));
    await one.until((all) => count(all) === 4);
    expect(server.count()).toBe(1);
    server.closeIdleConnections();
    await one.until(closed);
  });

  it('of HTTP/1.0 gets its answer and the end', async () => {
    const one = await viewer();
    one.socket.write(`GET ${segment(1)} HTTP/1.0\r\nHost: edge\r\n\r\n`);
    expect(await one.until(closed)).toContain('body');
  });
});

describe('a viewer that goes away', () => {
  it('is let go at once while it waits', async () => {
    isHolding = true;
    const one = await viewer();
    one.socket.write(get(segment(1)));
    await asked(1);
    expect(world.waiting.waiting).toBe(1);
    one.socket.destroy();
    while (world.waiting.waiting > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(server.count()).toBe(0);
    held[0]?.();
  });
});

describe('the door', () => {
  it('closes idle connections on a drain and leaves the others their answer', async () => {
    isHolding = true;
    const [idle, busy] = [await viewer(), await viewer()];
    busy.socket.write(get(segment(1)));
    await asked(1);
    server.closeIdleConnections();
    await idle.until(closed);
    held[0]?.();
    expect(await busy.until((text) => text.includes('body'))).toContain('200 OK');
  });

  it('cuts a connection that its address limit does not admit', async () => {
    const strict = start(1);
    const sockets = ['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((address) => fakeSocket(address));
    expect(sockets.map((socket) => strict.admit(socket))).toEqual([true, false, true]);
    expect(sockets.map((socket) => socket.destroyed)).toEqual([false, true, false]);
    expect(cut).toEqual(['address-limit']);
  });
});
