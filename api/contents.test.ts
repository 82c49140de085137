// Holders of a content, with the order of two writers forced: no object goes under a holder, none stays without one.
import { expect, test } from 'vitest';
import type { AssetId, BroadcastId, ContentId } from '../platform/contract/ids.ts';
import { indexPrefix, mediaPrefix, type ObjectKey } from '../platform/contract/object-keys.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { memoryRecords, memoryStorage } from '../test/support/api-parts.ts';
import { sampleBroadcast, sampleContent } from '../test/support/sample-records.ts';
import { createContents } from './contents.ts';

const CONTENT = 'C'.repeat(22) as ContentId;
const FIRST = 'C'.repeat(22) as AssetId;
const CLIP = 'K'.repeat(22) as AssetId;

async function world() {
  const storage = memoryStorage();
  const records = memoryRecords();
  const dropped: string[] = [];
  const removeTimeline = async (content: ContentId) => void dropped.push(content);
  const contents = createContents({ records, storage, removeTimeline, log: silentLogger });
  for (const prefix of [mediaPrefix(CONTENT), indexPrefix(CONTENT)])
    await storage.put(`${prefix}x` as ObjectKey, Buffer.from('x'), { bytes: 1, contentType: 'video/mp4' });
  return {
    storage,
    records,
    contents,
    dropped,
    objects: () => storage.objects.size,
    stored: async () => (await records.get('content', CONTENT))?.value ?? null,
  };
}

test('a clip of an upload makes the record with both; the objects go with the second to leave', async () => {
  const it = await world();
  expect(await it.contents.hold(CONTENT, CLIP, [FIRST])).toBe(true);
  expect(await it.contents.hold(CONTENT, CLIP, [FIRST])).toBe(true);
  expect(await it.stored()).toMatchObject({ status: 'kept', holders: [FIRST, CLIP] });
  await it.contents.leave(CONTENT, FIRST);
  expect(await it.contents.isHeldBy(CONTENT, CLIP)).toBe(true);
  expect(it.objects()).toBe(2);
  await it.contents.leave(CONTENT, CLIP);
  expect(await it.stored()).toBeNull();
  expect(it.objects()).toBe(0);
  expect(it.dropped).toEqual([CONTENT]);
});

test('leaving twice takes nothing from the others', async () => {
  const it = await world();
  await it.contents.hold(CONTENT, CLIP, [FIRST]);
  await it.contents.leave(CONTENT, FIRST);
  await it.contents.leave(CONTENT, FIRST);
  expect(await it.stored()).toMatchObject({ status: 'kept', holders: [CLIP] });
});

test('while the objects of an upload without record go, no clip comes in', async () => {
  const it = await world();
  const remove = it.storage.delete.bind(it.storage);
  const answers: boolean[] = [];
  it.storage.delete = async (keys) => {
    answers.push(await it.contents.hold(CONTENT, CLIP, [FIRST]));
    await remove(keys);
  };
  await it.contents.leave(CONTENT, FIRST);
  expect(answers).toEqual([false, false]);
  expect(it.objects()).toBe(0);
  expect(await it.stored()).toBeNull();
});

test('a clip that comes in just before the upload leaves keeps the objects', async () => {
  const it = await world();
  const create = it.records.create.bind(it.records);
  let isFirst = true;
  it.records.create = async (kind, value) => {
    // The leaving upload has seen no record; the clip writes one before it can.
    if (isFirst) {
      isFirst = false;
      await it.contents.hold(CONTENT, CLIP, [FIRST]);
    }
    return create(kind, value);
  };
  await it.contents.leave(CONTENT, FIRST);
  expect(it.objects()).toBe(2);
  expect(await it.stored()).toMatchObject({ status: 'kept', holders: [CLIP] });
});

test('of two that make the first record at once both are in it', async () => {
  const it = await world();
  const [other] = ['L'.repeat(22) as AssetId];
  await Promise.all([it.contents.hold(CONTENT, CLIP, [FIRST]), it.contents.hold(CONTENT, other, [FIRST])]);
  expect(new Set((await it.stored())?.holders)).toEqual(new Set([FIRST, CLIP, other]));
});

test('the record of a broadcast goes after its objects and before the record of its content', async () => {
  const it = await world();
  const broadcast = sampleBroadcast({ id: CONTENT as string as BroadcastId, status: 'ended' });
  await it.records.create('broadcast', broadcast);
  await it.records.create('content', sampleContent({ id: CONTENT, holders: [broadcast.id] }));
  const order: string[] = [];
  const remove = it.records.remove.bind(it.records);
  it.records.remove = async (kind, id) => {
    order.push(`${kind} with ${it.objects()} objects`);
    await remove(kind, id);
  };
  await it.contents.leave(CONTENT, broadcast.id);
  expect(order).toEqual(['broadcast with 0 objects', 'content with 0 objects']);
});

test('a store that fails in the middle leaves a record that says what is to be done', async () => {
  const it = await world();
  const remove = it.storage.delete.bind(it.storage);
  it.storage.delete = () => Promise.reject(new Error('store away'));
  await expect(it.contents.leave(CONTENT, FIRST)).rejects.toThrow('store away');
  expect(await it.stored()).toMatchObject({ status: 'deleting' });
  it.storage.delete = remove;
  await it.contents.finishRemoval(CONTENT);
  expect(await it.stored()).toBeNull();
  expect(it.objects()).toBe(0);
});
