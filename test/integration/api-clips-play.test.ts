// What the api makes of a broadcast, an origin plays: recording and clips, over one Redis and one store, the clip at once.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { createTimelineWriter } from '../../platform/adapters/timeline-store.ts';
import { eventsChannel } from '../../platform/contract/redis-keys.ts';
import { parseSettings } from '../../platform/contract/settings.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { storageSettingsOf } from '../../platform/runtime/role-settings.ts';
import { type RunningApi, startApi } from '../support/api-service.ts';
import { type RecordedPlan, recordedBroadcast, storeMedia } from '../support/recorded-broadcast.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { entriesOf } from '../support/timelines.ts';
import { type RunningOrigin, startOrigin } from './origin-rig.ts';

let redisServer: TestRedis;
let redis: RedisConnection;
let storage: ObjectStorage;
let records: Records;
let api: RunningApi;
let origin: RunningOrigin;

beforeAll(async () => {
  redisServer = await startRedis();
  const environment = { HEADWATER_DATA_DIR: await tempDir('api-clips'), REDIS_URL: redisServer.url };
  const parsed = parseSettings(environment);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const settings = storageSettingsOf(parsed.settings);
  api = await startApi(environment);
  origin = await startOrigin(redisServer.url, settings);
  redis = createRedis(redisServer.url, silentLogger);
  await redis.start();
  storage = openStorage(settings, silentLogger);
  records = createRecords(storage, redis, silentLogger);
});
afterAll(async () => {
  await origin?.close();
  await api?.stop();
  await redis?.close();
  await storage?.close();
  await redisServer?.stop();
});

async function recorded(plan: RecordedPlan) {
  const made = await recordedBroadcast({ records, storage }, plan);
  await storeMedia(storage, made.broadcast, plan.segments);
  return made;
}
/** The video playlist of a playback id, and the addresses of its segments. */
async function play(playback: string): Promise<{ text: string; segments: string[] }> {
  const master = await origin.get(`/${playback}.m3u8`);
  expect(master.status).toBe(200);
  const media = /^v\/\S+v360\/index\.m3u8/m.exec((await master.text()).replaceAll(/^\/?/gm, ''))?.[0];
  const answer = await origin.get(`/${media}`);
  expect(answer.status).toBe(200);
  const text = await answer.text();
  const folder = `/${media}`.replace('index.m3u8', '');
  return { text, segments: [...text.matchAll(/^[^#\s].*\.m4s$/gm)].map(([uri]) => `${folder}${uri}`) };
}
const numbers = (segments: string[]) => segments.map((uri) => Number(/\/s(\d+)\./.exec(uri)?.[1]));
const playbackOf = (data: Record<string, unknown>) => (data['playback_ids'] as { id: string }[])[0]?.id ?? '';

test('a recording plays without its gaps; a clip of it shows its segments alone', async () => {
  const { broadcast } = await recorded({ segments: 8, gaps: [3] });
  await redis.client.publish(eventsChannel, JSON.stringify({ type: 'broadcast', id: broadcast.id }));
  const path = `/video/v1/assets/${broadcast.asset_id}`;
  await vi.waitFor(async () => expect((await api.call('GET', path)).status).toBe(200), { timeout: 5_000 });
  const asset = (await api.call('GET', path)).body.data;
  const whole = await play(playbackOf(asset));
  expect(numbers(whole.segments)).toEqual([0, 1, 2, 4, 5, 6, 7]);
  expect(whole.text).toContain('#EXT-X-ENDLIST');

  const body = { source: { asset_id: broadcast.asset_id }, start: 5, end: 7 };
  const clip = (await api.call('POST', '/video/v1/clips', body)).body.data;
  expect(clip['clip']).toMatchObject({ actual: { start: 4, end: 8 } });
  const part = await play(playbackOf(clip));
  expect(numbers(part.segments)).toEqual([2, 4]);
  for (const uri of part.segments) expect((await origin.get(uri)).status).toBe(200);
});

test('a clip of what is on air plays within 2 s, over block and timeline', async () => {
  const live = { status: 'live', ended_at: null } as const;
  const { broadcast, stream } = await recorded({ segments: 36, inBlocks: 30, broadcast: live });
  await createTimelineWriter(redis).seed(broadcast.content_id, 1, entriesOf(1, 28, 35));
  const from = performance.now();
  const body = { source: { live_stream_id: stream.id }, start: -17, end: 0 };
  const clip = (await api.call('POST', '/video/v1/clips', body)).body.data;
  const shown = await play(playbackOf(clip));
  const last = await origin.get(shown.segments.at(-1) ?? '');
  expect(last.status).toBe(200);
  expect(performance.now() - from).toBeLessThan(2_000);
  expect(numbers(shown.segments)).toEqual([27, 28, 29, 30, 31, 32, 33, 34, 35]);
  expect(shown.text).toContain('#EXT-X-ENDLIST');
});
