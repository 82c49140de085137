// What a viewer may ask and how it is answered: ranges, conditions, HEAD, and everything that is refused before an origin hears of it.
import { describe, expect, it } from 'vitest';
import { bodyOf, CONTENT_ID, edgeWorld, requestOf, whole } from '../test/support/edge-world.ts';

const PLAYLIST = `/v/-/${CONTENT_ID}/v720/index.m3u8`;
const SEGMENT = `/v/-/${CONTENT_ID}/v720/1/s7.writer.m4s`;
const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable', etag: '"media"' };

describe('ranges, conditions, HEAD', () => {
  const world = () => edgeWorld(() => whole(200, IMMUTABLE, '0123456789'));

  it.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=5-500', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
  ])('%s is %i', async (range, status, text, contentRange) => {
    const answer = await world().get(SEGMENT, { range });
    expect(answer.status).toBe(status);
    expect((await bodyOf(answer)).toString()).toBe(text);
    expect(answer.headers['content-range']).toBe(contentRange);
    expect(answer.headers['content-length']).toBe(String(text.length));
  });

  it('asks the origin for the whole though a viewer wants a part', async () => {
    const edge = world();
    await edge.get(SEGMENT, { range: 'bytes=2-4' });
    expect(edge.asked[0]?.range).toBeNull();
    expect((await edge.get(SEGMENT)).result).toBe('hit');
  });

  it('answers 304 to a viewer who has it', async () => {
    const answer = await world().get(SEGMENT, { 'if-none-match': '"other", W/"media"' });
    expect(answer).toMatchObject({ status: 304, body: null });
    expect(answer.headers['etag']).toBe('"media"');
  });

  it('answers HEAD with the length and no body', async () => {
    const answer = await world().get(SEGMENT, {}, 'HEAD');
    expect(answer).toMatchObject({ status: 200, body: null });
    expect(answer.headers['content-length']).toBe('10');
  });
});

describe('refused before any origin is asked', () => {
  it.each([
    ['POST', SEGMENT, 405],
    ['GET', `http://evil.example${SEGMENT}`, 400],
    ['GET', '*', 400],
    ['GET', `/v/-/${CONTENT_ID}/v720/../v720/index.m3u8`, 404],
    ['GET', `/v/-/${CONTENT_ID}/v720/%2e%2e/index.m3u8`, 404],
    ['GET', `//v/-/${CONTENT_ID}/v720/index.m3u8`, 404],
    ['GET', `${PLAYLIST}#x`, 400],
    ['GET', `${PLAYLIST};x`, 404],
    ['GET', `/v/-/${CONTENT_ID}/v720/01/s7.writer.m4s`, 404],
    ['GET', `/v/-/${CONTENT_ID}/v720/1/s007.writer.m4s`, 404],
    ['GET', `/v/AAAAAAAAAAAAAAAAAAAA/${CONTENT_ID}/v720/index.m3u8`, 404],
    ['GET', `${PLAYLIST}?_HLS_msn=x`, 400],
    ['GET', `${PLAYLIST}?_HLS_msn=1&_HLS_msn=2`, 400],
    ['GET', `${PLAYLIST}?_HLS_part=1`, 400],
    ['GET', `/${'x'.repeat(3_000)}`, 400],
    ['GET', '/short.m3u8', 404],
  ])('%s %s is %i', async (method, target, status) => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'never'));
    expect((await world.get(target, {}, method)).status).toBe(status);
    expect(world.asked).toHaveLength(0);
  });

  it('two Host headers and bodies end the connection', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'never'));
    for (const oddity of [{ hosts: 2 }, { hasBody: true }]) {
      const answer = await world.engine.handle({ ...requestOf(SEGMENT), ...oddity });
      expect(answer).toMatchObject({ status: 400, isLast: true });
    }
    expect(world.asked).toHaveLength(0);
  });

  it('a preflight is answered here', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'never'));
    const answer = await world.get(SEGMENT, {}, 'OPTIONS');
    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-headers']).toContain('Range');
    expect(world.asked).toHaveLength(0);
  });
});
