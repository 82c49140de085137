// Which picture stands behind a name, over a literal store.
import { expect, test } from 'vitest';
import { ObjectMissing } from '../platform/adapters/storage.ts';
import type { WriterTag } from '../platform/contract/ids.ts';
import { imageKey, livePictureKey, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import { segmentOfBlock } from '../platform/hls/live-timeline.ts';
import { recordedSegments } from '../platform/hls/recording.ts';
import {
  assetOf,
  BROADCAST,
  blockOf,
  broadcastOf,
  entriesOf,
  epochOf,
  LIVE_CONTENT,
  STREAM,
  streamOf,
  WRITER,
} from '../test/support/timelines.ts';
import { createImages } from './images.ts';
import type { Shown } from './playback.ts';

const LIVE = 'live' as WriterTag;
const poster = imageKey(LIVE_CONTENT, 'poster.jpg', LIVE);
const picture = (msn: number): ObjectKey => livePictureKey(LIVE_CONTENT, msn);

/** @param numbers of the segments on the timeline, first and last */
function build(stored: ObjectKey[], [from, to]: [number, number] = [0, 29], targetS = 2) {
  const heads: string[] = [];
  const broadcast = broadcastOf({ epochs: [{ ...epochOf(1, 0), target_duration: targetS }] });
  const all = blockOf(entriesOf(1, from, to)).segments.map((one) => segmentOfBlock(1, one));
  const images = createImages({
    storage: {
      async head(key) {
        heads.push(key);
        if (!stored.includes(key)) throw new ObjectMissing(key);
        return { bytes: 1, etag: '1', contentType: 'image/jpeg' } as never;
      },
      read: async () =>
        ({ body: Buffer.from('WEBVTT\n\n00:00:10.000 --> 00:00:20.000\nstoryboard-0.jpg#xywh=0,0,1,1\n') }) as never,
    },
    windows: { open: async () => ({ timeline: { segments: () => all } }) },
    recordings: {
      async open({ range }: AssetRecord) {
        const shown = all.filter(({ msn }) => range === null || (msn >= range.from_msn && msn <= range.to_msn));
        return { broadcast, segments: recordedSegments(shown, broadcast.epochs), renditions: [] };
      },
      media: async () => '',
    },
  });
  const stream: Shown = { kind: 'stream', policy: 'public', stream: streamOf(), broadcast };
  return { images, heads, stream, broadcast };
}

const shownAsset = (changes: Partial<AssetRecord>): Shown => ({
  kind: 'asset',
  policy: 'public',
  asset: assetOf(changes),
});
const recorded = (range: AssetRecord['range']): Shown =>
  shownAsset({
    content_id: LIVE_CONTENT,
    source: { type: 'live', stream_id: STREAM, broadcast_id: BROADCAST },
    renditions: [],
    range,
  });

test.each([
  { name: 'the newest', stored: [picture(5), picture(25), poster], expected: picture(25) },
  { name: 'an older one while the newest is not stored', stored: [picture(20), poster], expected: picture(20) },
  { name: 'the poster when the newest were left out', stored: [picture(5), poster], expected: poster },
])('a running stream: $name', async ({ stored, expected }) => {
  const { images, stream } = build(stored);
  expect(await images.find(stream, 'thumbnail.jpg')).toMatchObject({ key: expected, cache: 'public, max-age=5' });
});

test('a stream without a picture, a storyboard of a stream, a stream that never was: unknown', async () => {
  const { images, stream } = build([]);
  await expect(images.find(stream, 'thumbnail.jpg')).rejects.toMatchObject({ code: 'ORIGIN_MEDIA_UNKNOWN' });
  await expect(images.find(stream, 'storyboard.vtt')).rejects.toMatchObject({ code: 'ORIGIN_MEDIA_UNKNOWN' });
  const never = { ...stream, broadcast: null } as Shown;
  await expect(images.find(never, 'thumbnail.jpg')).rejects.toMatchObject({ code: 'ORIGIN_MEDIA_UNKNOWN' });
});

test('longer segments have a picture more often', async () => {
  const { images, stream, heads } = build([picture(8)], [0, 9], 5);
  expect(await images.find(stream, 'thumbnail.jpg')).toMatchObject({ key: picture(8) });
  expect(heads).toEqual([picture(8)]);
});

test.each([
  { name: 'at its start', range: [5, 12], stored: [picture(5), poster], expected: picture(5) },
  { name: 'after its start', range: [6, 12], stored: [picture(5), picture(10), poster], expected: picture(10) },
  { name: 'before a clip too short to have one', range: [6, 8], stored: [picture(5), poster], expected: picture(5) },
  { name: 'the poster, when all of those were left out', range: [6, 8], stored: [poster], expected: poster },
] as const)('a clip: $name', async ({ range: [from, to], stored, expected }) => {
  const { images } = build([...stored]);
  const found = await images.find(recorded({ from_msn: from, to_msn: to }), 'thumbnail.jpg');
  expect(found).toEqual({ key: expected, type: 'image/jpeg', cache: 'public, max-age=60' });
});

test('a recording: poster first, sheets and storyboard as the worker made them', async () => {
  const { images } = build([poster, picture(0)]);
  expect(await images.find(recorded(null), 'thumbnail.jpg')).toMatchObject({ key: poster });
  expect(await images.find(recorded(null), 'storyboard-3.jpg')).toMatchObject({
    key: imageKey(LIVE_CONTENT, 'storyboard-3.jpg', LIVE),
    type: 'image/jpeg',
  });
  expect(await images.find(recorded(null), 'storyboard.vtt')).toMatchObject({
    key: imageKey(LIVE_CONTENT, 'storyboard.vtt', LIVE),
    type: 'text/vtt; charset=utf-8',
  });
});

test('a clip’s storyboard is cut to it', async () => {
  const { images } = build([]);
  expect(await images.find(recorded({ from_msn: 7, to_msn: 8 }), 'storyboard.vtt')).toMatchObject({
    text: 'WEBVTT\n\n00:00:00.000 --> 00:00:04.000\nstoryboard-0.jpg#xywh=0,0,1,1\n',
  });
});

test('an upload: what its worker cut; a clip of one has its poster, and no storyboard', async () => {
  const { images } = build([]);
  const key = imageKey(assetOf().content_id, 'poster.jpg', WRITER);
  expect(await images.find(shownAsset({}), 'poster.jpg')).toMatchObject({ key });
  expect(await images.find(shownAsset({ range: { from_msn: 1, to_msn: 2 } }), 'poster.jpg')).toMatchObject({ key });
  const nothing = { code: 'ORIGIN_MEDIA_UNKNOWN' };
  await expect(images.find(shownAsset({ range: { from_msn: 1, to_msn: 2 } }), 'storyboard.vtt')).rejects.toMatchObject(
    nothing,
  );
  await expect(images.find(shownAsset({ images_writer: null }), 'poster.jpg')).rejects.toMatchObject(nothing);
});
