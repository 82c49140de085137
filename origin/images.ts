// Pictures: which object stands behind thumbnail.jpg, poster.jpg and the storyboard of an upload, a recording, a clip, a running stream.
import { isStored, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { imageKey, LIVE_PICTURES, livePictureKey, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord } from '../platform/contract/records.ts';
import { recordedDurationS } from '../platform/hls/recording.ts';
import { cutStoryboard, PICTURE_EVERY_S, pictureStep } from '../platform/hls/storyboard.ts';
import { MediaUnknown } from './errors.ts';
import type { Shown } from './playback.ts';
import { isRecorded, newestEpoch } from './playback-info.ts';
import type { LiveTails, Recording, Recordings } from './recordings.ts';
import { CACHE } from './replies.ts';

/** `cache` is a Cache-Control. */
export type ImageAnswer =
  | { key: ObjectKey; type: string; cache: string }
  /** Made here. */
  | { text: string; type: string; cache: string };

export interface Images {
  /** @param name as in the address: `thumbnail.jpg`, `storyboard.vtt`, ... @throws MediaUnknown StorageUnavailable */
  find(shown: Shown, name: string): Promise<ImageAnswer>;
}

export type ImagesDeps = { storage: Pick<ObjectStorage, 'head' | 'read'>; windows: LiveTails; recordings: Recordings };

/** Of the newest picture of a running stream. */
const LIVE_CACHE = 'public, max-age=5';
const JPEG = 'image/jpeg';
const VTT = 'text/vtt; charset=utf-8';
/** A worker that is busy leaves pictures out, and the newest may not be stored yet: so many places are tried. */
const MOST_TRIED = 3;

export function createImages(deps: ImagesDeps): Images {
  return {
    async find(shown, name) {
      if (shown.kind === 'stream') return await ofStream(deps, shown.broadcast, name);
      const { asset } = shown;
      if (isRecorded(asset)) return await ofRecorded(deps, asset, name);
      // A clip of an upload shares the upload's pictures; a storyboard would be of the whole.
      const isWhole = asset.range === null || !name.startsWith('storyboard');
      if (asset.images_writer === null || !isWhole) throw new MediaUnknown('picture yet');
      return { key: imageKey(asset.content_id, name, asset.images_writer), type: typeOf(name), cache: CACHE.image };
    },
  };
}

async function ofStream(deps: ImagesDeps, broadcast: BroadcastRecord | null, name: string): Promise<ImageAnswer> {
  if (broadcast === null || newestEpoch(broadcast) === null || name.startsWith('storyboard'))
    throw new MediaUnknown('picture yet');
  const { content_id: content } = broadcast;
  const { timeline } = await deps.windows.open(broadcast);
  const numbers = [...timeline.segments()].filter(({ isGap }) => !isGap).map(({ msn }) => msn);
  const newest = marked(numbers, broadcast).slice(-MOST_TRIED).reverse();
  const key = await firstStored(deps, [...newest.map((msn) => livePictureKey(content, msn)), posterKey(content)]);
  return { key, type: JPEG, cache: broadcast.status === 'ended' ? CACHE.image : LIVE_CACHE };
}

async function ofRecorded(deps: ImagesDeps, asset: AssetRecord, name: string): Promise<ImageAnswer> {
  const { content_id: content, range } = asset;
  if (name === 'storyboard.vtt' && range !== null) return await clippedStoryboard(deps, asset);
  if (name.startsWith('storyboard')) {
    return { key: imageKey(content, name, LIVE_PICTURES), type: typeOf(name), cache: CACHE.image };
  }
  const { broadcast, segments } = await deps.recordings.open(asset);
  const own = clipPlaces(
    segments.map(({ segment }) => segment.msn),
    broadcast,
  ).map((msn) => livePictureKey(content, msn));
  const keys = range === null ? [posterKey(content), ...own] : [...own, posterKey(content)];
  return { key: await firstStored(deps, keys), type: JPEG, cache: CACHE.image };
}

/** The first pictures at or after the start; else the one before it, which shows what leads into a short clip. */
function clipPlaces(numbers: readonly number[], broadcast: BroadcastRecord): number[] {
  const [first] = numbers;
  if (first === undefined) return [];
  const step = stepOf(broadcast);
  return [...marked(numbers, broadcast).slice(0, MOST_TRIED), Math.floor(first / step) * step, first];
}

/** Numbers whose segments should have a picture. */
const marked = (numbers: readonly number[], broadcast: BroadcastRecord): number[] =>
  numbers.filter((msn) => msn % stepOf(broadcast) === 0);
const stepOf = ({ epochs }: BroadcastRecord): number => pictureStep(epochs[0]?.target_duration ?? PICTURE_EVERY_S);
/** The first picture of a broadcast that is more than black. */
const posterKey = (content: ContentId): ObjectKey => imageKey(content, 'poster.jpg', LIVE_PICTURES);

/** The first of these that the store has. */
async function firstStored({ storage }: ImagesDeps, keys: readonly ObjectKey[]): Promise<ObjectKey> {
  for (const key of new Set(keys)) if (await isStored(storage, key)) return key;
  throw new MediaUnknown('picture yet');
}

/** The broadcast's storyboard, cut to a clip of it. */
async function clippedStoryboard(deps: ImagesDeps, asset: AssetRecord): Promise<ImageAnswer> {
  // It is there once the broadcast is over, and not before.
  const { body } = await deps.storage.read(imageKey(asset.content_id, 'storyboard.vtt', LIVE_PICTURES));
  const clip = await deps.recordings.open(asset);
  const whole = await deps.recordings.open({ ...asset, range: null });
  const text = cutStoryboard(body.toString('utf8'), offsetOf(clip, whole), recordedDurationS(clip.segments));
  return { text, type: VTT, cache: CACHE.image };
}

/** Where the clip begins in the whole recording. Unit: s. */
function offsetOf(clip: Recording, whole: Recording): number {
  const from = clip.segments[0]?.segment.msn ?? 0;
  return recordedDurationS(whole.segments.filter(({ segment }) => segment.msn < from));
}

const typeOf = (name: string): string => (name.endsWith('.vtt') ? VTT : JPEG);
