// The clip route over parts in memory: sources of every kind, defaults, refusals, holders.
import request from 'supertest';
import { describe, expect, test } from 'vitest';
import { renditionIndexKey } from '../platform/contract/object-keys.ts';
import { timelineKey } from '../platform/contract/redis-keys.ts';
import { type ApiTestParts, AUTHORIZATION, createApiParts } from '../test/support/api-parts.ts';
import { type RecordedPlan, recordedBroadcast } from '../test/support/recorded-broadcast.ts';
import { sampleAsset } from '../test/support/sample-records.ts';
import { assetOf, audio0, entriesOf, pdtOf, renditionIndexOf, video360, WRITER } from '../test/support/timelines.ts';

const clip = (parts: ApiTestParts, body: object) =>
  request(parts.app).post('/video/v1/clips').set('authorization', AUTHORIZATION).send(body);
const iso = (seconds: number) => new Date(pdtOf(0) + seconds * 1_000).toISOString();

/** A stream on air: ten segments in a block, ten in the timeline alone. */
async function onAir(parts: ApiTestParts, plan: Partial<RecordedPlan> = {}) {
  const live = { status: 'live', ended_at: null } as const;
  const found = await recordedBroadcast(parts, { segments: 20, inBlocks: 10, broadcast: live, ...plan });
  parts.timelines.held.set(timelineKey(found.broadcast.content_id), entriesOf(1, 5, 19));
  return found;
}

/** An uploaded video of 15 s: segments of 6, 6 and 3 s. */
async function uploaded(parts: ApiTestParts) {
  const asset = assetOf();
  await parts.records.create('asset', asset);
  for (const info of [video360, audio0]) {
    const body = Buffer.from(JSON.stringify(renditionIndexOf(info)));
    const options = { bytes: body.length, contentType: 'application/json' };
    await parts.storage.put(renditionIndexKey(asset.content_id, info.name, WRITER), body, options);
  }
  return asset;
}

describe('of a live stream', () => {
  test('the last seconds before the edge, over block and timeline', async () => {
    const parts = createApiParts();
    const { broadcast, stream } = await onAir(parts);
    const answer = await clip(parts, { source: { live_stream_id: stream.id }, start: -25, end: 0, title: 'Goal' });
    expect(answer.status).toBe(201);
    expect(answer.body.data).toMatchObject({
      status: 'ready',
      playable: true,
      title: 'Goal',
      source_type: 'clip',
      duration: 26,
      clip: {
        source: { playback_id: null, asset_id: null, broadcast_id: broadcast.id },
        requested: { start: iso(15), end: iso(40) },
        actual: { start: iso(14), end: iso(40) },
      },
    });
    const stored = (await parts.records.get('asset', answer.body.data.id))?.value;
    expect(stored).toMatchObject({
      content_id: broadcast.content_id,
      range: { from_msn: 7, to_msn: 19 },
      renditions: [],
      planned: [],
      source: { playback_id: null, broadcast_id: broadcast.id },
    });
    const content = (await parts.records.get('content', broadcast.content_id))?.value;
    expect(content?.holders).toEqual([broadcast.id, answer.body.data.id]);
    expect(parts.events).toContainEqual({ type: 'asset', id: answer.body.data.id });
    expect(answer.headers['etag']).toBeDefined();
  });

  test('wall clock times, by the playback id; policies and title come from the stream', async () => {
    const parts = createApiParts();
    const { stream } = await onAir(parts);
    const playback = stream.playback_ids[0]?.id;
    const answer = await clip(parts, { source: { playback_id: playback }, start: iso(3), end: iso(5) });
    expect(answer.body.data).toMatchObject({
      title: 'Clip of Concert',
      playback_ids: [{ policy: 'public' }],
      clip: { source: { playback_id: playback }, actual: { start: iso(2), end: iso(6) } },
    });
  });

  test('off air, the last broadcast can be clipped; numbers count from its end', async () => {
    const parts = createApiParts();
    const { stream } = await recordedBroadcast(parts, { segments: 10 });
    const answer = await clip(parts, { source: { live_stream_id: stream.id }, start: -3, end: -1 });
    expect(answer.body.data.clip.actual).toEqual({ start: iso(16), end: iso(20) });
  });

  const refused: [string, unknown, unknown, RegExp][] = [
    ['a positive number', 3, 5, /start: seconds before the live edge are negative/],
    ['before the broadcast', iso(-20), iso(-10), /was before the broadcast/],
    ['end before start', -5, -10, /end: must be after start/],
    ['no time', 'yesterday', 0, /Invalid/],
  ];
  test.each(refused)('%s is 422 with a reason', async (_name, start, end, words) => {
    const parts = createApiParts();
    const { stream } = await onAir(parts);
    const answer = await clip(parts, { source: { live_stream_id: stream.id }, start, end });
    expect(answer.status).toBe(422);
    expect(answer.body.messages.join()).toMatch(words);
  });

  test('never on air: 422', async () => {
    const parts = createApiParts();
    const made = await request(parts.app).post('/video/v1/live-streams').set('authorization', AUTHORIZATION).send({});
    const answer = await clip(parts, { source: { live_stream_id: made.body.data.id }, start: -5, end: 0 });
    expect(answer.status).toBe(422);
    expect(answer.body.messages.join()).toMatch(/never on air/);
  });
});

describe('of an asset', () => {
  test('an upload: its renditions, its content, which gets its record with both holders', async () => {
    const parts = createApiParts();
    const asset = await uploaded(parts);
    const answer = await clip(parts, {
      source: { asset_id: asset.id },
      start: 7,
      end: 8,
      playback_policies: ['signed'],
    });
    expect(answer.status).toBe(201);
    expect(answer.body.data).toMatchObject({
      duration: 6,
      size_bytes: 20,
      playback_ids: [{ policy: 'signed' }],
      title: 'Clip of A test video',
      clip: { requested: { start: 7, end: 8 }, actual: { start: 6, end: 12 } },
    });
    const stored = (await parts.records.get('asset', answer.body.data.id))?.value;
    expect(stored).toMatchObject({
      range: { from_msn: 1, to_msn: 1 },
      renditions: asset.renditions,
      images_writer: WRITER,
    });
    const content = (await parts.records.get('content', asset.content_id))?.value;
    expect(content?.holders).toEqual([asset.id, answer.body.data.id]);
  });

  test('a clip of a clip counts from the clip, and stays inside it', async () => {
    const parts = createApiParts();
    const asset = await uploaded(parts);
    const first = await clip(parts, { source: { asset_id: asset.id }, start: 6, end: 15 });
    const id = first.body.data.id;
    const second = await clip(parts, { source: { asset_id: id }, start: 7, end: 8 });
    expect(second.body.data.clip.actual).toEqual({ start: 6, end: 9 });
    expect((await parts.records.get('asset', second.body.data.id))?.value.range).toEqual({ from_msn: 2, to_msn: 2 });
    const beyond = await clip(parts, { source: { asset_id: id }, start: 7, end: 12 });
    expect(beyond.body.messages).toEqual(['end: the source is 9 s long']);
  });

  test('a recording, by its seconds', async () => {
    const parts = createApiParts();
    const { broadcast } = await recordedBroadcast(parts, { segments: 10, gaps: [1] });
    await parts.recordings.record(broadcast);
    const answer = await clip(parts, { source: { asset_id: broadcast.asset_id }, start: 2, end: 3 });
    expect(answer.body.data.clip.actual).toEqual({ start: 2, end: 4 });
    expect((await parts.records.get('asset', answer.body.data.id))?.value.range).toEqual({ from_msn: 2, to_msn: 2 });
  });

  const refused: [string, unknown, unknown, RegExp][] = [
    ['a wall clock time', iso(0), iso(4), /wall clock times are for live streams/],
    ['beyond the end', 0, 16, /the source is 15 s long/],
    ['a start below 0', -3, 2, /start: must be between 0 and 15 s/],
  ];
  test.each(refused)('%s is 422', async (_name, start, end, words) => {
    const parts = createApiParts();
    const asset = await uploaded(parts);
    const answer = await clip(parts, { source: { asset_id: asset.id }, start, end });
    expect(answer.status).toBe(422);
    expect(answer.body.messages.join()).toMatch(words);
  });

  test('one that is preparing is 409', async () => {
    const parts = createApiParts();
    const asset = sampleAsset();
    await parts.records.create('asset', asset);
    expect((await clip(parts, { source: { asset_id: asset.id }, start: 0, end: 1 })).status).toBe(409);
  });
});

describe('sources', () => {
  test.each([
    [{}, 422],
    [{ asset_id: 'A'.repeat(22), live_stream_id: 'B'.repeat(22) }, 422],
    [{ asset_id: 'A'.repeat(22) }, 404],
    [{ asset_id: '../x' }, 404],
    [{ live_stream_id: 'A'.repeat(22) }, 404],
    [{ playback_id: 'A'.repeat(22) }, 404],
  ])('%j is %i', async (source, status) => {
    expect((await clip(createApiParts(), { source, start: 0, end: 1 })).status).toBe(status);
  });

  test('content that is leaving is 409, and nothing is left behind', async () => {
    const parts = createApiParts();
    const asset = await uploaded(parts);
    const now = Date.now();
    const leaving = { version: 1, id: asset.content_id, created_at: now, updated_at: now, holders: [] } as const;
    await parts.records.create('content', { ...leaving, holders: [], status: 'deleting' });
    expect((await clip(parts, { source: { asset_id: asset.id }, start: 0, end: 1 })).status).toBe(409);
    expect((await parts.records.list('asset', { limit: 9, cursor: null })).values).toHaveLength(1);
  });

  test('a source that went between the steps leaves neither clip nor holder', async () => {
    const parts = createApiParts();
    const asset = await uploaded(parts);
    const hold = parts.contents.hold.bind(parts.contents);
    parts.contents.hold = async (...args) => {
      await parts.records.remove('asset', asset.id);
      return hold(...args);
    };
    expect((await clip(parts, { source: { asset_id: asset.id }, start: 0, end: 1 })).status).toBe(409);
    expect((await parts.records.list('asset', { limit: 9, cursor: null })).values).toHaveLength(0);
    expect((await parts.records.get('content', asset.content_id))?.value.holders).toEqual([asset.id]);
  });
});
