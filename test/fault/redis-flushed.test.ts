// Must show F: FLUSHALL with one upload queued, one half transcoded and a live in progress; everything comes back with no hand on it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedis } from '../../platform/adapters/redis.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { makeLongClip, publish } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import {
  createStream,
  createUpload,
  fetchMaster,
  putFile,
  readAsset,
  timeUntilLiveGoesOn,
  waitUntilLive,
  waitUntilReady,
} from '../support/story.ts';

const isAble = await hasMinio();

const SECONDS = 24;
const FPS = 25;
const LIVE_LIMIT_MS = 10_000;

let folder: string;
let clip: string;
let platform: Platform;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-flush-'));
  clip = join(folder, 'clip.mp4');
  await makeLongClip(clip, SECONDS, { width: 640, height: 480 }, FPS);
  platform = await startPlatform({
    storage: 'minio',
    env: { HEADWATER_TRANSCODERS: '2', HEADWATER_TRANSCODER_VOD_JOBS: '1', HEADWATER_LOG_LEVEL: 'debug' },
  });
}, 180_000);

afterAll(async () => {
  await platform?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function flushAll(): Promise<void> {
  const redis = createRedis(platform.state().redis_url, silentLogger);
  await redis.start();
  await redis.client.eval("return redis.call('FLUSHALL')", [], []);
  await redis.close();
}

describe.runIf(isAble)('an emptied Redis', () => {
  it('loses nothing: queued and running uploads, the live, the keys', async () => {
    const edge = platform.edges[0] ?? '';
    const stream = await createStream(platform);
    const idle = await createStream(platform);
    const publisher = publish(stream.address, 'numbered');
    try {
      await waitUntilLive(edge, stream.playback);
      const uploads: Awaited<ReturnType<typeof createUpload>>[] = [];
      for (let i = 0; i < 3; i += 1) {
        const upload = await createUpload(platform, `Video ${i}`);
        expect(await putFile(upload.url, clip)).toBeLessThan(300);
        uploads.push(upload);
      }
      await until(
        'a half transcoded upload',
        120_000,
        async () => {
          const asset = await readAsset(platform, uploads[0]?.asset_id ?? '');
          return asset.progress.percent >= 40 && asset.progress.percent <= 70;
        },
        20,
      );
      const waiting = await readAsset(platform, uploads[2]?.asset_id ?? '');
      expect(waiting.status).toBe('preparing');
      expect(waiting.progress.percent).toBe(0);

      const playlist = (await fetchMaster(edge, stream.playback)).variants[0]?.uri ?? '';
      expect(await timeUntilLiveGoesOn(playlist, LIVE_LIMIT_MS + 5_000, flushAll)).toBeLessThanOrEqual(LIVE_LIMIT_MS);

      for (const upload of uploads) {
        const ready = await waitUntilReady(platform, upload.asset_id, 200_000);
        expect(Math.abs((ready.duration ?? 0) - SECONDS)).toBeLessThanOrEqual(0.05);
        const names = ready.renditions.map((rendition) => rendition.name);
        expect(new Set(names).size).toBe(names.length);
        expect((await fetchMaster(edge, ready.playback_ids[0]?.id ?? '')).variants.length).toBe(
          names.filter((name) => name.startsWith('v')).length,
        );
      }
      const list = await platform.call<{ data: { id: string }[] }>('GET', '/video/v1/assets');
      for (const upload of uploads) expect(list.body.data.map((asset) => asset.id)).toContain(upload.asset_id);

      const second = publish(idle.address, 'numbered', { size: '320:180' });
      try {
        await waitUntilLive(edge, idle.playback);
      } finally {
        await second.stop();
      }
    } finally {
      await publisher.stop();
    }
  }, 420_000);
});
