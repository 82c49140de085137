// Must show B: streams of every latency mode and frame rate, with and without sound and with sound alone, each of their playlists judged.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FRAME_RATES, gridFor, LATENCY_MODES, type LatencyMode } from '../../platform/contract/latency.ts';
import { type Publisher, publish } from './media.ts';
import type { Platform, PlatformOptions } from './platform.ts';
import { type Judgement, judgePlaylist } from './playlist-law.ts';
import { createStream, fetchMaster, waitUntilLive } from './story.ts';

const run = promisify(execFile);

export type LawCase = { mode: LatencyMode; fps: { num: number; den: number }; tracks: 'both' | 'video' | 'audio' };
export type LawResult = LawCase & { rendition: string; judgement: Judgement };

/** Every case: all modes and rates with and without sound, and each mode with sound alone. */
export const allLawCases = (): LawCase[] =>
  LATENCY_MODES.flatMap((mode) => [
    ...FRAME_RATES.flatMap((fps) => [
      { mode, fps, tracks: 'both' as const },
      { mode, fps, tracks: 'video' as const },
    ]),
    { mode, fps: FRAME_RATES[3], tracks: 'audio' as const },
  ]);

/** One worker that carries so many cases at once. */
export const lawPlatform = (casesAtOnce: number): PlatformOptions => ({
  storage: 'fs',
  env: {
    HEADWATER_TRANSCODERS: '1',
    HEADWATER_TRANSCODER_LIVE_JOBS: String(casesAtOnce + 2),
    HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
  },
});

/** A short clip per case is encoded once and pushed in a loop without encoding: the publishers cost next to nothing. */
async function clipOf(folder: string, { fps, tracks }: LawCase, seconds: number): Promise<string> {
  const path = join(folder, `law-${fps.num}-${fps.den}-${tracks}.flv`);
  const rate = `${fps.num}/${fps.den}`;
  const video = ['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=${rate}`];
  const audio = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'];
  const inputs = [...(tracks === 'audio' ? [] : video), ...(tracks === 'video' ? [] : audio)];
  const codecs = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-g',
    '60',
    '-bf',
    '0',
    '-b:v',
    '300k',
    '-pix_fmt',
    'yuv420p',
    '-c:a',
    'aac',
    '-b:a',
    '96k',
  ];
  await run(
    'nice',
    ['-n', '5', 'ffmpeg', '-v', 'error', '-y', ...inputs, '-t', String(seconds), ...codecs, '-f', 'flv', path],
    {
      timeout: 600_000,
    },
  );
  return path;
}

/** @returns one result per rendition of every case; all cases run at once */
export async function judgeCases(platform: Platform, cases: readonly LawCase[], seconds: number): Promise<LawResult[]> {
  const publishers: Publisher[] = [];
  const streams: string[] = [];
  try {
    const clips: string[] = [];
    for (const one of cases) clips.push(await clipOf(platform.dataDir, one, seconds + 40));
    const prepared = [];
    for (const [index, one] of cases.entries()) {
      const stream = await createStream(platform, one.mode);
      streams.push(stream.id);
      publishers.push(publish(stream.address, 'copy', { clip: clips[index] ?? '' }));
      prepared.push({ one, playback: stream.playback, edge: platform.edges[index % platform.edges.length] ?? '' });
    }
    const results = await Promise.all(
      prepared.map(async ({ one, playback, edge }) => {
        await waitUntilLive(edge, playback, 40_000);
        return judgeStream(one, edge, playback, seconds);
      }),
    );
    return results.flat();
  } finally {
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    for (const id of streams) await platform.call('PUT', `/video/v1/live-streams/${id}/complete`);
  }
}

async function judgeStream(one: LawCase, edge: string, playback: string, seconds: number): Promise<LawResult[]> {
  const master = await fetchMaster(edge, playback);
  const videos = one.tracks === 'audio' ? [] : master.variants.map((variant) => variant.uri);
  const audios = one.tracks === 'audio' ? master.variants.map((variant) => variant.uri) : [master.audio ?? ''];
  const urls = [
    ...videos.map((url) => ({ url, isVideo: true })),
    ...audios.map((url) => ({ url, isVideo: false })),
  ].filter(({ url }) => url !== '');
  return Promise.all(
    urls.map(async ({ url, isVideo }) => ({
      ...one,
      rendition: new URL(url).pathname.split('/').at(-2) ?? '',
      judgement: await judgePlaylist({
        url,
        grid: gridFor(one.mode, one.fps),
        fps: isVideo ? one.fps : null,
        targetDurationS: 2,
        siblings: urls.length - 1,
        seconds,
      }),
    })),
  );
}

/** One line per result that broke a rule. */
export const violationsOf = (results: readonly LawResult[]): string[] =>
  results.flatMap(({ mode, fps, tracks, rendition, judgement }) =>
    judgement.violations.map((text) => `${mode} ${fps.num}/${fps.den} ${tracks} ${rendition}: ${text}`),
  );
