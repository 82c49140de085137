// A platform on MinIO behind a proxy that kills, for the tests that end a process in the middle of an upload.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type StoreProxy, startStoreProxy } from './killing-proxy.ts';
import { makeLongClip } from './media.ts';
import { startMinio } from './minio.ts';
import { type Platform, startPlatform } from './platform.ts';
import { fetchMaster, fetchMedia, waitUntilReady } from './story.ts';

const FPS = 25;
const TOLERANCE_S = 0.05;

export type KillingRig = {
  platform: Platform;
  proxy: StoreProxy;
  /** Path of the file to be uploaded. */
  clip: string;
  stop(): Promise<void>;
};

/** @param seconds of picture and sound in the clip */
export async function startKillingRig(seconds: number, size: { width: number; height: number }): Promise<KillingRig> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-kill-'));
  const clip = join(folder, 'clip.mp4');
  await makeLongClip(clip, seconds, size, FPS);
  const minio = await startMinio();
  const proxy = await startStoreProxy(minio.settings.S3_ENDPOINT ?? '');
  const platform = await startPlatform({
    storage: 'fs',
    env: {
      HEADWATER_STORAGE: 's3',
      HEADWATER_S3_ENDPOINT: proxy.url,
      HEADWATER_S3_ACCESS_KEY: minio.settings.S3_ACCESS_KEY ?? '',
      HEADWATER_S3_SECRET_KEY: minio.settings.S3_SECRET_KEY ?? '',
    },
  });
  return {
    platform,
    proxy,
    clip,
    async stop() {
      await platform.stop();
      await proxy.close();
      await minio.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Kills both workers: whichever holds the job is among them. */
export async function killWorkers(platform: Platform): Promise<void> {
  await platform.kill('transcoder-1');
  await platform.kill('transcoder-2');
}

/** The upload became one asset: whole, each rendition once, every segment there. */
export async function expectReadyOnce(platform: Platform, asset: string, seconds: number): Promise<void> {
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
