// Must show E: one broadcast from its first picture to the asset it becomes, with memory, rewinding, and two independent readers of every picture.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { delay } from '../../platform/runtime/waits.ts';
import { play, waitUntilPlaying, waitUntilTrue } from './browser.ts';
import { publish, readFrameNumbers } from './media.ts';
import type { Platform } from './platform.ts';
import {
  breaksIn,
  createStream,
  fetchBytes,
  fetchMaster,
  fetchMedia,
  playlistNumbers,
  waitUntilLive,
  waitUntilRecorded,
} from './story.ts';

export type WholeBroadcast = {
  /** Growth of resident memory over the judged time, by process. Unit: MB per minute. */
  growthMbPerMinute: Record<string, number>;
  /** Largest resident memory by process, MB. */
  peakMb: Record<string, number>;
  /** From the end of the broadcast to the asset being ready, ms. */
  endToAssetMs: number;
  /** Pictures as served live, and in the asset. */
  livePictures: number;
  assetPictures: number;
  /** Places in each where the burnt-in number does not count up. */
  liveBreaks: number;
  assetBreaks: number;
  isSame: boolean;
  /** Play head after the seek to the start, s behind the live edge. */
  rewoundS: number;
  assetDurationS: number;
};

const SAMPLE_MS = 5_000;

/**
 * @param seconds length of the broadcast
 * @param judgedS its last part, over which memory growth is fitted
 */
export async function runWholeBroadcast(
  platform: Platform,
  browser: Browser,
  seconds: number,
  judgedS: number,
): Promise<WholeBroadcast> {
  const stream = await createStream(platform, 'low');
  const publisher = publish(stream.address, 'numbered', { size: '426:240' });
  const edge = platform.edges[0] ?? '';
  await waitUntilLive(edge, stream.playback);
  const began = performance.now();
  const left = () => seconds * 1_000 - (performance.now() - began);
  const client = recordAsServed(platform.edges[1] ?? '', stream.playback);
  const memory = sampleMemory(platform);
  const page = await browser.newPage();
  await page.goto(`${edge}/watch/${stream.playback}`);
  await play(page, 2);
  await delay(Math.max(0, left() - 8_000));
  const rewoundS = await rewind(page);
  await delay(Math.max(0, left()));
  await publisher.stop();
  await platform.call('PUT', `/video/v1/live-streams/${stream.id}/complete`);
  const endedAt = performance.now();
  const asset = await waitUntilRecorded(platform, stream.id);
  const endToAssetMs = Math.round(performance.now() - endedAt);
  await page.close();
  const segments = await client.stop();
  const folder = join(platform.dataDir, `whole-${stream.id}`);
  await mkdir(folder);
  await writeFile(join(folder, 'live.mp4'), Buffer.concat(segments));
  const live = await readFrameNumbers(join(folder, 'live.mp4'));
  const master = await fetchMaster(edge, asset.playback_ids[0]?.id ?? '');
  const stored = (await playlistNumbers(master.variants.at(-1)?.uri ?? '', folder)).flat();
  const { growth, peak } = memory.stop(judgedS);
  return {
    growthMbPerMinute: growth,
    peakMb: peak,
    endToAssetMs,
    livePictures: live.length,
    assetPictures: stored.length,
    liveBreaks: breaksIn(live).length,
    assetBreaks: breaksIn(stored).length,
    isSame: live.length === stored.length && live.every((number, index) => number === stored[index]),
    rewoundS,
    assetDurationS: asset.duration ?? 0,
  };
}

/** Takes every segment of the smallest rendition the moment it is listed, once, in order. */
function recordAsServed(edge: string, playback: string): { stop(): Promise<Buffer[]> } {
  const pieces: Buffer[] = [];
  let isEnded = false;
  let next = -1;
  const run = async () => {
    const playlist = (await fetchMaster(edge, playback)).variants.at(-1)?.uri ?? '';
    const end = () => isEnded;
    for (let isLast = false; !isLast; ) {
      isLast = end();
      const media = await fetchMedia(playlist).catch(() => null);
      for (const segment of media?.segments ?? []) {
        if (segment.msn < next || segment.isGap) continue;
        if (pieces.length === 0) pieces.push(await fetchBytes(segment.map));
        pieces.push(await fetchBytes(segment.uri));
        next = segment.msn + 1;
      }
      if (!isLast) await delay(1_000);
    }
  };
  const running = run();
  return {
    async stop() {
      isEnded = true;
      await running;
      return pieces;
    },
  };
}

/** Seeks to the start of the window and plays there. @returns distance from the live edge, s */
async function rewind(page: Parameters<typeof play>[0]): Promise<number> {
  await page.evaluate(
    "(() => { const v = document.querySelector('video'); v.currentTime = v.seekable.start(0) + 1; })()",
  );
  await waitUntilTrue(page, "!document.querySelector('video').seeking", 15_000);
  await waitUntilPlaying(page, 15_000, 1);
  return page.evaluate<number>(
    "(() => { const v = document.querySelector('video'); return v.seekable.end(v.seekable.length - 1) - v.currentTime; })()",
  );
}

type Sample = { atS: number; mb: number };

/** Resident memory of every role, read from /proc. */
function sampleMemory(platform: Platform): {
  stop(judgedS: number): { growth: Record<string, number>; peak: Record<string, number> };
} {
  const samples = new Map<string, Sample[]>();
  const began = performance.now();
  const sample = async () => {
    for (const { name, pid } of platform.state().processes) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const kb = /^VmRSS:\s+(\d+)/m.exec(status)?.[1];
      if (kb === undefined) continue;
      const known = samples.get(name) ?? [];
      known.push({ atS: (performance.now() - began) / 1_000, mb: Number(kb) / 1_024 });
      samples.set(name, known);
    }
  };
  const timer = setInterval(() => void sample(), SAMPLE_MS);
  return {
    stop(judgedS) {
      clearInterval(timer);
      const growth: Record<string, number> = {};
      const peak: Record<string, number> = {};
      const end = (performance.now() - began) / 1_000;
      for (const [name, all] of samples) {
        growth[name] = Number(slopePerMinute(all.filter((one) => one.atS >= end - judgedS)).toFixed(3));
        peak[name] = Math.round(Math.max(...all.map((one) => one.mb)));
      }
      return { growth, peak };
    },
  };
}

/** Least squares. */
function slopePerMinute(samples: readonly Sample[]): number {
  const count = samples.length;
  if (count < 2) return 0;
  const meanAt = samples.reduce((sum, one) => sum + one.atS, 0) / count;
  const meanMb = samples.reduce((sum, one) => sum + one.mb, 0) / count;
  const above = samples.reduce((sum, one) => sum + (one.atS - meanAt) * (one.mb - meanMb), 0);
  const below = samples.reduce((sum, one) => sum + (one.atS - meanAt) ** 2, 0);
  return below === 0 ? 0 : (60 * above) / below;
}
