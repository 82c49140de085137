// Who may write an asset's record, and what failures mean: on records in memory.
import { describe, expect, it } from 'vitest';
import {
  type AssetId,
  contentOf,
  newId,
  type RenditionName,
  type UploadId,
  type WriterTag,
} from '../platform/contract/ids.ts';
import { imageKey, initKey, renditionIndexKey, segmentKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord, StoredRendition } from '../platform/contract/records.ts';
import { FfmpegFailed, MediaRefused, OwnershipLost } from './errors.ts';
import { explainFailure } from './ffmpeg-jobs.ts';
import { isNamed } from './vod-objects.ts';
import { AssetOwner, type AssetRecords, whyIdle } from './vod-owner.ts';

const id = newId<AssetId>();
const writer = 'writer0001' as WriterTag;
const rendition = (name: string, seconds: number): StoredRendition => ({
  name: name as RenditionName,
  kind: 'video',
  codecs: 'avc1.64001f',
  width: 1,
  height: 1,
  frame_rate: 25,
  channels: null,
  bandwidth: 1,
  average_bandwidth: 1,
  timescale: 1,
  epoch: 3,
  writer,
  segments: 1,
  duration_s: seconds,
  bytes: 100,
  target_duration: 6,
});
const assetOf = (changes: Partial<AssetRecord> = {}): AssetRecord => ({
  version: 1,
  id,
  status: 'preparing',
  created_at: 0,
  updated_at: 0,
  title: '',
  description: '',
  playback_ids: [],
  content_id: contentOf(id),
  source: { type: 'upload', upload_id: newId<UploadId>(), complete: true },
  term: 2,
  cancel_requested: false,
  errors: null,
  input: null,
  planned: [],
  renditions: [],
  images_writer: null,
  range: null,
  duration_s: null,
  size_bytes: null,
  ...changes,
});

/** One asset record in memory. */
function shelf(first: AssetRecord | null) {
  const held = { asset: first };
  const records = {
    get: async () => (held.asset === null ? null : { value: held.asset, etag: 'e' }),
    update: async (_kind: string, _id: string, change: (asset: AssetRecord) => AssetRecord | null) => {
      if (held.asset === null) return null;
      held.asset = change(held.asset) ?? held.asset;
      return { value: held.asset, etag: 'e' };
    },
  } as unknown as AssetRecords;
  return { held, records, events: { publish: async () => undefined } };
}

const take = async (s: ReturnType<typeof shelf>): Promise<AssetOwner> => {
  const taken = await AssetOwner.take(id, s.records, s.events);
  if ('idle' in taken) throw new Error(taken.idle);
  return taken.owner;
};

describe('AssetOwner', () => {
  it('raises the term when it takes the asset', async () => {
    const s = shelf(assetOf());
    expect((await take(s)).term).toBe(3);
    expect(s.held.asset?.term).toBe(3);
  });

  it.each([
    ['gone', null],
    ['ready', assetOf({ status: 'ready' })],
    ['being deleted', assetOf({ status: 'deleting' })],
    ['not complete', assetOf({ source: { type: 'upload', upload_id: newId<UploadId>(), complete: false } })],
  ])('does not take an asset that is %s', async (_name, asset) => {
    const s = shelf(asset);
    expect(whyIdle(asset)).not.toBeNull();
    expect(await AssetOwner.take(id, s.records, s.events)).toHaveProperty('idle');
    expect(s.held.asset).toEqual(asset);
  });

  it.each([
    ['a newer term', { term: 9 }],
    ['a deletion', { status: 'deleting' as const }],
    ['readiness by another', { status: 'ready' as const }],
  ])('changes nothing after %s', async (_name, changes) => {
    const s = shelf(assetOf());
    const owner = await take(s);
    s.held.asset = { ...assetOf({ term: 3 }), ...changes };
    const before = s.held.asset;
    await expect(owner.addRendition(rendition('v240', 5))).rejects.toThrow(OwnershipLost);
    await expect(owner.finish(0)).rejects.toThrow(OwnershipLost);
    await expect(owner.fail({ type: 'UNKNOWN', messages: [] })).rejects.toThrow(OwnershipLost);
    await expect(owner.verify()).rejects.toThrow(OwnershipLost);
    expect(s.held.asset).toEqual(before);
  });

  it('stops at a cancel, and may still record it', async () => {
    const s = shelf(assetOf());
    const owner = await take(s);
    s.held.asset = assetOf({ term: 3, cancel_requested: true });
    await expect(owner.addRendition(rendition('v240', 5))).rejects.toThrow(MediaRefused);
    await owner.fail({ type: 'CANCELLED', messages: ['so'] });
    expect(s.held.asset).toMatchObject({ status: 'errored', errors: { type: 'CANCELLED' }, renditions: [] });
  });

  it('makes the asset ready with the longest length and all bytes', async () => {
    const s = shelf(assetOf());
    const owner = await take(s);
    await owner.addRendition(rendition('a0', 5.1));
    await owner.addRendition(rendition('v240', 5));
    await owner.addRendition(rendition('v240', 5));
    await owner.finish(7);
    expect(s.held.asset).toMatchObject({ status: 'ready', duration_s: 5.1, size_bytes: 207 });
    expect(s.held.asset?.renditions).toHaveLength(2);
  });
});

describe('isNamed', () => {
  const asset = assetOf({ renditions: [rendition('v240', 5)], images_writer: writer });
  const content = asset.content_id;
  const name = 'v240' as RenditionName;
  const other = 'writer0002' as WriterTag;
  it.each([
    ['a segment', segmentKey({ content, rendition: name, epoch: 3, msn: 0, writer }), true],
    ['the init part', initKey({ content, rendition: name, epoch: 3 }), true],
    ['the table', renditionIndexKey(content, name, writer), true],
    ['a picture', imageKey(content, 'poster.jpg', writer), true],
    ['a segment of another attempt', segmentKey({ content, rendition: name, epoch: 30, msn: 0, writer }), false],
    ['a table of another attempt', renditionIndexKey(content, name, other), false],
    ['a picture of another attempt', imageKey(content, 'poster.jpg', other), false],
  ])('%s: %s', (_name, key, expected) => {
    expect(isNamed(asset, key)).toBe(expected);
  });
});

describe('explainFailure', () => {
  it.each([
    ['source: Invalid data found when processing input', 'MALFORMED'],
    ['[mov] moov atom not found', 'MALFORMED'],
    ["Format not on whitelist 'mov'", 'MALFORMED'],
    ['Decoder (codec av1) not found for input stream #0:0', 'UNSUPPORTED_VIDEO'],
  ])('takes "%s" for a fault of the file', (message, type) => {
    expect(explainFailure('x', message)).toMatchObject({ type, retryable: false });
  });
  it.each(['Cannot allocate memory', 'ffmpeg was killed with signal SIGKILL', ''])(
    'tries again after "%s"',
    (message) => {
      const error = explainFailure('transcode the source', message);
      expect(error).toBeInstanceOf(FfmpegFailed);
      expect(error.retryable).toBe(true);
    },
  );
});
