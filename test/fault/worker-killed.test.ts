// Must show D: the transcoder is killed with -9 in the middle of an upload's job and during a live; whoever publishes is killed at each step of it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, play, playerState, startBrowser, waitUntilPast } from '../support/browser.ts';
import { type Moment, type StoreProxy, startStoreProxy } from '../support/killing-proxy.ts';
import { makeLongClip, publish } from '../support/media.ts';
import { hasMinio, startMinio } from '../support/minio.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import {
  type AssetView,
  createStream,
  createUpload,
  fetchMaster,
  fetchMedia,
  putFile,
  readAsset,
  timeUntilLiveGoesOn,
  waitUntilLive,
  waitUntilReady,
} from '../support/story.ts';

const isAble = (await hasChromium()) && (await hasMinio());

const SECONDS = 20;
/** One video rung and sound, two segments. */
const SMALL_SECONDS = 8;
const FPS = 25;
const TOLERANCE_S = 0.05;
const LIVE_LIMIT_MS = 10_000;

let folder: string;
let clip: string;
let smallClip: string;
let minio: Awaited<ReturnType<typeof startMinio>>;
let proxy: StoreProxy;
let platform: Platform;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-kill-'));
  clip = join(folder, 'clip.mp4');
  await makeLongClip(clip, SECONDS, { width: 640, height: 480 }, FPS);
  smallClip = join(folder, 'small.mp4');
  await makeLongClip(smallClip, SMALL_SECONDS, { width: 320, height: 240 }, FPS);
  minio = await startMinio();
  proxy = await startStoreProxy(minio.settings.S3_ENDPOINT ?? '');
  platform = await startPlatform({
    storage: 'fs',
    env: {
      HEADWATER_STORAGE: 's3',
      HEADWATER_S3_ENDPOINT: proxy.url,
      HEADWATER_S3_ACCESS_KEY: minio.settings.S3_ACCESS_KEY ?? '',
      HEADWATER_S3_SECRET_KEY: minio.settings.S3_SECRET_KEY ?? '',
    },
  });
  browser = await startBrowser();
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await platform?.stop();
  await proxy?.close();
  await minio?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Kills both workers: whichever holds the job is among them. */
async function killWorkers(): Promise<void> {
  await platform.kill('transcoder-1');
  await platform.kill('transcoder-2');
}

async function expectReadyOnce(asset: string, seconds: number): Promise<void> {
  const ready = await waitUntilReady(platform, asset, 150_000);
  expect(Math.abs((ready.duration ?? 0) - seconds)).toBeLessThanOrEqual(TOLERANCE_S);
  const names = ready.renditions.map((rendition) => rendition.name);
  expect(new Set(names).size).toBe(names.length);
  const master = await fetchMaster(platform.edges[0] ?? '', ready.playback_ids[0]?.id ?? '');
  for (const playlist of [...master.variants.map((variant) => variant.uri), master.audio ?? '']) {
    const media = await fetchMedia(playlist);
    expect(media.isEnded).toBe(true);
    const total = media.segments.reduce((sum, segment) => sum + segment.duration, 0);
    expect(Math.abs(total - seconds)).toBeLessThanOrEqual(0.1);
    for (const segment of media.segments) {
      const answer = await fetch(segment.uri, { method: 'HEAD' });
      expect(answer.status).toBe(200);
    }
  }
}

describe.runIf(isAble)('a worker', () => {
  it('killed at 30 to 60 % of an upload costs nothing', async () => {
    const upload = await createUpload(platform);
    expect(await putFile(upload.url, clip)).toBeLessThan(300);
    const percent = await until(
      '30 % of the job',
      120_000,
      async () => {
        const asset = await readAsset(platform, upload.asset_id);
        return asset.progress.percent >= 30 && asset.status === 'preparing' ? asset.progress.percent : null;
      },
      20,
    );
    expect(percent).toBeLessThanOrEqual(60);
    await killWorkers();
    await expectReadyOnce(upload.asset_id, SECONDS);
  }, 240_000);

  const steps: [string, (path: string, asset: string) => boolean, (asset: AssetView) => boolean][] = [
    ['takes the record', (path, asset) => path.includes(`/records/asset/${asset}`), () => true],
    ['stores an init', (path, asset) => path.includes(`/media/${asset}/`) && path.includes('/init.mp4'), () => true],
    ['stores a segment', (path, asset) => path.includes(`/media/${asset}/v`) && path.includes('/s1.'), () => true],
    ['stores a rendition table', (path, asset) => path.includes(`/index/${asset}/`), () => true],
    [
      'adds a rendition to the record',
      (path, asset) => path.includes(`/records/asset/${asset}`),
      (asset) => asset.progress.percent > 0,
    ],
    ['stores a picture', (path, asset) => path.includes(`/media/${asset}/images/`), () => true],
    [
      'makes the asset ready',
      (path, asset) => path.includes(`/records/asset/${asset}`),
      (asset) => asset.renditions.length === 2,
    ],
  ];
  const moments: Moment[] = ['before', 'after'];
  const cases = steps.flatMap(([step, matches, isTime]) =>
    moments.map((moment) => ({ step, moment, matches, isTime })),
  );
  it.each(cases)(
    'that $step, killed $moment the store has done it, costs nothing',
    async ({ moment, matches, isTime }) => {
      const upload = await createUpload(platform);
      expect(await putFile(upload.url, smallClip)).toBeLessThan(300);
      await until(
        'the time to arm',
        60_000,
        async () => {
          const asset = await readAsset(platform, upload.asset_id);
          return isTime(asset) || asset.status === 'ready';
        },
        5,
      );
      proxy.arm({
        moment,
        matches: (method, path) => method === 'PUT' && matches(path, upload.asset_id),
        fire: killWorkers,
      });
      await until('the kill', 60_000, async () => proxy.hasFired());
      await expectReadyOnce(upload.asset_id, SMALL_SECONDS);
    },
    200_000,
  );

  it.each(moments)(
    'api, killed %s the store has noted that an upload is whole, costs nothing',
    async (moment) => {
      const upload = await createUpload(platform);
      proxy.arm({
        moment,
        matches: (method, path) => method === 'PUT' && path.includes(`/records/asset/${upload.asset_id}`),
        fire: async () => {
          await platform.kill('api');
        },
      });
      const { pid } = platform.process('api');
      await putFile(upload.url, smallClip).catch(() => null);
      expect(proxy.hasFired()).toBe(true);
      await platform.restored('api', pid, 10_000);
      await expectReadyOnce(upload.asset_id, SMALL_SECONDS);
    },
    200_000,
  );

  it('killed during a live is replaced within 10 s, without a reload of the player', async () => {
    const stream = await createStream(platform);
    const publisher = publish(stream.address, 'numbered');
    const page = await browser.newPage();
    try {
      const edge = platform.edges[0] ?? '';
      await waitUntilLive(edge, stream.playback);
      await page.goto(`${edge}/watch/${stream.playback}`);
      await page.evaluate('window.marker = "same page"');
      await play(page);
      const master = await fetchMaster(edge, stream.playback);
      const playlist = master.variants[0]?.uri ?? '';
      const ms = await timeUntilLiveGoesOn(playlist, LIVE_LIMIT_MS + 5_000, killWorkers);
      expect(ms).toBeLessThanOrEqual(LIVE_LIMIT_MS);
      const from = Number((await playerState(page))?.['currentTime']);
      await waitUntilPast(page, from + 6, 25_000);
      expect(await page.evaluate('window.marker')).toBe('same page');
    } finally {
      await page.close();
      await publisher.stop();
    }
  }, 120_000);
});
