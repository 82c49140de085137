// Must show D: Redis behind Sentinels, the master cut off from everybody and back as a replica, with a live and uploads on their way.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { recordedNumbers, watchLive } from '../support/live-watch.ts';
import { makeLongClip } from '../support/media.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import { type SentinelWorld, startSentinelWorld } from '../support/sentinel.ts';
import { breaksIn, createUpload, putFile, readAsset, waitUntilReady } from '../support/story.ts';

const isAble = await hasChromium();
const CLIP_S = 12;

let folder: string;
let world: SentinelWorld;
let platform: Platform;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-failover-'));
  await makeLongClip(join(folder, 'clip.mp4'), CLIP_S, { width: 426, height: 240 }, 25);
  world = await startSentinelWorld();
  platform = await startPlatform({
    storage: 'fs',
    env: { REDIS_URL: world.url, HEADWATER_TRANSCODERS: '2', HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast' },
  });
  browser = await startBrowser();
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await platform?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe.runIf(isAble)('a Redis master that is cut off', () => {
  it('loses no upload, no job and no picture, and comes back as a replica', async () => {
    const watch = await watchLive(platform, browser, { size: '426:240' });
    const uploads = [];
    for (let i = 0; i < 3; i += 1) {
      const upload = await createUpload(platform, `Video ${i}`);
      expect(await putFile(upload.url, join(folder, 'clip.mp4'))).toBeLessThan(300);
      uploads.push(upload);
    }
    const old = await world.master();
    await watch.reset();
    const from = performance.now();
    const thaw = await world.freezeMaster();
    let downMs = 0;
    try {
      await until('another master', 30_000, async () => (await world.master()) !== old);
      downMs = performance.now() - from;
      await new Promise((resolve) => setTimeout(resolve, 6_000));
    } finally {
      thaw();
    }
    await until('the old master follows', 30_000, async () => (await world.command(old, 'ROLE')).startsWith('slave'));
    for (const upload of uploads) await waitUntilReady(platform, upload.asset_id, 120_000);
    const seen = await watch.viewed();
    await watch.endPublishers();
    const numbers = await recordedNumbers(platform, watch);
    await watch.stop();
    process.stderr.write(
      `fault: Redis failover: ${JSON.stringify({ downMs: Math.round(downMs), ...seen, pictures: numbers.length, breaks: breaksIn(numbers) })}\n`,
    );
    expect(seen.reloads).toBe(0);
    expect(seen.stallMs).toBeLessThanOrEqual(downMs + 4_000);
    expect(breaksIn(numbers)).toEqual([]);
    for (const upload of uploads) {
      const asset = await readAsset(platform, upload.asset_id);
      expect(Math.abs((asset.duration ?? 0) - CLIP_S)).toBeLessThan(0.2);
    }
  }, 300_000);
});
