// What recordings read and keep, over literal blocks and records.
import { expect, test } from 'vitest';
import type { BroadcastId } from '../platform/contract/ids.ts';
import type { AssetRecord, BroadcastRecord } from '../platform/contract/records.ts';
import type { IndexBlock } from '../platform/contract/timeline.ts';
import { segmentOfBlock } from '../platform/hls/live-timeline.ts';
import {
  A0,
  assetOf,
  BROADCAST,
  blockOf,
  broadcastOf,
  entriesOf,
  epochOf,
  LIVE_CONTENT,
  STREAM,
  V360,
} from '../test/support/timelines.ts';
import { createRecordings } from './recordings.ts';

const blocks = [blockOf(entriesOf(1, 0, 29)), blockOf(entriesOf(1, 30, 59)), blockOf(entriesOf(1, 60, 64))];

function build(broadcast: BroadcastRecord | null) {
  const world = {
    broadcast,
    /** What the directory answers until it is asked to read anew. */
    stale: broadcast,
    blocks,
    /** Newer than the blocks: what the live window holds. */
    tail: [] as IndexBlock[],
    reads: [] as number[],
    isAway: false,
  };
  const recordings = createRecordings({
    directory: {
      broadcast: async () => world.stale,
      broadcastNow: async (_id: BroadcastId) => {
        world.stale = world.broadcast;
        return world.broadcast;
      },
    },
    blocks: {
      async places() {
        if (world.isAway) throw new Error('away');
        return world.blocks.map(({ epoch, first_msn }) => ({ epoch, msn: first_msn }));
      },
      async read(_content, { msn }) {
        world.reads.push(msn);
        const block = world.blocks.find(({ first_msn }) => first_msn === msn);
        if (block === undefined) throw new Error('no block');
        return block;
      },
    },
    windows: {
      async open() {
        const segments = world.tail.flatMap((block) => block.segments.map((one) => segmentOfBlock(block.epoch, one)));
        return { timeline: { segments: () => segments } };
      },
    },
  });
  return { world, recordings };
}

const ended = broadcastOf({ status: 'ended', ingest: null });
const recording = (changes: Partial<AssetRecord> = {}): AssetRecord =>
  assetOf({
    content_id: LIVE_CONTENT,
    source: { type: 'live', stream_id: STREAM, broadcast_id: BROADCAST },
    planned: [],
    renditions: [],
    ...changes,
  });
const clip = (from: number, to: number): AssetRecord => recording({ range: { from_msn: from, to_msn: to } });

test('a recording is read once, whatever is asked of it', async () => {
  const { world, recordings } = build(ended);
  expect((await recordings.open(recording())).renditions.map(({ name }) => name)).toEqual([V360, A0]);
  const text = await recordings.media(recording(), V360);
  expect(await recordings.media(recording(), V360)).toBe(text);
  expect((await recordings.open(recording())).segments).toHaveLength(65);
  expect(world.reads).toEqual([0, 30, 60]);
  await expect(recordings.media(recording(), 'v720' as typeof V360)).rejects.toThrow('rendition');
});

test('a clip reads only the blocks that it touches', async () => {
  const { world, recordings } = build(ended);
  const { segments } = await recordings.open(clip(31, 40));
  expect(segments.map(({ segment }) => segment.msn)).toEqual([31, 32, 33, 34, 35, 36, 37, 38, 39, 40]);
  expect(world.reads).toEqual([30]);
  await recordings.open(clip(29, 30));
  expect(world.reads).toEqual([30, 0, 30]);
});

test('the whole of a broadcast that is on the air is not there yet; a record that was just old is read anew', async () => {
  const { world, recordings } = build(broadcastOf());
  await expect(recordings.open(recording())).rejects.toMatchObject({ code: 'ORIGIN_MEDIA_PENDING' });
  world.broadcast = ended;
  expect((await recordings.open(recording())).segments).toHaveLength(65);
});

test('a clip of a running live takes its end from the window; one that reaches further waits', async () => {
  const { world, recordings } = build(broadcastOf());
  world.tail = [blockOf(entriesOf(1, 50, 70))];
  const { segments } = await recordings.open(clip(62, 68));
  expect(segments.map(({ segment }) => segment.msn)).toEqual([62, 63, 64, 65, 66, 67, 68]);
  await expect(recordings.open(clip(62, 71))).rejects.toMatchObject({ code: 'ORIGIN_MEDIA_PENDING' });
  world.tail = [blockOf(entriesOf(1, 50, 71))];
  expect((await recordings.open(clip(62, 71))).segments).toHaveLength(10);
});

test('a segment of an epoch that the record held here does not name: the record is read anew', async () => {
  const { world, recordings } = build(ended);
  world.blocks = [...blocks, blockOf(entriesOf(2, 65, 66))];
  world.broadcast = { ...ended, epochs: [epochOf(1, 0), epochOf(2, 65)] };
  expect((await recordings.open(recording())).segments).toHaveLength(67);
});

test('nothing kept: no renditions. No broadcast: unknown. A failure is not kept', async () => {
  const nothing = build(ended);
  nothing.world.blocks = [];
  expect((await nothing.recordings.open(recording())).renditions).toEqual([]);
  await expect(build(null).recordings.open(recording())).rejects.toMatchObject({ code: 'ORIGIN_MEDIA_UNKNOWN' });
  const { world, recordings } = build(ended);
  world.isAway = true;
  await expect(recordings.open(recording())).rejects.toThrow('away');
  world.isAway = false;
  expect((await recordings.open(recording())).segments).toHaveLength(65);
});
