// The steps of one upload's transcode, in order, on a source that lies in the job's folder: look, plan, make renditions, take pictures.
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { ContentId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import { imageKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord, StoredRendition } from '../platform/contract/records.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { MediaRefused } from './errors.ts';
import { audioArgs, pictureSize, SOURCE_FILE, videoArgs } from './ffmpeg-args.ts';
import { type FfmpegJob, probe, takePicture, transcode } from './ffmpeg-jobs.ts';
import { type Attempt, type MediaStore, packageRendition } from './packager.ts';
import { readSource, type SourceInfo } from './probe.ts';
import type { ProcessLimits, Sandbox } from './sandbox.ts';
import type { JobFolder } from './scratch.ts';
import { sniffContainer } from './sniff.ts';
import type { RenditionPlan } from './vod-plan.ts';

/** Longest wall clock of one ffmpeg run: a base, and a factor for slow machines. Unit: s. */
const BASE_LIMIT_S = 180;
const LIMIT_FACTOR = 40;
/** For sources that do not say how long they are. */
const UNKNOWN_DURATION_S = 1_800;

const wallLimitS = (durationS: number): number =>
  BASE_LIMIT_S + LIMIT_FACTOR * (durationS > 0 ? durationS : UNKNOWN_DURATION_S);

const processLimits = (durationS: number, threads: number): ProcessLimits => ({
  memoryBytes: 6 * 1024 ** 3,
  cpuS: wallLimitS(durationS) * (threads + 1),
  fileBytes: 64 * 1024 ** 2,
  openFiles: 128,
});

/** Threads of one ffmpeg: the machine's, shared by the jobs it runs at a time. */
export const threadsFor = (jobs: number): number =>
  Math.max(1, Math.min(8, Math.floor(availableParallelism() / Math.max(1, jobs))));

export type Source = { job: FfmpegJob; info: SourceInfo; container: string; bytes: number };

/**
 * Confines and probes the file.
 * @param head first bytes of the file
 * @throws MediaRefused
 */
export async function examine(sandbox: Sandbox, folder: JobFolder, head: Buffer, threads: number): Promise<Source> {
  const container = sniffContainer(head);
  if (container === null) {
    throw new MediaRefused('NON_VIDEO', 'the file is not a video or audio file of a known kind');
  }
  const { size: bytes } = await stat(join(folder.files, SOURCE_FILE));
  const confine = (durationS: number) =>
    sandbox.confine(folder.scripts, folder.files, processLimits(durationS, threads));
  const probing: FfmpegJob = { programs: await confine(0), container, threads };
  const info = readSource(await probe(probing), bytes);
  const job: FfmpegJob = { ...probing, programs: await confine(info.durationS) };
  return { job, info, container: container.name, bytes };
}

/** What the record keeps of the probe. */
export function inputInfo({ info, container, bytes }: Source): AssetRecord['input'] {
  const { video, audio } = info;
  return {
    container,
    bytes,
    duration_s: info.durationS,
    video:
      video === null
        ? null
        : {
            codec: video.codec,
            width: video.width,
            height: video.height,
            frame_rate: Number((video.fps ?? 0).toFixed(3)),
          },
    audio: audio === null ? null : { codec: audio.codec, sample_rate: audio.sampleRate, channels: audio.channels },
  };
}

/** Containers whose headers state true durations, so that less media than stated means a file that was cut off. */
const EXACT_CONTAINERS = new Set(['mp4', 'matroska', 'avi']);
const isShort = (madeS: number, statedS: number): boolean => madeS < 0.95 * statedS - 0.5;

const cutOff = (madeS: number, statedS: number): MediaRefused =>
  new MediaRefused(
    'MALFORMED',
    `the file is cut off or damaged: only ${madeS.toFixed(1)} of ${statedS.toFixed(1)} s could be decoded`,
  );

/** @throws MediaRefused when all renditions together end long before the file says it does */
export function checkLength(source: Source, renditions: readonly StoredRendition[]): void {
  const madeS = Math.max(0, ...renditions.map((entry) => entry.duration_s));
  if (EXACT_CONTAINERS.has(source.container) && isShort(madeS, source.info.durationS)) {
    throw cutOff(madeS, source.info.durationS);
  }
}

export type RenditionOptions = {
  preset: string;
  attempt: Attempt;
  store: MediaStore;
  signal: AbortSignal;
  /** @param fraction of this rendition, 0 to 1 */
  onProgress: (fraction: number) => void;
};

/**
 * Transcodes and stores one rendition.
 * @returns its entry for the record
 * @throws MediaRefused FfmpegFailed StorageUnavailable, or the signal's reason
 */
export async function makeRendition(
  source: Source,
  plan: RenditionPlan,
  o: RenditionOptions,
): Promise<StoredRendition> {
  const { job, info } = source;
  const isVideo = plan.kind === 'video';
  const stream = transcode(job, {
    outputArgs: plan.kind === 'video' ? videoArgs(plan, o.preset, job.threads) : audioArgs(plan),
    isVideo,
    limitMs: wallLimitS(info.durationS) * 1_000,
    signal: o.signal,
  });
  const { attempt, store, signal } = o;
  const onStored = (endS: number) => o.onProgress(info.durationS > 0 ? endS / info.durationS : 0);
  const entry = await packageRendition(stream, { attempt, plan, store, signal, onStored });
  const statedS = plan.kind === 'video' ? plan.source.durationS : null;
  if (statedS !== null && EXACT_CONTAINERS.has(source.container) && isShort(entry.duration_s, statedS)) {
    throw cutOff(entry.duration_s, statedS);
  }
  return entry;
}

/** Shorter sides of the two pictures. Unit: pixels. */
const PICTURES: readonly { name: string; shortSide: number }[] = [
  { name: 'poster.jpg', shortSide: 720 },
  { name: 'thumbnail.jpg', shortSide: 180 },
];

/**
 * Stores poster.jpg and thumbnail.jpg, taken a tenth into the film (not its first frame, which is often black), at most 10 s in.
 * @returns bytes of both, or null when the source shows no picture
 * @throws StorageUnavailable, or the signal's reason
 */
export async function makeImages(
  source: Source,
  content: ContentId,
  writer: WriterTag,
  o: { store: MediaStore; signal: AbortSignal; log: Logger },
): Promise<number | null> {
  const { video, durationS } = source.info;
  if (video === null) return null;
  let bytes = 0;
  for (const { name, shortSide } of PICTURES) {
    const size = pictureSize(video.width, video.height, shortSide);
    const atS = Math.min(10, durationS / 10);
    const take = (second: number) =>
      takePicture(source.job, { streamIndex: video.index, ...size, atS: second }, o.signal).catch((thrown: unknown) => {
        o.signal.throwIfAborted();
        o.log.warn('picture not taken', { name, second, err: thrown });
        return null;
      });
    const picture = (await take(atS)) ?? (await take(0));
    if (picture === null) return null;
    const options = { bytes: picture.length, contentType: 'image/jpeg', signal: o.signal };
    await o.store.put(imageKey(content, name, writer), picture, options);
    bytes += picture.length;
  }
  return bytes;
}

/** Renditions that no attempt has finished yet. */
export const missingOf = (plans: readonly RenditionPlan[], asset: AssetRecord): RenditionPlan[] => {
  const have = new Set<RenditionName>(asset.renditions.map((entry) => entry.name));
  return plans.filter((plan) => !have.has(plan.name));
};
