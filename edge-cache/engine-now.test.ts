// Answers without waiting: what memory holds, and only that.
import { beforeEach, describe, expect, it } from 'vitest';
import { PlaybackId } from '../platform/contract/ids.ts';
import { CONTENT_ID, type EdgeWorld, edgeWorld, PLAYBACK_ID, requestOf, whole } from '../test/support/edge-world.ts';
import { createEngine } from './engine.ts';
import type { EdgeAnswer, Headers } from './messages.ts';

const SEGMENT = `/v/-/${CONTENT_ID}/v720/1/s7.writer.m4s`;
const PLAYLIST = `/v/-/${CONTENT_ID}/v720/index.m3u8`;
const HEADERS = { 'cache-control': 'max-age=60', etag: '"media"', 'content-type': 'video/mp4' };

let world: EdgeWorld;
beforeEach(() => {
  world = edgeWorld(({ path }) =>
    path.includes('s7.') ? whole(200, HEADERS, '0123456789') : whole(404, { 'cache-control': 'max-age=1' }),
  );
});
const now = (target: string, headers: Headers = {}, method = 'GET'): EdgeAnswer | null =>
  world.engine.answerNow(requestOf(target, headers, method));

describe('at once', () => {
  it('nothing is answered that an origin must be asked for, and the question reaches it once', async () => {
    const request = requestOf(SEGMENT);
    expect(world.engine.answerNow(request)).toBeNull();
    expect(world.asked).toHaveLength(0);
    expect((await world.engine.handle(request)).headers['x-cache']).toBe('MISS');
    expect(world.asked).toHaveLength(1);
  });

  it.each([
    ['the whole', {}, 'GET', 200, '0123456789'],
    ['a part', { range: 'bytes=2-4' }, 'GET', 206, '234'],
    ['no part that is not there', { range: 'bytes=20-' }, 'GET', 416, ''],
    ['the word that nothing has changed', { 'if-none-match': '"media"' }, 'GET', 304, ''],
    ['the head alone', {}, 'HEAD', 200, ''],
  ])('a held object gives %s', async (_name, headers: Headers, method, status, text) => {
    await world.get(SEGMENT);
    const answer = now(SEGMENT, headers, method);
    expect([answer?.status, String(answer?.body ?? '')]).toEqual([status, text]);
    expect(answer?.headers).toMatchObject({ 'x-cache': 'HIT', age: '0', etag: '"media"' });
    expect(answer?.headers['x-request-id']).toMatch(/^\w{16}$/);
  });

  it('nothing stale is answered', async () => {
    await world.get(SEGMENT);
    world.pass(60_000);
    expect(now(SEGMENT)).toBeNull();
  });

  it('a fresh 404 is repeated, and forgotten in time', async () => {
    await world.get(SEGMENT.replace('s7', 's8'));
    expect(now(SEGMENT.replace('s7', 's8'))).toMatchObject({ status: 404, result: 'negative' });
    world.pass(1_000);
    expect(now(SEGMENT.replace('s7', 's8'))).toBeNull();
  });

  it.each([
    ['a method', SEGMENT, 'PUT', 405],
    ['an address that is none', '/nothing', 'GET', 404],
    ['a target that is none', '//a b', 'GET', 400],
    ['a grant', `/v/${'g'.repeat(20)}/${CONTENT_ID}/v720/1/s7.writer.m4s`, 'GET', 404],
    ['OPTIONS', SEGMENT, 'OPTIONS', 204],
  ])('%s is refused or settled', (_name, target, method, status) => {
    expect(now(target, {}, method)?.status).toBe(status);
  });

  it('each answer is counted once, whoever gives it', async () => {
    const counted: string[] = [];
    const metrics = {
      ...world.parts.metrics,
      requests: { add: (labels = {}) => void counted.push(Object.values(labels).join(' ')) },
    };
    const engine = createEngine({ ...world.parts, metrics });
    const request = requestOf(SEGMENT);
    engine.answerNow(request);
    await engine.handle(request);
    engine.answerNow(requestOf(SEGMENT));
    expect(counted).toEqual(['segment miss 200', 'segment hit 200']);
  });

  it('what was handed on for one viewer is not mixed up with another one', async () => {
    const [first, second] = [requestOf(SEGMENT), requestOf(SEGMENT, { range: 'bytes=0-1' })];
    world.engine.answerNow(first);
    const [one, other] = await Promise.all([world.engine.handle(second), world.engine.handle(first)]);
    expect([one.status, other.status]).toEqual([206, 200]);
  });

  it('a viewer is counted though the same request goes on to wait', async () => {
    world.viewers.learn(PlaybackId.parse(PLAYBACK_ID), `v/-/${CONTENT_ID}/v720/index.m3u8`);
    now(PLAYLIST);
    expect(world.viewers.total(1_000_000)).toBe(1);
  });

  it('answers from one object share its headers, and none can change them', async () => {
    await world.get(SEGMENT);
    const [one, other] = [now(SEGMENT), now(SEGMENT, { range: 'bytes=0-0' })];
    expect(one?.parts?.fixed).toBe(other?.parts?.fixed);
    expect(one?.parts?.fixed).not.toHaveProperty('x-request-id');
    expect(one?.headers).toEqual({ ...one?.parts?.fixed, ...one?.parts?.moment });
  });
});
