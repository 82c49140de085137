// Routes of live streams over parts in memory: settings, commands, health, slate.
import { describe, expect, test } from 'vitest';
import { newId, type SessionId } from '../platform/contract/ids.ts';
import { slateKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, StreamRecord } from '../platform/contract/records.ts';
import { type ApiTestParts, createApiParts } from '../test/support/api-parts.ts';
import { recordedBroadcast } from '../test/support/recorded-broadcast.ts';
import { at, call, make, recordOf } from '../test/support/stream-calls.ts';

const NODE = 'N'.repeat(22);
const base = {
  url: '',
  public_url: null,
  private_url: '',
  state: 'healthy',
  pid: 1,
  version: '1',
  started_at: 1,
  load: {},
};
const node = (role: string, more: object) => ({ ...base, id: NODE, role, ...more }) as never;
const SIGNAL = {
  health: 'starving',
  advice: ['Key frames come every 9 s: set the interval to 2 s.'],
  key: 'primary',
  has_standby: false,
  bitrate_bps: 2_500_000,
  frame_rate: 30,
  gop_s: 9,
  width: 1280,
  height: 720,
  video_codec: 'avc1',
  audio_codec: null,
  speed: 0.9,
};
/** A stream whose broadcast is on air, published through the node above. */
const onAir = (parts: ApiTestParts, broadcast: Partial<BroadcastRecord> = {}, stream: Partial<StreamRecord> = {}) => {
  const ingest = { node: NODE as never, session: newId<SessionId>(), since: 1, key: 'primary' } as const;
  const live = { status: 'live', ended_at: null, ingest, ...broadcast } as const;
  return recordedBroadcast(parts, { segments: 3, broadcast: live, stream });
};

describe('settings', () => {
  test('creation takes all of them and shows them; the record keeps the hash of the key alone', async () => {
    const parts = createApiParts();
    const wanted = {
      latency_mode: 'ultra',
      transcode: 'passthrough',
      redundancy: 'hot',
      record: false,
      dvr_window: 600,
      use_slate: true,
      reconnect_window: 30,
    };
    const stream = await make(parts, { title: 'Show', ...wanted });
    expect(stream).toMatchObject({ ...wanted, status: 'idle', phase: 'idle', viewer_count: 0, key: 'primary' });
    expect(stream).toMatchObject({ rtmp_url: 'rtmp://ingest.test/live', playback_ids: [{ policy: 'public' }] });
    expect(stream.stream_key).toMatch(/^[A-Za-z0-9]{32}$/);
    const shown = await call(parts, 'get', at(stream));
    expect(shown.body.data.stream_key).toBeUndefined();
    expect(JSON.stringify(await recordOf(parts, stream))).not.toContain(stream.stream_key);
    expect(parts.events).toContainEqual({ type: 'stream-keys' });
  });

  test('defaults', async () => {
    expect(await make(createApiParts(), {})).toMatchObject({
      latency_mode: 'default',
      transcode: 'ladder',
      redundancy: 'standby',
      record: true,
      dvr_window: 14_400,
      use_slate: false,
      has_slate: false,
      has_backup_key: false,
      old_keys: [],
      recent_asset_ids: [],
      fault: null,
      health: { status: 'unknown', advice: [] },
      encode: { lag: null, renditions: [], placement: [] },
    });
  });

  test.each([
    { latency_mode: 'warp' },
    { transcode: 'magic' },
    { redundancy: 'triple' },
    { record: 'yes' },
    { dvr_window: 19 },
    { dvr_window: 43_201 },
    { reconnect_window: 1_801 },
  ])('%j is 422', async (body) => {
    const answer = await call(createApiParts(), 'post', '/video/v1/live-streams').send(body);
    expect(answer.status).toBe(422);
    expect(answer.body.messages.join()).toContain(Object.keys(body)[0]);
  });

  test('PATCH changes what it names, under If-Match; null takes the window back to the default', async () => {
    const parts = createApiParts();
    const stream = await make(parts, { title: 'Show', dvr_window: 60 });
    await call(parts, 'patch', at(stream)).send({ title: 'x' }).expect(428);
    await call(parts, 'patch', at(stream)).set('if-match', '"stale"').send({ title: 'x' }).expect(412);
    const etag = (await call(parts, 'get', at(stream))).headers['etag'] ?? '';
    const changes = { reconnect_window: 0, redundancy: 'hot', record: false, use_slate: true };
    const answer = await call(parts, 'patch', at(stream)).set('if-match', etag).send(changes);
    expect(answer.body.data).toMatchObject({ title: 'Show', dvr_window: 60, ...changes });
    const next = answer.headers['etag'] ?? '';
    const back = await call(parts, 'patch', at(stream)).set('if-match', next).send({ dvr_window: null });
    expect(back.body.data).toMatchObject({ dvr_window: 14_400, redundancy: 'hot' });
    expect((await call(parts, 'get', '/video/v1/live-streams')).body.data).toHaveLength(1);
  });
});

describe('commands', () => {
  test('disable kicks, enable lets in again', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const off = await call(parts, 'put', at(stream, '/disable'));
    expect(off.body.data.status).toBe('disabled');
    expect(parts.events).toContainEqual({ type: 'kick', id: stream.id });
    const on = await call(parts, 'put', at(stream, '/enable'));
    expect(on.body.data.status).toBe('idle');
  });

  test('kick tells ingest, and leaves the broadcast as it is', async () => {
    const parts = createApiParts();
    const { stream, broadcast } = await onAir(parts);
    const answer = await call(parts, 'post', at(stream, '/kick')).expect(200);
    expect(answer.body.data).toMatchObject({ status: 'active', active_broadcast_id: broadcast.id });
    expect(parts.events).toEqual([{ type: 'kick', id: stream.id }]);
  });

  test('complete: the record goes to its end even when no ingest hears of it; repeating it does nothing', async () => {
    const parts = createApiParts();
    const { stream, broadcast } = await onAir(parts);
    const answer = await call(parts, 'put', at(stream, '/complete')).expect(200);
    expect(answer.body.data).toMatchObject({ status: 'active', phase: 'ending' });
    const stored = (await parts.records.get('broadcast', broadcast.id))?.value;
    expect(stored).toMatchObject({ status: 'ending', ingest: null });
    expect(stored?.disconnected_at).not.toBeNull();
    const events = [
      { type: 'complete', id: stream.id },
      { type: 'broadcast', id: broadcast.id },
      { type: 'stream', id: stream.id },
    ];
    expect(parts.events).toEqual(events);
    await call(parts, 'put', at(stream, '/complete')).expect(200);
    expect(parts.events).toEqual(events);
  });

  test('complete without a broadcast is no error', async () => {
    const parts = createApiParts();
    await call(parts, 'put', at(await make(parts), '/complete')).expect(200);
    expect(parts.events).not.toContainEqual(expect.objectContaining({ type: 'complete' }));
  });

  describe('switch', () => {
    const withBackup = { backup_key_hash: 'b'.repeat(64) };
    const publishing = (has_standby: boolean, stream: { id: string }) =>
      node('ingest', { signals: { [stream.id]: { ...SIGNAL, has_standby } } });
    test('goes out when the other encoder stands by', async () => {
      const parts = createApiParts();
      const { stream } = await onAir(parts, {}, withBackup);
      parts.nodes.push(publishing(true, stream));
      await call(parts, 'post', at(stream, '/switch')).send({ to: 'backup' }).expect(200);
      expect(parts.events).toEqual([{ type: 'switch', id: stream.id, to: 'backup' }]);
    });
    test('to the one that is shown is nothing to do', async () => {
      const parts = createApiParts();
      const { stream } = await onAir(parts, {}, withBackup);
      await call(parts, 'post', at(stream, '/switch')).send({ to: 'primary' }).expect(200);
      expect(parts.events).toEqual([]);
    });
    const refused: [string, Partial<StreamRecord>, Partial<BroadcastRecord>, RegExp][] = [
      ['without a backup key', {}, {}, /has no backup key/],
      ['off air', withBackup, { status: 'ended' }, /nothing is on air/],
      ['with nobody standing by', withBackup, {}, /no encoder publishes with the backup key/],
    ];
    test.each(refused)('%s is 409', async (_name, stream, broadcast, words) => {
      const parts = createApiParts();
      const made = await onAir(parts, broadcast, stream);
      parts.nodes.push(publishing(false, made.stream));
      const answer = await call(parts, 'post', at(made.stream, '/switch')).send({ to: 'backup' });
      expect(answer.status).toBe(409);
      expect(answer.body.messages.join()).toMatch(words);
      expect(parts.events).toEqual([]);
    });
    test('to nowhere is 422', async () => {
      const parts = createApiParts();
      await call(parts, 'post', at(await make(parts), '/switch'))
        .send({ to: 'third' })
        .expect(422);
    });
  });
});

describe('what is on', () => {
  test('viewers are summed over edges, the bit rate comes from ingest', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const playback = stream.playback_ids[0]?.id ?? '';
    const edge = { public_url: 'http://edge.test' };
    parts.nodes.push(
      node('edge', { ...edge, viewers: { [playback]: 3, other: 9 } }),
      node('edge', { ...edge, viewers: { [playback]: 4 } }),
      node('ingest', { bitrates: { [stream.id]: 2_000_000 }, tls_url: 'rtmps://ingest.test/live' }),
    );
    const shown = await call(parts, 'get', at(stream));
    expect(shown.body.data).toMatchObject({
      viewer_count: 7,
      bitrate: 2_000_000,
      rtmps_url: 'rtmps://ingest.test/live',
    });
    const overview = await call(parts, 'get', '/ops/v1/overview');
    expect(overview.body.data.streams[0]).toMatchObject({
      viewer_count: 7,
      watch_url: `http://edge.test/watch/${playback}`,
      embed_url: `http://edge.test/embed/${playback}`,
    });
  });

  test('health and advice of the node that carries it, renditions and placement of its workers', async () => {
    const parts = createApiParts();
    const { stream, broadcast } = await onAir(parts);
    const encode = { lag_s: 0.4, renditions: ['v360', 'a0'], cost: 0.3, spooled: 2 };
    parts.nodes.push(
      node('ingest', { id: 'O'.repeat(22), signals: { [stream.id]: { ...SIGNAL, key: 'backup', health: 'healthy' } } }),
      node('ingest', { signals: { [stream.id]: SIGNAL } }),
      node('transcoder', { id: 'second', encodes: { [broadcast.id]: { ...encode, place: 'hot', renditions: [] } } }),
      node('transcoder', { id: 'first', encodes: { [broadcast.id]: { ...encode, place: 'leader' } } }),
    );
    const shown = (await call(parts, 'get', at(stream))).body.data;
    expect(shown).toMatchObject({
      status: 'active',
      phase: 'active',
      publishing_key: 'primary',
      has_standby: true,
      health: { status: 'starving', advice: SIGNAL.advice, bitrate: 2_500_000, frame_rate: 30, gop: 9, speed: 0.9 },
      encode: { lag: 0.4, renditions: ['v360', 'a0'] },
      active_broadcast_id: broadcast.id,
      active_asset_id: broadcast.asset_id,
    });
    expect(shown.encode.placement).toEqual([
      { node: 'first', place: 'leader', lag: 0.4, cost: 0.3, spooled: 2 },
      { node: 'second', place: 'hot', lag: 0.4, cost: 0.3, spooled: 2 },
    ]);
    const [row] = (await call(parts, 'get', '/ops/v1/overview')).body.data.streams;
    expect(row).toMatchObject({ health: 'starving', advice: SIGNAL.advice, renditions: ['v360', 'a0'], lag_s: 0.4 });
  });

  test('nobody publishes: recovering, health unknown; a fault is said in words', async () => {
    const parts = createApiParts();
    const fault = { type: 'GOP_OUT_OF_RANGE', messages: ['key frames are 12 s apart'] };
    const { stream } = await onAir(parts, { ingest: null, fault });
    parts.nodes.push(node('ingest', { signals: { [stream.id]: SIGNAL } }));
    const shown = (await call(parts, 'get', at(stream))).body.data;
    expect(shown).toMatchObject({ phase: 'recovering', health: { status: 'unknown' }, fault, publishing_key: null });
    const [row] = (await call(parts, 'get', '/ops/v1/overview')).body.data.streams;
    expect(row).toMatchObject({ is_away: true, fault: 'key frames are 12 s apart' });
  });

  test('a broadcast that is gone counts as none', async () => {
    const parts = createApiParts();
    const { stream, broadcast } = await onAir(parts);
    await parts.records.remove('broadcast', broadcast.id);
    const shown = (await call(parts, 'get', at(stream))).body.data;
    expect(shown).toMatchObject({ status: 'idle', active_broadcast_id: null });
  });
});

describe('slate', () => {
  const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]);
  const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0]);
  const send = (parts: ApiTestParts, stream: { id: string }, body: Buffer, type = 'image/png') =>
    call(parts, 'put', at(stream, '/slate')).set('content-type', type).send(body);

  test('is stored whatever it is called, replaced, and removed', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const stored = await send(parts, stream, jpeg).expect(200);
    expect(stored.body.data.has_slate).toBe(true);
    expect(parts.storage.objects.get(slateKey(stream.id as never))).toEqual(jpeg);
    await send(parts, stream, png, 'application/octet-stream').expect(200);
    expect(parts.storage.objects.get(slateKey(stream.id as never))).toEqual(png);
    await call(parts, 'delete', at(stream, '/slate')).expect(204);
    expect(parts.storage.objects.has(slateKey(stream.id as never))).toBe(false);
    expect((await call(parts, 'get', at(stream))).body.data.has_slate).toBe(false);
  });

  test.each([
    ['text that says it is a picture', Buffer.from('<svg/>'), 422],
    ['nothing', Buffer.alloc(0), 422],
    ['more than 2 MiB', Buffer.concat([jpeg, Buffer.alloc(2 * 1024 * 1024)]), 413],
  ])('%s is refused', async (_name, body, status) => {
    const parts = createApiParts();
    const stream = await make(parts);
    expect((await send(parts, stream, body)).status).toBe(status);
    expect((await recordOf(parts, stream)).slate_at).toBeUndefined();
  });
});

describe('deletion', () => {
  test('an idle one goes at once, with its slate', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    await call(parts, 'put', at(stream, '/slate'))
      .send(Buffer.from([0xff, 0xd8, 0xff]))
      .expect(200);
    await call(parts, 'delete', at(stream)).expect(204);
    expect(await parts.records.get('stream', stream.id)).toBeNull();
    expect(parts.events).toContainEqual({ type: 'kick', id: stream.id });
    expect(parts.storage.objects.size).toBe(0);
  });

  test('one on air waits for the end of its broadcast; the recording is made first, with the title of the stream', async () => {
    const parts = createApiParts();
    const { stream, broadcast } = await onAir(parts);
    await call(parts, 'delete', at(stream)).expect(204);
    await call(parts, 'get', at(stream)).expect(404);
    const ended = await parts.records.update('broadcast', broadcast.id, (b) => ({ ...b, status: 'ended' }));
    expect(ended).not.toBeNull();
    expect(await parts.streams.finishRemoval(await recordOf(parts, stream))).toBe(true);
    const asset = (await parts.records.get('asset', broadcast.asset_id ?? ''))?.value;
    expect(asset?.title).toMatch(/^Concert, 2023-11-14 22:13 UTC$/);
    expect(await parts.records.get('stream', stream.id)).toBeNull();
    expect(parts.events).toContainEqual({ type: 'broadcast', id: broadcast.id });
  });
});
