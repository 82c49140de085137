// Media playlists and media objects as routes answer them.
import { beforeEach, describe, expect, test } from 'vitest';
import { initKey, partKey, segmentKey } from '../platform/contract/object-keys.ts';
import { mediaPlaylistPath } from '../platform/contract/routes.ts';
import {
  CONTENT,
  get,
  head,
  liveMedia,
  liveSegment,
  newWorld,
  put,
  segmentPath,
  videoMedia,
  world,
} from '../test/support/origin-world.ts';
import {
  A0,
  assetOf,
  audio0,
  broadcastOf,
  LIVE_CONTENT,
  storedOf,
  V360,
  VIDEO_PLAYBACK,
  video360,
  WRITER,
} from '../test/support/timelines.ts';

beforeEach(newWorld);

describe('media playlists', () => {
  test('on demand', async () => {
    const answer = await get(videoMedia).expect(200);
    expect(answer.headers['cache-control']).toBe('public, max-age=30');
    expect(answer.headers['headwater-position']).toBeUndefined();
    expect(answer.text).toContain('#EXT-X-PLAYLIST-TYPE:VOD');
    expect(answer.text.match(/#EXTINF/g)).toHaveLength(3);
  });
  test('live, with its position', async () => {
    const answer = await get(liveMedia).expect(200);
    expect(answer.headers['cache-control']).toBe('public, max-age=1');
    expect(answer.headers['headwater-position']).toBe('1.3.3');
    expect(answer.text.match(/#EXTINF/g)).toHaveLength(4);
  });
  test.each([
    ['a rendition not in the record', mediaPlaylistPath(CONTENT, 'v720')],
    ['a live rendition that no epoch has', mediaPlaylistPath(LIVE_CONTENT, 'v720')],
    ['unknown content', mediaPlaylistPath('unknownContent00001', 'v360')],
  ])('%s: 404', async (_name, path) => {
    await get(path).expect(404);
  });
  test('a grant that nobody gave: 403', async () => {
    await get(mediaPlaylistPath(CONTENT, V360, 'grant0123456789ab')).expect(403);
  });
  test('preparing: the finished rendition plays once its audio is there', async () => {
    const v720 = { ...video360, name: 'v720' as typeof V360 };
    world.asset = assetOf({ status: 'preparing', planned: [v720.name, V360, A0], renditions: [storedOf(video360)] });
    await get(videoMedia).expect(404);
    world.now += 5_000;
    world.asset = { ...world.asset, renditions: [storedOf(video360), storedOf(audio0)] };
    await get(videoMedia).expect(200);
    const master = await get(`/${VIDEO_PLAYBACK}.m3u8`).expect(200);
    expect(master.text).not.toContain('v720');
  });
  test('no word from Redis for three target durations: 503 of this stream; publisher away: the playlist as it is', async () => {
    await get(liveMedia).expect(200);
    world.now = 7_000;
    world.staleMs = 7_000;
    const answer = await get(liveMedia).expect(503);
    expect(answer.headers['headwater-scope']).toBe('stream');
    world.staleMs = 0;
    await get(liveMedia).expect(200);
    world.staleMs = 20_000;
    world.now = 20_000;
    world.broadcast = broadcastOf({ ingest: null });
    await get(liveMedia).expect(200);
  });
  test('the store down: 503 of the origin, not of one stream', async () => {
    world.isStoreDown = true;
    const answer = await get(videoMedia).expect(503);
    expect(answer.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' });
    expect(answer.headers['headwater-scope']).toBeUndefined();
  });
});

describe('media objects', () => {
  beforeEach(async () => {
    await put(segmentKey({ content: CONTENT, rendition: V360, epoch: 1, msn: 0, writer: WRITER }), '0123456789');
  });
  test('whole, with a year to keep', async () => {
    const answer = await get(segmentPath).expect(200);
    expect(answer.body.toString()).toBe('0123456789');
    expect(answer.headers).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': '10',
      'accept-ranges': 'bytes',
      'cache-control': 'public, max-age=31536000, immutable',
      'headwater-policy': 'public',
    });
  });
  test('init and part, audio with its own type', async () => {
    await put(initKey({ content: CONTENT, rendition: A0, epoch: 1 }), 'init');
    await put(partKey({ content: CONTENT, rendition: A0, epoch: 1, msn: 0, part: 2, writer: WRITER }), 'part');
    const base = mediaPlaylistPath(CONTENT, A0).replace('index.m3u8', '');
    const init = await get(`${base}1/init.mp4`).expect(200);
    expect([init.headers['content-type'], init.body.toString()]).toEqual(['audio/mp4', 'init']);
    expect((await get(`${base}1/p0.2.${WRITER}.m4s`).expect(200)).body.toString()).toBe('part');
  });
  test('HEAD', async () => {
    const answer = await head(segmentPath).expect(200);
    expect(answer.headers['content-length']).toBe('10');
  });
  test.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=4-', 206, '456789', 'bytes 4-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['lines=0-1', 200, '0123456789', undefined],
  ])('range %s: %i', async (range, status, body, contentRange) => {
    const answer = await get(segmentPath).set('range', range).expect(status);
    expect(answer.body.toString()).toBe(body);
    expect(answer.headers['content-range']).toBe(contentRange);
    expect(answer.headers['content-length']).toBe(String(body.length));
  });
  test('a range outside: 416 with the length', async () => {
    const answer = await get(segmentPath).set('range', 'bytes=10-').expect(416);
    expect(answer.headers['content-range']).toBe('bytes */10');
  });
  test('If-Range of another object: whole', async () => {
    const { etag } = (await get(segmentPath)).headers;
    await get(segmentPath)
      .set({ range: 'bytes=4-', 'if-range': String(etag) })
      .expect(206);
    await get(segmentPath).set({ range: 'bytes=4-', 'if-range': '"other"' }).expect(200);
  });
  test('304 without asking the store', async () => {
    const { etag } = (await get(segmentPath)).headers;
    world.isStoreDown = true;
    await get(segmentPath).set('if-none-match', String(etag)).expect(304);
    await get(segmentPath).expect(503);
  });
  test('missing on demand: 404', async () => {
    await get(segmentPath.replace('/s0.', '/s9.')).expect(404);
  });
  test.each([
    ['known, gone', 2, 404],
    ['to come', 4, 503],
  ])('missing live, %s: %i is %i', async (_name, msn, status) => {
    const answer = await get(liveSegment(msn)).expect(status);
    expect(answer.headers['headwater-scope']).toBe(status === 503 ? 'stream' : undefined);
  });
  test('missing after the end: 404', async () => {
    world.broadcast = broadcastOf({ status: 'ended' });
    await get(liveSegment(4)).expect(404);
  });
});
