// Must show D: the transcoder is killed with -9 in the middle of an upload's job and during a live. upload-steps-killed.test.ts has the steps of publishing.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, play, playerState, startBrowser, waitUntilPast } from '../support/browser.ts';
import { expectReadyOnce, type KillingRig, killWorkers, startKillingRig } from '../support/killing-rig.ts';
import { publish } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { until } from '../support/platform.ts';
import {
  createStream,
  createUpload,
  fetchMaster,
  putFile,
  readAsset,
  timeUntilLiveGoesOn,
  waitUntilLive,
} from '../support/story.ts';

const isAble = (await hasChromium()) && (await hasMinio());

const SECONDS = 20;
const LIVE_LIMIT_MS = 10_000;

let rig: KillingRig;
let browser: Browser;

beforeAll(async () => {
  rig = await startKillingRig(SECONDS, { width: 640, height: 480 });
  browser = await startBrowser();
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await rig?.stop();
});

describe.runIf(isAble)('a worker', () => {
  it('killed at 30 to 60 % of an upload costs nothing', async () => {
    const upload = await createUpload(rig.platform);
    expect(await putFile(upload.url, rig.clip)).toBeLessThan(300);
    const percent = await until(
      '30 % of the job',
      120_000,
      async () => {
        const asset = await readAsset(rig.platform, upload.asset_id);
        return asset.progress.percent >= 30 && asset.status === 'preparing' ? asset.progress.percent : null;
      },
      20,
    );
    expect(percent).toBeLessThanOrEqual(60);
    await killWorkers(rig.platform);
    await expectReadyOnce(rig.platform, upload.asset_id, SECONDS);
  }, 240_000);

  it('killed during a live is replaced within 10 s, without a reload of the player', async () => {
    const stream = await createStream(rig.platform);
    const publisher = publish(stream.address, 'numbered');
    const page = await browser.newPage();
    try {
      const edge = rig.platform.edges[0] ?? '';
      await waitUntilLive(edge, stream.playback);
      await page.goto(`${edge}/watch/${stream.playback}`);
      await page.evaluate('window.marker = "same page"');
      await play(page);
      const master = await fetchMaster(edge, stream.playback);
      const playlist = master.variants[0]?.uri ?? '';
      const ms = await timeUntilLiveGoesOn(playlist, LIVE_LIMIT_MS + 5_000, () => killWorkers(rig.platform));
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
