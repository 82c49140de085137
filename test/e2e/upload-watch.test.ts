// Must show B: a long 1080p file goes up over tus, throttled and cut at a random byte, becomes ready, plays in Chromium through an edge.
import { randomInt } from 'node:crypto';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ladderFor } from '../../platform/contract/ladder.ts';
import { currentTime, hasChromium, play, startBrowser, waitUntilPast } from '../support/browser.ts';
import { makeLongClip, packetSpan, probeFile, readFrameNumber } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import { createUpload, fetchMaster, readAsset, saveRendition, waitUntilReady } from '../support/story.ts';

const FPS = 25;
const SECONDS = 93;
const SEEK_S = 60;
const TOLERANCE_S = 0.05;
/** Throttle of the first, broken request: bytes per step, and the step. */
const STEP_BYTES = 64 * 1024;
const STEP_MS = 5;

let folder: string;
let clip: string;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-long-clip-'));
  clip = join(folder, 'clip.mp4');
  await makeLongClip(clip, SECONDS, { width: 1920, height: 1080 }, FPS);
  browser = await startBrowser();
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const TUS = { 'tus-resumable': '1.0.0' };

/** Sends bytes from `offset` in a throttled PATCH and cuts the connection after `cutAfter` bytes. */
async function sendAndCut(url: string, offset: number, cutAfter: number): Promise<void> {
  const { size } = await stat(clip);
  const file = await open(clip, 'r');
  const patch = request(url, {
    method: 'PATCH',
    headers: {
      ...TUS,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(offset),
      'content-length': String(size - offset),
    },
  });
  patch.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => patch.once('close', () => resolve()));
  let sent = 0;
  while (sent < cutAfter) {
    const chunk = Buffer.alloc(Math.min(STEP_BYTES, cutAfter - sent));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, offset + sent);
    await new Promise<void>((resolve) => patch.write(chunk.subarray(0, bytesRead), () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    sent += bytesRead;
  }
  patch.destroy();
  await closed;
  await file.close();
}

async function offsetOf(url: string): Promise<number> {
  return until('offset of the cut upload', 10_000, async () => {
    const answer = await fetch(url, { method: 'HEAD', headers: TUS });
    return answer.status === 200 ? Number(answer.headers.get('upload-offset')) : null;
  });
}

async function sendRest(url: string, offset: number): Promise<number> {
  const { size } = await stat(clip);
  const file = await open(clip, 'r');
  const rest = Buffer.alloc(size - offset);
  await file.read(rest, 0, rest.length, offset);
  await file.close();
  const answer = await fetch(url, {
    method: 'PATCH',
    headers: { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) },
    body: rest,
  });
  return answer.status;
}

async function uploadOverTus(platform: Platform): Promise<string> {
  const upload = await createUpload(platform, 'Ninety seconds');
  const { size } = await stat(clip);
  const cutAfter = randomInt(Math.floor(size * 0.2), Math.floor(size * 0.6));
  const created = await fetch(upload.url, { method: 'POST', headers: { ...TUS, 'upload-length': String(size) } });
  expect(created.status).toBe(201);
  await sendAndCut(upload.url, 0, cutAfter);
  const offset = await offsetOf(upload.url);
  expect(offset).toBeGreaterThan(0);
  expect(offset).toBeLessThanOrEqual(cutAfter);
  expect(await sendRest(upload.url, offset)).toBe(204);
  return upload.asset_id;
}

/** Every rendition as planned, by ffprobe, against the source. */
async function checkRenditions(platform: Platform, playback: string): Promise<void> {
  const edge = platform.edges[0] ?? '';
  const master = await fetchMaster(edge, playback);
  const planned = ladderFor(1920, 1080);
  expect(master.variants.map(({ width, height }) => ({ width, height })).sort((a, b) => b.height - a.height)).toEqual(
    planned.map(({ width, height }) => ({ width, height })),
  );
  for (const variant of master.variants) {
    const path = join(folder, `v${variant.height}.mp4`);
    const media = await saveRendition(variant.uri, path);
    expect(media.segments.length).toBeGreaterThanOrEqual(15);
    expect(media.isEnded).toBe(true);
    const [stream] = (await probeFile(path)).streams;
    expect(stream).toMatchObject({ codec_name: 'h264', width: variant.width, height: variant.height });
    const span = await packetSpan(path);
    expect(Math.abs(span.end - span.first - SECONDS)).toBeLessThanOrEqual(TOLERANCE_S);
    expect(span.packets).toBe(SECONDS * FPS);
    await rm(path);
  }
  const audioPath = join(folder, 'a0.mp4');
  await saveRendition(master.audio ?? '', audioPath);
  const [audio] = (await probeFile(audioPath)).streams;
  expect(audio).toMatchObject({ codec_name: 'aac', sample_rate: '48000', channels: 2 });
  const source = (await probeFile(clip)).streams.find((stream) => stream.codec_type === 'audio');
  const span = await packetSpan(audioPath);
  expect(Math.abs(span.end - span.first - Number(source?.duration))).toBeLessThanOrEqual(TOLERANCE_S);
}

/** Plays through edge 1, seeks, reads the frame number off the decoded picture. */
async function playAndSeek(platform: Platform, playback: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  try {
    await page.goto(`${platform.edges[0]}/watch/${playback}`);
    await play(page);
    await page.evaluate(
      `new Promise((done) => { const v = document.querySelector('video'); v.pause(); v.addEventListener('seeked', done, { once: true }); v.currentTime = ${SEEK_S + 0.5 / FPS}; })`,
    );
    const wanted = SEEK_S * FPS;
    const shown = await until('the right frame after the seek', 20_000, async () => {
      const number = await readFrameNumber(page);
      return number === wanted ? number : null;
    });
    expect(shown).toBe(wanted);
    await page.evaluate('document.querySelector("video").play()');
    const from = (await currentTime(page)) ?? 0;
    await waitUntilPast(page, from + 2, 20_000);
  } finally {
    await page.close();
  }
}

/** The store that production has; the folder takes the same code's way through first-ten-minutes and the shared storage suite. */
const stores = [{ storage: 'minio' as const, isAble: (await hasChromium()) && (await hasMinio()) }];

describe.each(stores)('an upload on $storage', ({ storage, isAble }) => {
  it.runIf(isAble)(
    'goes up over tus with a cut, becomes ready, and plays in Chromium',
    async () => {
      const platform = await startPlatform({ storage, env: { HEADWATER_TRANSCODER_VOD_PRESET: 'ultrafast' } });
      try {
        const assetId = await uploadOverTus(platform);
        const percents: number[] = [];
        const ready = await until(
          'asset ready',
          400_000,
          async () => {
            const asset = await readAsset(platform, assetId);
            percents.push(asset.progress.percent);
            if (asset.status === 'errored') throw new Error(JSON.stringify(asset.errors));
            return asset.status === 'ready' ? asset : null;
          },
          500,
        );
        expect(percents).toEqual([...percents].sort((a, b) => a - b));
        expect(new Set(percents).size).toBeGreaterThan(5);
        expect(Math.abs((ready.duration ?? 0) - SECONDS)).toBeLessThanOrEqual(TOLERANCE_S);
        const playback = ready.playback_ids[0]?.id ?? '';
        await checkRenditions(platform, playback);
        await playAndSeek(platform, playback);
        expect((await waitUntilReady(platform, assetId, 1_000)).size_bytes).toBeGreaterThan(0);
      } finally {
        await platform.stop();
      }
    },
    600_000,
  );
});
