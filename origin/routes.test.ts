// Who may ask, masters, info, pictures and catalog; media in routes-media.test.ts.
import { beforeEach, describe, expect, test } from 'vitest';
import { imageKey } from '../platform/contract/object-keys.ts';
import { headers } from '../platform/contract/routes.ts';
import {
  bare,
  CONTENT,
  get,
  head,
  metrics,
  newWorld,
  put,
  SECRET,
  segmentPath,
  videoMedia,
  world,
} from '../test/support/origin-world.ts';
import {
  assetOf,
  broadcastOf,
  epochOf,
  LIVE_CONTENT,
  LIVE_PLAYBACK,
  SIGNED_PLAYBACK,
  streamOf,
  VIDEO_PLAYBACK,
  WRITER,
} from '../test/support/timelines.ts';

beforeEach(newWorld);

describe('who may ask, and how', () => {
  test('health needs no secret', async () => {
    await bare().get('/healthz').expect(200);
    await bare().get('/readyz').expect(200);
    world.isReady = false;
    await bare()
      .get('/readyz')
      .expect(503, /redis: away/);
  });
  test.each([
    ['no secret', undefined],
    ['a wrong one', 'x'.repeat(SECRET.length)],
  ])('%s: 401', async (_name, secret) => {
    const request = bare().get(videoMedia);
    await (secret === undefined ? request : request.set(headers.internal, secret)).expect(401);
  });
  test('OPTIONS tells browsers what is allowed', async () => {
    const answer = await bare().options(videoMedia).set(headers.internal, SECRET).expect(204);
    expect(answer.headers['access-control-allow-methods']).toBe('GET, HEAD, OPTIONS');
    expect(answer.headers['access-control-allow-headers']).toContain('Range');
    expect(answer.headers['access-control-allow-origin']).toBe('*');
  });
  test('other methods: 405 with Allow', async () => {
    const answer = await bare().post(videoMedia).set(headers.internal, SECRET).expect(405);
    expect(answer.headers['allow']).toBe('GET, HEAD, OPTIONS');
  });
  test.each(['/', '/v/-/x/y', '/v/-/..%2f..%2fetc/v360/index.m3u8', '/watch/abc', `/${VIDEO_PLAYBACK}.mp4`])(
    'no viewer address: %s is 404',
    async (path) => {
      const answer = await get(path).expect(404);
      expect(answer.headers['cache-control']).toBe('public, max-age=1');
      expect(answer.headers['content-type']).toContain('application/problem+json');
      expect(answer.headers['access-control-allow-origin']).toBe('*');
    },
  );
});

describe('master', () => {
  test('of a ready video', async () => {
    const answer = await get(`/${VIDEO_PLAYBACK}.m3u8`).expect(200);
    expect(answer.headers['content-type']).toContain('application/vnd.apple.mpegurl');
    expect(answer.headers['cache-control']).toBe('public, max-age=5');
    expect(answer.headers['headwater-policy']).toBe('public');
    expect(answer.headers['access-control-expose-headers']).toContain('Headwater-Position');
    expect(answer.text).toContain(`v/-/${CONTENT}/v360/index.m3u8`);
    expect(answer.text).toContain(`v/-/${CONTENT}/a0/index.m3u8`);
  });
  test('HEAD has the same headers without the text', async () => {
    const whole = await get(`/${VIDEO_PLAYBACK}.m3u8`);
    const answer = await head(`/${VIDEO_PLAYBACK}.m3u8`).expect(200);
    expect(answer.headers['content-length']).toBe(whole.headers['content-length']);
    expect(answer.headers['etag']).toBe(whole.headers['etag']);
    expect(answer.text).toBeUndefined();
  });
  test('an unchanged one is 304', async () => {
    const { etag } = (await get(`/${VIDEO_PLAYBACK}.m3u8`)).headers;
    await get(`/${VIDEO_PLAYBACK}.m3u8`).set('if-none-match', `W/${etag}`).expect(304);
    await get(`/${VIDEO_PLAYBACK}.m3u8`).set('if-none-match', '"other"').expect(200);
  });
  test('of a running stream', async () => {
    const answer = await get(`/${LIVE_PLAYBACK}.m3u8`).expect(200);
    expect(answer.headers['cache-control']).toBe('public, max-age=1');
    expect(answer.text).toContain(`v/-/${LIVE_CONTENT}/v360/index.m3u8`);
  });
  test('names the edges as pathways where there are two, the same from every origin, and its ETag with them', async () => {
    for (const id of [VIDEO_PLAYBACK, LIVE_PLAYBACK]) {
      world.edges = ['http://localhost:8080'];
      const alone = await get(`/${id}.m3u8`);
      expect(alone.text).not.toMatch(/PATHWAY|localhost/);
      world.edges = ['http://localhost:8081', 'http://localhost:8080'];
      const both = await get(`/${id}.m3u8`);
      expect(both.headers['cache-control']).toBe(alone.headers['cache-control']);
      expect(both.headers['etag']).not.toBe(alone.headers['etag']);
      expect(both.text).toContain('#EXT-X-CONTENT-STEERING:');
      expect(both.text).toContain('http://localhost:8081/v/-/');
      world.edges.reverse();
      expect((await get(`/${id}.m3u8`)).text).toBe(both.text);
    }
  });
  test('of an id that nobody knows: 404 without a state', async () => {
    const answer = await get('/nobodyKnowsThisId00.m3u8').expect(404);
    expect(answer.headers['headwater-state']).toBeUndefined();
  });
  const states: { name: string; state: string; change: () => void; id: string }[] = [
    {
      name: 'never broadcast',
      state: 'waiting',
      id: LIVE_PLAYBACK,
      change: () => (world.stream = streamOf({ broadcast_id: null })),
    },
    {
      name: 'before the first epoch',
      state: 'waiting',
      id: LIVE_PLAYBACK,
      change: () => (world.broadcast = broadcastOf({ epochs: [] })),
    },
    {
      name: 'an epoch just begun, no segment yet',
      state: 'waiting',
      id: LIVE_PLAYBACK,
      change: () => {
        world.entries = [];
        world.broadcast = broadcastOf({ epochs: [{ ...epochOf(1, 0), started_at: Date.now() }] });
      },
    },
    {
      name: 'over, and its timeline gone',
      state: 'ended',
      id: LIVE_PLAYBACK,
      change: () => {
        world.entries = [];
        world.broadcast = broadcastOf({ status: 'ended' });
      },
    },
    {
      name: 'no rendition yet',
      state: 'preparing',
      id: VIDEO_PLAYBACK,
      change: () => (world.asset = assetOf({ status: 'preparing', renditions: [] })),
    },
    {
      name: 'errored',
      state: 'errored',
      id: VIDEO_PLAYBACK,
      change: () => (world.asset = assetOf({ status: 'errored' })),
    },
  ];
  test.each(states)('$name: 404, $state', async ({ state, change, id }) => {
    change();
    const answer = await get(`/${id}.m3u8`).expect(404);
    expect(answer.headers['headwater-state']).toBe(state);
    expect(answer.headers['cache-control']).toBe('public, max-age=1');
  });
  test('on the air for long, but nothing held here: 503 of this stream', async () => {
    world.entries = [];
    const answer = await get(`/${LIVE_PLAYBACK}.m3u8`).expect(503);
    expect(answer.headers).toMatchObject({
      'headwater-scope': 'stream',
      'retry-after': '1',
      'cache-control': 'no-store',
    });
  });
  test('a deleted asset and a removed playback id: 404', async () => {
    world.asset = assetOf({ playback_ids: [] });
    await get(`/${VIDEO_PLAYBACK}.m3u8`).expect(404);
    world.now += 5_000;
    world.asset = assetOf({ status: 'deleting' });
    await get(`/${VIDEO_PLAYBACK}.m3u8`).expect(404);
    await get(videoMedia).expect(404);
  });
  test('signed: 403 on every address', async () => {
    world.asset = assetOf({ playback_ids: [{ id: SIGNED_PLAYBACK, policy: 'signed' }] });
    for (const path of [
      `/${SIGNED_PLAYBACK}.m3u8`,
      `/${SIGNED_PLAYBACK}.json`,
      `/${SIGNED_PLAYBACK}/poster.jpg`,
      videoMedia,
      segmentPath,
    ]) {
      const answer = await get(path).expect(403);
      expect(answer.headers['headwater-policy']).toBe('signed');
      expect(answer.body.messages).toEqual(['signed playback is not available yet']);
    }
  });
});

describe('info, pictures, catalog', () => {
  test('info of a video and of a stream', async () => {
    const video = await get(`/${VIDEO_PLAYBACK}.json`).expect(200);
    expect(video.headers['cache-control']).toBe('public, max-age=1');
    expect(video.body).toMatchObject({
      kind: 'video',
      state: 'ready',
      title: 'A test video',
      duration_s: 15,
      poster: `/${VIDEO_PLAYBACK}/poster.jpg`,
    });
    const live = await get(`/${LIVE_PLAYBACK}.json`).expect(200);
    expect(live.body).toMatchObject({
      kind: 'live',
      state: 'live',
      latency_mode: 'default',
      poster: `/${LIVE_PLAYBACK}/thumbnail.jpg`,
    });
  });
  test('a picture, once there is one', async () => {
    await put(imageKey(CONTENT, 'poster.jpg', WRITER), 'jpeg');
    const answer = await get(`/${VIDEO_PLAYBACK}/poster.jpg`).expect(200);
    expect(answer.headers).toMatchObject({ 'content-type': 'image/jpeg', 'cache-control': 'public, max-age=60' });
    await get(`/${VIDEO_PLAYBACK}/thumbnail.jpg`).expect(404);
    await get(`/${LIVE_PLAYBACK}/poster.jpg`).expect(404);
  });
  test('the catalog lists what is public and playable', async () => {
    const answer = await get('/catalog.json').expect(200);
    expect(answer.headers['cache-control']).toBe('public, max-age=2');
    expect(answer.body.live.map((one: { playback_id: string }) => one.playback_id)).toEqual([LIVE_PLAYBACK]);
    expect(answer.body.videos.map((one: { playback_id: string }) => one.playback_id)).toEqual([VIDEO_PLAYBACK]);
  });
});

test('requests are counted by kind and status', async () => {
  await get(`/${VIDEO_PLAYBACK}.m3u8`);
  await get('/nonsense');
  const text = await metrics.expose();
  expect(text).toContain('headwater_origin_requests_total{kind="master",status="200"} 1');
  expect(text).toContain('headwater_origin_requests_total{kind="other",status="404"} 1');
  expect(text).toContain('headwater_origin_request_seconds_count{kind="master"} 1');
});
