// What end-to-end tests tell: make a stream, upload a file, wait until it can be watched, read playlists and segments as a plain client.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, stat, writeFile } from 'node:fs/promises';
import HlsParser from 'hls-parser';
import { FRAME_BITS, readFrameNumbers } from './media.ts';
import { type Platform, until } from './platform.ts';

export type CreatedStream = { id: string; stream_key: string; playback_ids: { id: string }[] };
export type CreatedUpload = { id: string; url: string; asset_id: string };
export type AssetView = {
  id: string;
  status: 'preparing' | 'ready' | 'errored';
  playable: boolean;
  progress: { state: string; percent: number };
  errors: { type: string; messages: string[] } | null;
  duration: number | null;
  size_bytes: number | null;
  playback_ids: { id: string }[];
  renditions: {
    name: string;
    kind: 'video' | 'audio';
    codecs: string;
    width: number | null;
    height: number | null;
    segments: number;
    duration: number;
  }[];
};

/** A public live stream, and where to push it. */
export async function createStream(
  platform: Platform,
  latencyMode = 'default',
  more: Record<string, unknown> = {},
): Promise<CreatedStream & { address: string; playback: string }> {
  const answer = await platform.call<{ data: CreatedStream }>('POST', '/video/v1/live-streams', {
    title: 'A test stream',
    latency_mode: latencyMode,
    playback_policies: ['public'],
    ...more,
  });
  if (answer.status !== 201)
    throw new Error(`live stream not created: ${answer.status} ${JSON.stringify(answer.body)}`);
  const { data } = answer.body;
  return {
    ...data,
    address: `${platform.state().rtmp_url}/${data.stream_key}`,
    playback: data.playback_ids[0]?.id ?? '',
  };
}

export async function createUpload(platform: Platform, title = 'A test video'): Promise<CreatedUpload> {
  const answer = await platform.call<{ data: CreatedUpload }>('POST', '/video/v1/uploads', {
    cors_origin: '*',
    new_asset_settings: { playback_policies: ['public'], title },
  });
  if (answer.status !== 201) throw new Error(`upload not created: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body.data;
}

/** Sends a file with one PUT. */
export async function putFile(url: string, path: string): Promise<number> {
  const { size } = await stat(path);
  const answer = await fetch(url, {
    method: 'PUT',
    body: createReadStream(path) as unknown as ReadableStream,
    headers: { 'content-length': String(size), 'content-type': 'video/mp4' },
    duplex: 'half',
  } as RequestInit);
  return answer.status;
}

export async function readAsset(platform: Platform, id: string): Promise<AssetView> {
  const answer = await platform.call<{ data: AssetView }>('GET', `/video/v1/assets/${id}`);
  if (answer.status !== 200) throw new Error(`asset ${id}: ${answer.status}`);
  return answer.body.data;
}

/** @throws Error with the asset's own words when it is errored */
export function waitUntilReady(platform: Platform, id: string, limitMs: number): Promise<AssetView> {
  return until(
    `asset ${id} ready`,
    limitMs,
    async () => {
      const asset = await readAsset(platform, id).catch(() => null);
      if (asset?.status === 'errored') throw new Error(`asset errored: ${JSON.stringify(asset.errors)}`);
      return asset?.status === 'ready' ? asset : null;
    },
    250,
  );
}

/** The asset that the stream's newest broadcast became, once it is ready. */
export function waitUntilRecorded(platform: Platform, streamId: string, limitMs = 60_000): Promise<AssetView> {
  return until('the recording is ready', limitMs, async () => {
    const { body } = await platform.call<{ data: { recent_asset_ids?: string[] } }>(
      'GET',
      `/video/v1/live-streams/${streamId}`,
    );
    const id = body.data.recent_asset_ids?.at(0);
    const asset = id === undefined ? null : await readAsset(platform, id).catch(() => null);
    return asset?.status === 'ready' ? asset : null;
  });
}

/** The first answer 200 of a master playlist on this edge. */
export function waitUntilLive(edge: string, playback: string, limitMs = 30_000): Promise<string> {
  return until(
    `live stream ${playback} on air`,
    limitMs,
    async () => {
      const answer = await fetch(`${edge}/${playback}.m3u8`).catch(() => null);
      return answer?.ok ? answer.text() : null;
    },
    100,
  );
}

export type MasterVariant = { uri: string; bandwidth: number; width: number; height: number; codecs: string };
export type Master = { variants: MasterVariant[]; audio: string | null };

/** Parsed by hls-parser, of the pathway of the edge that answered; addresses are absolute. */
export function parseMaster(text: string, base: string): Master {
  const parsed = HlsParser.parse(text) as HlsParser.types.MasterPlaylist;
  const own = parsed.variants.filter((variant) => !URL.canParse(variant.uri));
  const variants = own.map((variant) => ({
    uri: new URL(variant.uri, base).href,
    bandwidth: variant.bandwidth,
    width: variant.resolution?.width ?? 0,
    height: variant.resolution?.height ?? 0,
    codecs: variant.codecs ?? '',
  }));
  const audio = parsed.variants[0]?.audio[0]?.uri;
  return { variants, audio: audio === undefined ? null : new URL(audio, base).href };
}

export type MediaSegment = {
  uri: string;
  msn: number;
  duration: number;
  map: string;
  isDiscontinuity: boolean;
  isGap: boolean;
};
export type Media = { segments: MediaSegment[]; isEnded: boolean; targetDuration: number; text: string };

export function parseMedia(text: string, base: string): Media {
  const parsed = HlsParser.parse(text) as HlsParser.types.MediaPlaylist;
  // The parser makes a segment without an address of the parts of one that is still open.
  const closed = parsed.segments.filter((segment) => segment.uri !== undefined && segment.uri !== '');
  const segments = closed.map((segment) => ({
    uri: new URL(segment.uri, base).href,
    msn: segment.mediaSequenceNumber,
    duration: segment.duration,
    map: new URL(segment.map?.uri ?? '', base).href,
    isDiscontinuity: segment.discontinuity ?? false,
    isGap: segment.gap ?? false,
  }));
  return { segments, isEnded: parsed.endlist, targetDuration: parsed.targetDuration, text };
}

/** @throws Error on any status but 200 */
export async function fetchText(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(15_000) });
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
  return answer.text();
}

export async function fetchBytes(url: string): Promise<Buffer> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(15_000) });
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

export const fetchMaster = async (edge: string, playback: string): Promise<Master> => {
  const url = `${edge}/${playback}.m3u8`;
  return parseMaster(await fetchText(url), url);
};
export const fetchMedia = async (url: string): Promise<Media> => parseMedia(await fetchText(url), url);

/**
 * Does something to a running broadcast, and measures how long its playlist takes to name two more segments.
 * @returns ms since the fault; @throws Error when that takes more than `limitMs`
 */
export async function timeUntilLiveGoesOn(
  playlist: string,
  limitMs: number,
  fault: () => Promise<void>,
): Promise<number> {
  const newest = async () => (await fetchMedia(playlist).catch(() => null))?.segments.at(-1)?.msn ?? -1;
  const before = await newest();
  await fault();
  const from = performance.now();
  await until('two more live segments', limitMs, async () => (await newest()) >= before + 2);
  return performance.now() - from;
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Writes a rendition as one file: its init and all segments, in order. */
export async function saveRendition(playlist: string, path: string): Promise<Media> {
  const media = await fetchMedia(playlist);
  const [first] = media.segments;
  if (!first) throw new Error(`no segments in ${playlist}`);
  await writeFile(path, await fetchBytes(first.map));
  for (const segment of media.segments) await appendFile(path, await fetchBytes(segment.uri));
  return media;
}

/** Value of a counter on a role's private port, summed over its label sets that contain all `labels`. */
export async function readMetric(
  privateUrl: string,
  name: string,
  labels: Record<string, string> = {},
): Promise<number> {
  const text = await fetchText(`${privateUrl}/metrics`);
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (!Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`))) continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/**
 * Decodes every segment that a media playlist names and reads the burnt-in numbers, one list per stretch between discontinuities.
 * @param folder for the files
 */
export async function playlistNumbers(playlist: string, folder: string): Promise<number[][]> {
  const media = await fetchMedia(playlist);
  const stretches: MediaSegment[][] = [];
  for (const segment of media.segments) {
    if (segment.isGap) continue;
    const last = stretches.at(-1);
    if (last === undefined || last[0]?.map !== segment.map) stretches.push([segment]);
    else last.push(segment);
  }
  const numbers: number[][] = [];
  for (const [index, segments] of stretches.entries()) {
    const path = `${folder}/stretch-${index}.mp4`;
    await writeFile(path, await fetchBytes(segments[0]?.map ?? ''));
    for (const segment of segments) await appendFile(path, await fetchBytes(segment.uri));
    numbers.push(await readFrameNumbers(path));
  }
  return numbers;
}

/** Places where burnt-in numbers do not count up by one (they wrap at 2^14): `{index, from, to}`. */
export function breaksIn(numbers: readonly number[]): { index: number; from: number; to: number }[] {
  const breaks: { index: number; from: number; to: number }[] = [];
  for (let index = 1; index < numbers.length; index += 1) {
    const [from = 0, to = 0] = [numbers[index - 1], numbers[index]];
    if ((from + 1) % 2 ** FRAME_BITS !== to) breaks.push({ index, from, to });
  }
  return breaks;
}
