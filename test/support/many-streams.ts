// Must show G: many pass-through streams beside a few transcoded ones, one viewer each; when every part came, against its place in the media.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { delay } from '../../platform/runtime/waits.ts';
import { type Publisher, publish } from './media.ts';
import type { Platform, PlatformOptions } from './platform.ts';
import { createStream, fetchMaster, waitUntilLive } from './story.ts';

const run = promisify(execFile);

export type StreamSeen = {
  transcode: 'passthrough' | 'ladder';
  parts: number;
  /** Answers other than 200. */
  refused: number;
  /** Parts that came so late that a player at PART-HOLD-BACK would have stalled. */
  late: number;
  /** Longest time between two parts, in part targets. */
  longestGapTargets: number;
};
export const MANY_STREAMS_PLATFORM: PlatformOptions = {
  storage: 'fs',
  env: { HEADWATER_TRANSCODER_LIVE_JOBS: '4', HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast' },
};

export type ManyStreamsOptions = { passthrough: number; transcoded: number; seconds: number; mode: string };

async function clip(path: string, size: string, bitrate: string, seconds: number): Promise<string> {
  const input = ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=30`, '-f', 'lavfi', '-i', 'sine=frequency=440'];
  const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '60', '-bf', '0', '-pix_fmt', 'yuv420p'];
  const rate = [
    '-b:v',
    bitrate,
    '-minrate',
    bitrate,
    '-maxrate',
    bitrate,
    '-bufsize',
    bitrate,
    '-x264-params',
    'nal-hrd=cbr',
  ];
  await run(
    'ffmpeg',
    ['-v', 'error', '-y', ...input, '-t', String(seconds), ...video, ...rate, '-c:a', 'aac', '-b:a', '96k', path],
    {
      timeout: 900_000,
    },
  );
  return path;
}

/** @returns what the viewer of each stream saw */
export async function runManyStreams(platform: Platform, options: ManyStreamsOptions): Promise<StreamSeen[]> {
  const { passthrough, transcoded, seconds, mode } = options;
  const length = seconds + 60;
  const large = await clip(join(platform.dataDir, 'many-large.flv'), '640x360', '1000k', length);
  const small = await clip(join(platform.dataDir, 'many-small.flv'), '320x180', '300k', length);
  const publishers: Publisher[] = [];
  const ids: string[] = [];
  try {
    const opened: { playback: string; transcode: StreamSeen['transcode'] }[] = [];
    for (let i = 0; i < passthrough + transcoded; i += 1) {
      const transcode = i < passthrough ? 'passthrough' : 'ladder';
      const stream = await createStream(platform, mode, { transcode });
      ids.push(stream.id);
      publishers.push(publish(stream.address, 'copy', { clip: transcode === 'passthrough' ? large : small }));
      opened.push({ playback: stream.playback, transcode });
    }
    return await Promise.all(
      opened.map(async ({ playback, transcode }, index) => {
        const edge = platform.edges[index % platform.edges.length] ?? '';
        await waitUntilLive(edge, playback, 60_000);
        const url = (await fetchMaster(edge, playback)).variants.at(-1)?.uri ?? '';
        return { transcode, ...(await follow(url, seconds)) };
      }),
    );
  } finally {
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    for (const id of ids) await platform.call('PUT', `/video/v1/live-streams/${id}/complete`);
  }
}

/** Blocking reloads of one playlist, every new part fetched. */
async function follow(url: string, seconds: number): Promise<Omit<StreamSeen, 'transcode'>> {
  const seen = { parts: 0, refused: 0, late: 0, longestGapTargets: 0 };
  const known = new Set<string>();
  const end = performance.now() + seconds * 1_000;
  let query = '';
  let target = 0.5;
  let media = 0;
  let earliest = Number.POSITIVE_INFINITY;
  let before: number | null = null;
  while (performance.now() < end) {
    const answer = await fetch(`${url}${query}`, { signal: AbortSignal.timeout(15_000) }).catch(() => null);
    if (answer?.status !== 200) {
      seen.refused += 1;
      await delay(200);
      continue;
    }
    const text = await answer.text();
    const now = performance.now() / 1_000;
    target = Number(/PART-TARGET=([\d.]+)/.exec(text)?.[1] ?? target);
    const fresh = [...text.matchAll(/^#EXT-X-PART:DURATION=([\d.]+),URI="([^"]+)"/gm)].filter(
      ([, , uri = '']) => !known.has(uri),
    );
    for (const [, duration = '0', uri = ''] of fresh) {
      known.add(uri);
      if (query === '') continue;
      media += Number(duration);
      seen.parts += 1;
      const part = await fetch(new URL(uri, url), { signal: AbortSignal.timeout(10_000) }).catch(() => null);
      if (part?.status !== 200 || (await part.arrayBuffer()).byteLength === 0) seen.refused += 1;
    }
    if (fresh.length > 0 && query !== '') {
      earliest = Math.min(earliest, now - media);
      if (now - media - earliest > 3 * target) seen.late += 1;
      if (before !== null) seen.longestGapTargets = Math.max(seen.longestGapTargets, (now - before) / target);
      before = now;
    }
    query = nextQuery(text);
  }
  return seen;
}

function nextQuery(text: string): string {
  const sequence = Number(/^#EXT-X-MEDIA-SEQUENCE:(\d+)/m.exec(text)?.[1] ?? 0);
  const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(text)?.[1] ?? 0);
  const closed = text.split('#EXTINF:').length - 1;
  const open = text.slice(text.lastIndexOf('#EXTINF:')).split('#EXT-X-PART:').length - 1;
  return `?_HLS_msn=${sequence + skipped + closed}&_HLS_part=${open}&_HLS_skip=YES`;
}
