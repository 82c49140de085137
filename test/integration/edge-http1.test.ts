// HTTP/1.1 at the whole edge, plain and over TLS, as raw bytes: the fast path, the way to node:http, a crowd of slow clients beside a viewer.
import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { until } from '../support/platform.ts';
import { bytesOf, CONTENT, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const SEGMENT = `/v/-/${CONTENT}/v240/0/s1.writer.m4s`;
const get = (target = SEGMENT, more = '') => `GET ${target} HTTP/1.1\r\nHost: edge\r\n${more}\r\n`;

describe.each(['HTTP/1.1', 'HTTP/1.1 over TLS'] as const)('%s', (protocol) => {
  let origin: TestOrigin;
  let edge: EdgeSide;
  const open: Socket[] = [];

  beforeEach(async () => {
    origin = await startTestOrigin();
    edge = await startEdgeSide(() => [origin.url], { protocol, connections: 200 });
  });

  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    await edge.close();
    await origin.stop();
  });

  async function openSocket(): Promise<Socket> {
    const place = { host: '127.0.0.1', port: Number(new URL(edge.base).port) };
    const isTls = protocol !== 'HTTP/1.1';
    const socket = isTls ? connectTls({ ...place, rejectUnauthorized: false }) : connectPlain(place);
    open.push(socket);
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, isTls ? 'secureConnect' : 'connect');
    return socket;
  }

  /** Reads until there are so many answers with whole bodies, or the edge closes. */
  async function answersOf(socket: Socket, many: number): Promise<{ status: number; body: Buffer }[]> {
    let rest = Buffer.alloc(0);
    const answers: { status: number; body: Buffer }[] = [];
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf('\r\n\r\n'); end !== -1; end = rest.indexOf('\r\n\r\n')) {
        const head = rest.toString('latin1', 0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (rest.length < end + 4 + length) break;
        answers.push({ status: Number(head.slice(9, 12)), body: rest.subarray(end + 4, end + 4 + length) });
        rest = rest.subarray(end + 4 + length);
      }
      if (answers.length >= many) break;
    }
    return answers;
  }

  it('answers many requests on one connection, rare ones among them, in order and byte for byte', async () => {
    const socket = await openSocket();
    const rare = 'OPTIONS * HTTP/1.1\r\nHost: edge\r\n\r\n';
    socket.write(get() + get('/nothing') + get(SEGMENT, 'Range: bytes=10-19\r\n') + rare + get() + get('/nothing'));
    const answers = await answersOf(socket, 6);
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 206, 204, 200, 404]);
    expect(answers[0]?.body.equals(bytesOf(SEGMENT))).toBe(true);
    expect(answers[2]?.body.equals(bytesOf(SEGMENT).subarray(10, 20))).toBe(true);
    expect(answers[4]?.body.equals(bytesOf(SEGMENT))).toBe(true);
    expect(origin.asked).toEqual([SEGMENT]);
    expect(await edge.metric('headwater_edge_connections ')).toBe(1);
  });

  it('takes no more connections than it may, and as many again when they have gone', async () => {
    for (let round = 0; round < 2; round += 1) {
      const full = await Promise.all(Array.from({ length: 200 }, openSocket));
      // Over TLS the handshake fails already.
      await openSocket().then(
        (socket) => once(socket, 'close'),
        () => undefined,
      );
      expect(await edge.metric('headwater_edge_connections_cut_total{reason="full"}')).toBe(round + 1);
      for (const socket of full) socket.destroy();
      await until('all are gone', 10_000, async () => edge.side.server.count() === 0);
    }
  });

  it('answers a viewer beside a crowd that sends half a head, or takes no answer', async () => {
    await edge.read(SEGMENT);
    const crowd = await Promise.all(Array.from({ length: 100 }, openSocket));
    for (const [i, socket] of crowd.entries()) {
      socket.pause();
      socket.write(i % 2 === 0 ? get().slice(0, -2) : get().repeat(50));
    }
    const socket = await openSocket();
    socket.write(get());
    const [answer] = await answersOf(socket, 1);
    expect(answer?.body.equals(bytesOf(SEGMENT))).toBe(true);
    for (const one of open.splice(0)) one.destroy();
    await until('all are gone', 10_000, async () => edge.side.server.count() <= 1);
  });
});
