// The recorder with the order of things forced: what it makes, and what it undoes when it came too late.
import { describe, expect, test } from 'vitest';
import { createApiParts } from '../test/support/api-parts.ts';
import { recordedBroadcast, storeMedia } from '../test/support/recorded-broadcast.ts';
import { sampleStream } from '../test/support/sample-records.ts';
import { removeParts } from './part-removal.ts';
import { titleOf } from './recordings.ts';

describe('titles', () => {
  const began = Date.UTC(2026, 10, 21, 20, 5, 9);
  const settings = { playback_policies: ['public' as const], title: 'Weekly', description: '' };
  test.each([
    ['as set for the assets', sampleStream({ title: 'Show', new_asset_settings: settings }), 'Weekly'],
    ['the stream’s with the time', sampleStream({ title: 'Show' }), 'Show, 2026-11-21 20:05 UTC'],
    ['of a stream without one', sampleStream({ title: '' }), 'Live stream, 2026-11-21 20:05 UTC'],
    ['of a stream that is gone', null, 'Live stream, 2026-11-21 20:05 UTC'],
  ])('%s', (_name, stream, expected) => expect(titleOf(stream, began)).toBe(expected));
});

test('a recording of a stream that is gone takes a token', async () => {
  const parts = createApiParts();
  const { broadcast, stream } = await recordedBroadcast(parts, { segments: 2 });
  await parts.records.remove('stream', stream.id);
  expect(await parts.recordings.record(broadcast)).toBe(true);
  const asset = (await parts.records.get('asset', broadcast.asset_id ?? ''))?.value;
  expect(asset?.playback_ids).toMatchObject([{ policy: 'signed' }]);
});

test('the reason of a fault is the reason that there is no media', async () => {
  const parts = createApiParts();
  const fault = { type: 'GOP_OUT_OF_RANGE', messages: ['key frames are 12 s apart'] };
  const { broadcast } = await recordedBroadcast(parts, { segments: 0, broadcast: { fault } });
  await parts.recordings.record(broadcast);
  const asset = (await parts.records.get('asset', broadcast.asset_id ?? ''))?.value;
  expect(asset).toMatchObject({ status: 'errored', errors: { type: 'NO_MEDIA', messages: fault.messages } });
});

test.each(['live', 'ending'] as const)('a broadcast that is %s has none yet', async (status) => {
  const parts = createApiParts();
  const { broadcast } = await recordedBroadcast(parts, { segments: 2, broadcast: { status } });
  expect(await parts.recordings.record(broadcast)).toBe(false);
  expect((await parts.records.list('asset', { limit: 9, cursor: null })).values).toEqual([]);
});

test('made and deleted while this process slept between two steps: it stays deleted', async () => {
  const parts = createApiParts();
  const { broadcast } = await recordedBroadcast(parts, { segments: 2 });
  const create = parts.records.create.bind(parts.records);
  let isFirst = true;
  parts.records.create = async (kind, value) => {
    if (kind === 'asset' && isFirst) {
      isFirst = false;
      await parts.recordings.record(broadcast);
      if (broadcast.asset_id !== null) await parts.assets.remove(broadcast.asset_id);
    }
    return create(kind, value);
  };
  expect(await parts.recordings.record(broadcast)).toBe(false);
  expect((await parts.records.list('asset', { limit: 9, cursor: null })).values).toEqual([]);
  const content = (await parts.records.get('content', broadcast.content_id))?.value;
  expect(content?.holders).toEqual([broadcast.id]);
});

test('deleted between two steps, its holder still to leave: it stays deleted, and the holder goes', async () => {
  const parts = createApiParts();
  const { broadcast } = await recordedBroadcast(parts, { segments: 2 });
  const create = parts.records.create.bind(parts.records);
  parts.records.create = async (kind, value) => {
    if (kind === 'asset')
      await parts.records.update('broadcast', broadcast.id, (b) =>
        b.asset_id === null ? null : { ...b, asset_id: null },
      );
    return create(kind, value);
  };
  expect(await parts.recordings.record(broadcast)).toBe(false);
  expect((await parts.records.list('asset', { limit: 9, cursor: null })).values).toEqual([]);
  expect((await parts.records.get('content', broadcast.content_id))?.value.holders).toEqual([broadcast.id]);
});

test('content that is leaving is not recorded', async () => {
  const parts = createApiParts();
  const { broadcast } = await recordedBroadcast(parts, { segments: 2 });
  await parts.records.update('content', broadcast.content_id, (c) => ({ ...c, status: 'deleting', holders: [] }));
  parts.records.create = () => Promise.reject(new Error('nothing may be created'));
  expect(await parts.recordings.record(broadcast)).toBe(false);
  expect((await parts.records.list('asset', { limit: 9, cursor: null })).values).toEqual([]);
});

test('parts go in rounds of a limited number; segments, inits and pictures stay', async () => {
  const parts = createApiParts();
  const { broadcast } = await recordedBroadcast(parts, { segments: 3 });
  await storeMedia(parts.storage, broadcast, 3);
  const dropped: string[] = [];
  const deps = { ...parts, removeTimeline: async (content: string) => void dropped.push(content) };
  const left = () => [...parts.storage.objects.keys()].filter((key) => /\/p\d+\./.test(key)).length;
  const others = parts.storage.objects.size - left();
  expect(left()).toBe(12);
  expect(await removeParts(deps, broadcast, 7)).toBe(false);
  expect([left(), dropped.length]).toEqual([5, 0]);
  expect(await removeParts(deps, broadcast, 7)).toBe(true);
  expect([left(), dropped]).toEqual([0, [broadcast.content_id]]);
  expect(parts.storage.objects.size).toBe(others);
  expect((await parts.records.get('broadcast', broadcast.id))?.value.parts_removed_at).toBeDefined();
});
