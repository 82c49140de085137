// Redis behind Sentinels, the master cut off with a live and uploads on their way; what is lost by it, measured.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { hasChromium, startBrowser } from './browser.ts';
import { recordedNumbers, watchLive } from './live-watch.ts';
import { makeLongClip } from './media.ts';
import { type Platform, startPlatform, until } from './platform.ts';
import { type SentinelWorld, startSentinelWorld } from './sentinel.ts';
import { breaksIn, createUpload, fetchMaster, putFile, readAsset, waitUntilReady } from './story.ts';

export const isAble = await hasChromium();
const CLIP_S = 12;

let folder: string;
let world: SentinelWorld;
let platform: Platform;
let browser: Browser;

async function uploadClip(title: string) {
  const upload = await createUpload(platform, title);
  expect(await putFile(upload.url, join(folder, 'clip.mp4'))).toBeLessThan(300);
  return upload;
}

/**
 * A live and three uploads are on their way when the master is cut off.
 * @param cutOff returns how to end it
 * @param meanwhile uploads that come between the cut and the new master
 */
export async function runFailover(
  what: string,
  cutOff: (world: SentinelWorld) => Promise<() => Promise<void>>,
  meanwhile: number,
) {
  const watch = await watchLive(platform, browser, { size: '426:240' });
  const uploads = [];
  for (let i = 0; i < 3; i += 1) uploads.push(await uploadClip(`${what}, before ${i}`));
  const old = await world.master();
  await watch.reset();
  const from = performance.now();
  const heal = await cutOff(world);
  let downMs = 0;
  try {
    for (let i = 0; i < meanwhile; i += 1) uploads.push(await uploadClip(`${what}, meanwhile ${i}`));
    await until('another master', 30_000, async () => (await world.master()) !== old);
    downMs = performance.now() - from;
    await new Promise((resolve) => setTimeout(resolve, 6_000));
  } finally {
    await heal();
  }
  await until('the old master follows', 30_000, async () => (await world.command(old, 'ROLE')).startsWith('slave'));
  for (const upload of uploads) await waitUntilReady(platform, upload.asset_id, 120_000);
  const seen = await watch.viewed();
  await watch.endPublishers();
  const numbers = await recordedNumbers(platform, watch);
  await watch.stop();
  const outcome = { downMs: Math.round(downMs), ...seen, pictures: numbers.length, breaks: breaksIn(numbers) };
  process.stderr.write(`fault: ${what}: ${JSON.stringify(outcome)}\n`);
  expect(seen.reloads).toBe(0);
  expect(seen.stallMs).toBeLessThanOrEqual(downMs + 4_000);
  expect(breaksIn(numbers)).toEqual([]);
  for (const upload of uploads) {
    const asset = await readAsset(platform, upload.asset_id);
    expect(Math.abs((asset.duration ?? 0) - CLIP_S)).toBeLessThan(0.2);
    // Found by its playback id too: that stands in Redis alone.
    await fetchMaster(platform.edges[0] ?? '', asset.playback_ids[0]?.id ?? '');
  }
}

/** Registers the hooks of a test file: servers, platform, browser. */
export function failoverHooks(): void {
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
}
