// From ffmpeg's output to objects: each segment is stored before anything names it, the rendition's table last.
import { createHash } from 'node:crypto';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, WriterTag } from '../platform/contract/ids.ts';
import { initKey, renditionIndexKey, segmentKey } from '../platform/contract/object-keys.ts';
import type { StoredRendition } from '../platform/contract/records.ts';
import type { RenditionIndex } from '../platform/contract/timeline.ts';
import { MediaRefused } from './errors.ts';
import { TIME_OFFSET_S } from './ffmpeg-args.ts';
import { putImmutable } from './immutable-put.ts';
import { type Segment, Segmenter } from './segmenter.ts';
import type { RenditionPlan } from './vod-plan.ts';

/** What the packager needs of the store. */
export type MediaStore = Pick<ObjectStorage, 'put'>;

/** Who stores, and under which timeline: new for each attempt, so no two attempts share a key. */
export type Attempt = { content: ContentId; epoch: number; writer: WriterTag };

export type PackageOptions = {
  attempt: Attempt;
  plan: RenditionPlan;
  store: MediaStore;
  signal: AbortSignal;
  /** Called after each stored segment. @param endS media time stored so far, seconds */
  onStored: (endS: number) => void;
};

/**
 * Stores one rendition from its CMAF stream.
 * @returns its entry for the asset record, not yet written there
 * @throws MediaRefused when the stream holds no frames; StorageUnavailable; what the stream throws
 */
export async function packageRendition(stream: AsyncIterable<Uint8Array>, o: PackageOptions): Promise<StoredRendition> {
  const { attempt, plan, store, signal } = o;
  const media = { contentType: `${plan.kind}/mp4`, signal };
  const segmenter = new Segmenter(plan.grid, TIME_OFFSET_S);
  const rows: RenditionIndex['segments'] = [];
  const storeSegment = async (segment: Segment) => {
    const { msn, tfdt, duration, bytes } = segment;
    await putImmutable(store, segmentKey({ ...attempt, rendition: plan.name, msn }), bytes, media);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    rows.push({ msn, tfdt, duration, bytes: bytes.length, sha256 });
  };
  let hasInit = false;
  const storeInit = async () => {
    if (hasInit || segmenter.init === null) return;
    hasInit = true;
    await putImmutable(store, initKey({ ...attempt, rendition: plan.name }), segmenter.init.bytes, media);
  };
  for await (const chunk of stream) {
    const finished = segmenter.push(chunk);
    await storeInit();
    for (const segment of finished) await storeSegment(segment);
    o.onStored(segmenter.endS);
  }
  for (const segment of segmenter.end()) await storeSegment(segment);
  const init = segmenter.init;
  if (init === null || rows.length === 0) {
    throw new MediaRefused('MALFORMED', `no ${plan.kind} frame of the file could be decoded`);
  }
  const { entry, index } = describe(attempt, plan, init.info, rows);
  const key = renditionIndexKey(attempt.content, plan.name, attempt.writer);
  await putImmutable(store, key, Buffer.from(JSON.stringify(index)), { signal });
  return { ...entry, bytes: entry.bytes + init.bytes.length };
}

type InitInfo = NonNullable<Segmenter['init']>['info'];

/** Entry and table of a rendition from its segments. */
function describe(attempt: Attempt, plan: RenditionPlan, init: InitInfo, rows: RenditionIndex['segments']) {
  const { timescale } = init;
  const ticks = rows.reduce((sum, row) => sum + row.duration, 0);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  const bitrateOf = (size: number, duration: number) => Math.ceil((size * 8 * timescale) / Math.max(1, duration));
  // A tail of a few frames says nothing about the rate that a player has to keep up with.
  const whole = rows.filter((row) => row.duration >= timescale);
  const peak = Math.max(...(whole.length > 0 ? whole : rows).map((row) => bitrateOf(row.bytes, row.duration)));
  const target = Math.max(1, ...rows.map((row) => Math.round(row.duration / timescale)));
  const entry: StoredRendition = {
    name: plan.name,
    kind: plan.kind,
    codecs: init.codecs,
    width: init.width,
    height: init.height,
    frame_rate: plan.kind === 'video' ? Number((plan.rate.num / plan.rate.den).toFixed(3)) : null,
    channels: init.channels,
    bandwidth: peak,
    average_bandwidth: bitrateOf(bytes, ticks),
    timescale,
    epoch: attempt.epoch,
    writer: attempt.writer,
    segments: rows.length,
    duration_s: ticks / timescale,
    bytes,
    target_duration: target,
  };
  const index: RenditionIndex = {
    version: 1,
    rendition: plan.name,
    epoch: attempt.epoch,
    writer: attempt.writer,
    timescale,
    target_duration: target,
    segments: rows,
  };
  return { entry, index };
}
