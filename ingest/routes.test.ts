import { createServer, type Server } from 'node:http';
import request from 'supertest';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BroadcastId, SessionId } from '../platform/contract/ids.ts';
import { RING_KINDS, RingDecoder } from '../platform/contract/ring.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { classifyTag } from './flv-tag.ts';
import { Ring } from './ring.ts';
import { createRingApp } from './routes.ts';

const ID = 'broadcastAAAAAAAAAAAAA' as BroadcastId;
const SESSION = 'sessionAAAAAAAAAAAAAAA' as SessionId;
const SECRET = 'a-secret-between-the-roles-0123456789';
let ring: Ring;
let server: Server;
let closing: AbortController;
let changes: string[];
let reasons: string[];

beforeEach(() => {
  ring = new Ring({ ms: 30_000, bytes: 1_000_000 });
  ring.beginSession(SESSION, 1);
  const tag = classifyTag({ type: 9, timestamp: 0, body: Buffer.from([0x17, 1, 0, 0, 0, 42]) });
  if (tag !== null) ring.push(tag, 2);
  closing = new AbortController();
  changes = [];
  reasons = [];
  server = createServer(
    createRingApp({
      ring: (id) => (id === ID ? ring : null),
      internalSecret: SECRET,
      readiness: () => reasons,
      onReader: (change) => void changes.push(change),
      closing: closing.signal,
      log: silentLogger,
    }),
  );
});
afterEach(() => {
  closing.abort();
  server.closeAllConnections();
});
const get = (path: string) => request(server).get(path).set('headwater-internal', SECRET);

test('a ring that is over is a body with an end', async () => {
  ring.end();
  const answer = await get(`/ring/${ID}?from=start`)
    .buffer(true)
    .parse((res, done) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => done(null, Buffer.concat(chunks)));
    });
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('application/octet-stream');
  expect(answer.headers['cache-control']).toBe('no-store');
  const frames = new RingDecoder().push(answer.body as Buffer);
  expect(frames.map((frame) => frame.kind)).toEqual([RING_KINDS.session, RING_KINDS.video, RING_KINDS.end]);
  expect([...(frames[1]?.payload ?? [])]).toEqual([0x17, 1, 0, 0, 0, 42]);
  expect(changes).toEqual(['came', 'left']);
});

test.each([
  [`/ring/${ID}?from=middle`, 422, 'RING_QUERY_INVALID'],
  [`/ring/${ID}`, 422, 'RING_QUERY_INVALID'],
  [`/ring/${ID}?session=${SESSION}`, 422, 'RING_QUERY_INVALID'],
  [`/ring/${ID}?session=${SESSION}&tag=-1`, 422, 'RING_QUERY_INVALID'],
  [`/ring/${ID}?session=../../etc&tag=1`, 422, 'RING_QUERY_INVALID'],
  [`/ring/${ID}?session=${SESSION}&tag=99`, 410, 'RING_GONE'],
  [`/ring/${ID}?session=sessionZZZZZZZZZZZZZZZ&ts=0`, 410, 'RING_GONE'],
  ['/ring/broadcastZZZZZZZZZZZZZ?from=start', 404, 'RING_UNKNOWN'],
  ['/ring/x?from=start', 404, 'RING_UNKNOWN'],
  ['/elsewhere', 404, 'NOT_FOUND'],
])('%s answers %i', async (path, status, code) => {
  const answer = await get(path);
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(JSON.parse(answer.text)).toMatchObject({ status, code });
  expect(changes).toEqual([]);
});

test('without the secret there is nothing to see', async () => {
  const answer = await request(server).get(`/ring/${ID}?from=start`).set('headwater-internal', 'wrong');
  expect(answer.status).toBe(401);
  expect((await request(server).get('/ring/x?from=start')).status).toBe(401);
});

test('health needs no secret', async () => {
  expect((await request(server).get('/healthz')).status).toBe(200);
  expect((await request(server).get('/readyz')).status).toBe(200);
  reasons.push('redis does not answer');
  const answer = await request(server).get('/readyz');
  expect([answer.status, answer.text]).toEqual([503, 'redis does not answer\n']);
});

test('a node that stops cuts the body short', async () => {
  const broken = get(`/ring/${ID}?from=start`).buffer(true);
  setTimeout(() => closing.abort(), 50);
  await expect(broken).rejects.toThrow(/aborted|hang up/);
  expect(changes).toEqual(['came', 'left']);
});
