// A broadcast that was recorded, as its worker leaves it: record, content, index blocks, and objects where a test wants to see them go.
import type { Records } from '../../platform/adapters/records.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { type AssetId, newId, type StreamId } from '../../platform/contract/ids.ts';
import { imageKey, indexBlockKey, type ObjectKey, partKey, segmentKey } from '../../platform/contract/object-keys.ts';
import type { BroadcastRecord, StreamRecord } from '../../platform/contract/records.ts';
import type { IndexBlock } from '../../platform/contract/timeline.ts';
import { sampleBroadcast, sampleContent, sampleStream } from './sample-records.ts';
import { A0, epochOf, pdtOf, V360, WRITER } from './timelines.ts';

export type RecordedPlan = {
  /** Segments of 2 s each. */
  segments: number;
  /** Segments in which nobody published. */
  gaps?: number[];
  /** Segments in index blocks; default: all. */
  inBlocks?: number;
  broadcast?: Partial<BroadcastRecord>;
  stream?: Partial<StreamRecord>;
};
type Stores = { records: Pick<Records, 'create'>; storage: Pick<ObjectStorage, 'put'> };

/** Bytes of each rendition's segment. */
export const SEGMENT_BYTES = 1_000;

/** Index block of segments `from` to `to`, both included, of epoch 1. */
export function blockOf(from: number, to: number, gaps: number[] = []): IndexBlock {
  const segments = Array.from({ length: to - from + 1 }, (_none, at) => {
    const msn = from + at;
    const gap = gaps.includes(msn);
    const rendition = (timescale: number) => ({
      writer: WRITER,
      bytes: SEGMENT_BYTES,
      sha256: '00',
      duration: 2 * timescale,
      tfdt: msn * 2 * timescale,
    });
    const renditions = gap ? {} : { [V360]: rendition(90_000), [A0]: rendition(48_000) };
    return { msn, pdt: pdtOf(msn), gap, last_part: 3, term: 1, renditions };
  });
  return { version: 2, epoch: 1, first_msn: from, last_msn: to, segments };
}

const put = (storage: Stores['storage'], key: ObjectKey, body: Buffer) =>
  storage.put(key, body, { bytes: body.length, contentType: 'application/octet-stream' });

/** Stores blocks of 30 segments at most. */
async function storeBlocks({ storage }: Stores, broadcast: BroadcastRecord, plan: RecordedPlan): Promise<void> {
  const count = plan.inBlocks ?? plan.segments;
  for (let from = 0; from < count; from += 30) {
    const block = blockOf(from, Math.min(count, from + 30) - 1, plan.gaps);
    await put(storage, indexBlockKey(broadcast.content_id, 1, from), Buffer.from(JSON.stringify(block)));
  }
}

/**
 * A stream whose last broadcast has ended just now, with a recording to come (asset_id).
 * @returns the records as they are stored
 */
export async function recordedBroadcast(
  stores: Stores,
  plan: RecordedPlan,
): Promise<{ broadcast: BroadcastRecord; stream: StreamRecord }> {
  const stream = sampleStream({ title: 'Concert', ...plan.stream });
  const broadcast = sampleBroadcast({
    stream_id: stream.id as StreamId,
    status: 'ended',
    created_at: pdtOf(0),
    ended_at: Date.now(),
    asset_id: newId<AssetId>(),
    term: 1,
    epochs: [epochOf(1, 0)],
    ...plan.broadcast,
  });
  await storeBlocks(stores, broadcast, plan);
  await stores.records.create('content', sampleContent({ id: broadcast.content_id, holders: [broadcast.id] }));
  await stores.records.create('broadcast', broadcast);
  await stores.records.create('stream', { ...stream, broadcast_id: broadcast.id });
  return { broadcast, stream: { ...stream, broadcast_id: broadcast.id } };
}

/** One segment and two parts of each rendition per number, and a storyboard. */
export async function storeMedia(
  storage: Stores['storage'],
  { content_id: content }: BroadcastRecord,
  segments: number,
): Promise<void> {
  for (let msn = 0; msn < segments; msn += 1) {
    for (const rendition of [V360, A0]) {
      const ref = { content, rendition, epoch: 1, msn, writer: WRITER };
      await put(storage, segmentKey(ref), Buffer.from('segment'));
      for (const part of [0, 1]) await put(storage, partKey({ ...ref, part }), Buffer.from('part'));
    }
  }
  await put(storage, imageKey(content, 'storyboard.vtt', 'live' as typeof WRITER), Buffer.from('WEBVTT'));
}
