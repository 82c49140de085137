// Records over the fs store and a real Redis: conflicts, the index and its rebuild, Redis emptied and away.
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createRecords, RecordInvalid, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import { ObjectConflict, type ObjectStorage } from '../../platform/adapters/storage.ts';
import { createFsStorage } from '../../platform/adapters/storage-fs.ts';
import { newId, type PlaybackId } from '../../platform/contract/ids.ts';
import { type ObjectKey, recordKey } from '../../platform/contract/object-keys.ts';
import type { AssetRecord } from '../../platform/contract/records.ts';
import {
  indexMarkerKey,
  liveBroadcastsKey,
  playbackIndexKey,
  recordIndexKey,
  streamKeyIndexKey,
} from '../../platform/contract/redis-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { sampleAsset, sampleBroadcast, sampleContent, sampleStream } from '../support/sample-records.ts';
import { tempDir } from '../support/temp.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestRedis;
let redis: RedisConnection;
let storage: ObjectStorage;
let records: Records;

beforeAll(async () => {
  server = await startRedis();
  redis = createRedis(server.url, silentLogger);
  await redis.start();
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});
beforeEach(async () => {
  await server.flush();
  storage = createFsStorage(await tempDir('records'));
  records = createRecords(storage, redis, silentLogger);
});

const playbackOf = (asset: AssetRecord) => asset.playback_ids[0]?.id ?? newId<PlaybackId>();
/** All that stands in Redis because of records. */
const index = async () => ({
  playback: await redis.client.hGetAll(playbackIndexKey),
  keys: await redis.client.hGetAll(streamKeyIndexKey),
  live: await redis.client.hGetAll(liveBroadcastsKey),
  assets: await redis.client.zRange(recordIndexKey('asset'), 0, -1),
  streams: await redis.client.zRange(recordIndexKey('stream'), 0, -1),
});

describe('documents', () => {
  test('creates once, reads back, refuses what does not fit the schema', async () => {
    const asset = sampleAsset();
    const etag = await records.create('asset', asset);
    expect(await records.get('asset', asset.id)).toEqual({ value: asset, etag });
    await expect(records.create('asset', asset)).rejects.toThrow(ObjectConflict);
    expect(await records.get('asset', newId())).toBeNull();
    const broken = { ...sampleAsset(), term: -1 };
    await expect(records.create('asset', broken)).rejects.toThrow(RecordInvalid);
  });
  test('records of earlier versions get the defaults of what they did not know', async () => {
    const full = { stream: sampleStream(), broadcast: sampleBroadcast(), asset: sampleAsset() };
    const unknown = {
      stream: ['transcode', 'redundancy', 'record', 'dvr_window_s', 'use_slate', 'backup_key_hash', 'old_keys'],
      broadcast: ['transcode', 'redundancy', 'use_slate', 'dvr_window_s', 'asset_id', 'fault'],
      asset: ['range'],
    };
    for (const kind of ['stream', 'broadcast', 'asset'] as const) {
      const value = full[kind];
      const old = Object.fromEntries(Object.entries(value).filter(([name]) => !unknown[kind].includes(name)));
      const body = Buffer.from(JSON.stringify(old));
      await storage.put(recordKey(kind, value.id), body, { bytes: body.length, contentType: 'application/json' });
      expect((await records.get(kind, value.id))?.value).toEqual(value);
    }
  });
  test('a stored document of another shape is an error of its own', async () => {
    const key = recordKey('asset', newId()) as ObjectKey;
    await storage.put(key, Buffer.from('{"version":9}'), { bytes: 13, contentType: 'application/json' });
    await expect(records.get('asset', key.slice('records/asset/'.length))).rejects.toThrow(RecordInvalid);
  });
  test('no update is lost between two writers', async () => {
    const asset = sampleAsset();
    await records.create('asset', asset);
    const other = createRecords(storage, redis, silentLogger);
    const raise = (by: Records) => by.update('asset', asset.id, (value) => ({ ...value, term: value.term + 1 }));
    for (let i = 0; i < 10; i += 1) await Promise.all([raise(records), raise(other), raise(records)]);
    const stored = await records.get('asset', asset.id);
    expect(stored?.value.term).toBe(30);
    expect(stored?.value.updated_at).toBeGreaterThanOrEqual(asset.updated_at);
  });
  test('update leaves alone what needs no change, and answers null for what is missing', async () => {
    const asset = sampleAsset();
    const etag = await records.create('asset', asset);
    expect(await records.update('asset', asset.id, () => null)).toEqual({ value: asset, etag });
    expect(await records.update('asset', newId(), (value) => value)).toBeNull();
  });
  test('replace wants the newest ETag', async () => {
    const asset = sampleAsset();
    const etag = await records.create('asset', asset);
    const next = await records.replace('asset', { ...asset, title: 'a' }, etag);
    await expect(records.replace('asset', { ...asset, title: 'b' }, etag)).rejects.toThrow(ObjectConflict);
    await records.replace('asset', { ...asset, title: 'c' }, next);
    expect((await records.get('asset', asset.id))?.value.title).toBe('c');
  });
});

describe('index', () => {
  test('follows create, change and remove', async () => {
    const stream = sampleStream();
    const live = sampleBroadcast({ stream_id: stream.id });
    await records.create('stream', stream);
    await records.create('broadcast', live);
    const id = stream.playback_ids[0]?.id ?? '';
    expect(await index()).toMatchObject({
      keys: { [stream.key_hash]: `${stream.id}:primary:0` },
      live: { [live.id]: stream.id },
      streams: [stream.id],
    });
    expect(await records.playback(id as PlaybackId)).toEqual({ kind: 'stream', id: stream.id, policy: 'public' });

    await records.update('stream', stream.id, (value) => ({ ...value, key_hash: 'rotated' }));
    await records.update('broadcast', live.id, (value) => ({ ...value, status: 'ended' }));
    expect(await index()).toMatchObject({ keys: { rotated: `${stream.id}:primary:0` }, live: {} });
    expect((await index()).keys[stream.key_hash]).toBeUndefined();

    const added = newId<PlaybackId>();
    await records.update('stream', stream.id, (value) => ({
      ...value,
      status: 'disabled',
      playback_ids: [{ id: added, policy: 'signed' }],
    }));
    expect(await index()).toMatchObject({ keys: {} });
    expect(Object.keys((await index()).playback)).toEqual([added]);

    await records.remove('stream', stream.id);
    await records.remove('stream', stream.id);
    expect(await index()).toMatchObject({ playback: {}, keys: {}, streams: [] });
    expect(await records.get('stream', stream.id)).toBeNull();
  });
  test('two writers who rotate a key leave the stored one', async () => {
    const stream = sampleStream();
    await records.create('stream', stream);
    const other = createRecords(storage, redis, silentLogger);
    const rotate = (by: Records, i: number) =>
      by.update('stream', stream.id, (value) => ({ ...value, key_hash: `key-${i}` }));
    for (let i = 0; i < 20; i += 2) {
      await Promise.all([rotate(records, i), rotate(other, i + 1)]);
      const stored = await records.get('stream', stream.id);
      expect((await index()).keys).toEqual({ [stored?.value.key_hash ?? '']: `${stream.id}:primary:0` });
    }
  });
  test('backup and rotated keys come and go with the record', async () => {
    const until = Date.now() + 60_000;
    const stream = sampleStream({ key_hash: 'one', backup_key_hash: 'two' });
    await records.create('stream', stream);
    const rotated = { key_hash: 'three', old_keys: [{ hash: 'one', key: 'primary', until }] } as const;
    await records.update('stream', stream.id, (value) => ({ ...value, ...rotated, old_keys: [...rotated.old_keys] }));
    const wanted = { one: `:primary:${until}`, two: ':backup:0', three: ':primary:0' };
    const keys = Object.fromEntries(Object.entries(wanted).map(([hash, tail]) => [hash, `${stream.id}${tail}`]));
    expect((await index()).keys).toEqual(keys);
    await server.flush();
    await records.ensureIndex();
    expect((await index()).keys).toEqual(keys);
    await records.update('stream', stream.id, (value) => ({ ...value, backup_key_hash: null, old_keys: [] }));
    expect((await index()).keys).toEqual({ three: `${stream.id}:primary:0` });
  });
  test('contents are listed, and leave the list with their record', async () => {
    const contents = [sampleContent({ created_at: 1 }), sampleContent({ created_at: 2 })];
    for (const content of contents) await records.create('content', content);
    await server.flush();
    await records.ensureIndex();
    const ids = async () => (await records.list('content', { limit: 9, cursor: null })).values.map(({ id }) => id);
    expect(await ids()).toEqual([contents[1]?.id, contents[0]?.id]);
    await records.remove('content', contents[1]?.id ?? '');
    expect(await ids()).toEqual([contents[0]?.id]);
  });
  test('lists newest first, page by page', async () => {
    const assets = Array.from({ length: 7 }, (_, i) => sampleAsset({ created_at: 1_000 + Math.floor(i / 3) }));
    for (const asset of assets) await records.create('asset', asset);
    const wanted = assets
      .map((asset) => asset.id as string)
      .sort((a, b) => {
        const at = (id: string) => assets.find((asset) => asset.id === id)?.created_at ?? 0;
        return at(b) - at(a) || (a < b ? 1 : -1);
      });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { values: AssetRecord[]; nextCursor: string | null } = await records.list('asset', {
        limit: 2,
        cursor,
      });
      expect(page.values.length).toBeLessThanOrEqual(2);
      seen.push(...page.values.map((asset) => asset.id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(wanted);
    expect((await records.list('asset', { limit: 100, cursor: 'nonsense' })).values).toHaveLength(7);
  });
});

describe('an emptied Redis', () => {
  test('is filled again by one of many roles, exactly as before', async () => {
    for (let i = 0; i < 20; i += 1) await records.create('asset', sampleAsset());
    for (let i = 0; i < 5; i += 1) await records.create('stream', sampleStream());
    const removed = sampleAsset();
    await records.create('asset', removed);
    await records.remove('asset', removed.id);
    const before = await index();
    await server.flush();
    const roles = Array.from({ length: 5 }, () => createRecords(storage, redis, silentLogger));
    await Promise.all(roles.map((role) => role.ensureIndex()));
    expect(await index()).toEqual(before);
    expect(await redis.client.get(indexMarkerKey)).toBe('built');
  });
  test('a playback id is found at once, an unknown one is not', async () => {
    const asset = sampleAsset();
    await records.create('asset', asset);
    await server.flush();
    expect(await records.playback(playbackOf(asset))).toMatchObject({ kind: 'asset', id: asset.id });
    expect(await records.playback(newId<PlaybackId>())).toBeNull();
  });
  test('a rebuild removes what no record says', async () => {
    const asset = sampleAsset();
    await records.create('asset', asset);
    await redis.client.hSet(playbackIndexKey, {
      stale: 'no json',
      gone: JSON.stringify({ kind: 'asset', id: newId(), policy: 'public' }),
    });
    await redis.client.hSet(streamKeyIndexKey, { hash: newId() });
    await redis.client.hSet(liveBroadcastsKey, { [newId()]: newId() });
    await redis.client.zAdd(recordIndexKey('asset'), 1, newId());
    expect(await records.rebuild()).toEqual({ records: 1 });
    expect(await index()).toEqual({
      playback: { [playbackOf(asset)]: JSON.stringify({ kind: 'asset', id: asset.id, policy: 'public' }) },
      keys: {},
      live: {},
      assets: [asset.id],
      streams: [],
    });
    expect(await records.rebuild()).toEqual({ records: 1 });
  });
  test('a rebuild beside writers ends with what is stored', async () => {
    const streams = Array.from({ length: 10 }, () => sampleStream());
    for (const stream of streams) await records.create('stream', stream);
    await server.flush();
    const other = createRecords(storage, redis, silentLogger);
    const rotations = streams.map((stream, i) =>
      other.update('stream', stream.id, (value) => ({ ...value, key_hash: `rotated-${i}` })),
    );
    await Promise.all([records.rebuild(), ...rotations]);
    const wanted = Object.fromEntries(streams.map((stream, i) => [`rotated-${i}`, `${stream.id}:primary:0`]));
    expect((await index()).keys).toEqual(wanted);
  });
  test('a broken record does not keep the others out', async () => {
    const asset = sampleAsset();
    await records.create('asset', asset);
    const bad = recordKey('asset', newId());
    await storage.put(bad, Buffer.from('not json'), { bytes: 8, contentType: 'application/json' });
    await server.flush();
    await records.ensureIndex();
    expect((await index()).assets).toEqual([asset.id]);
  });
});

describe('Redis away', () => {
  test('puts stand, reads come from the store, the index is whole when it is back', async () => {
    const own = await startRedis({ persistence: true });
    const link = createRedis(own.url, silentLogger);
    await link.start();
    const away = createRecords(storage, link, silentLogger);
    const before = sampleAsset({ created_at: 1 });
    await away.create('asset', before);
    await away.ensureIndex();
    await own.kill();
    const during = sampleAsset({ created_at: 2 });
    await away.create('asset', during);
    expect(await away.playback(playbackOf(during))).toMatchObject({ kind: 'asset', id: during.id });
    const page = await away.list('asset', { limit: 1, cursor: null });
    expect(page.values.map((asset) => asset.id)).toEqual([during.id]);
    const rest = await away.list('asset', { limit: 1, cursor: page.nextCursor });
    expect(rest.values.map((asset) => asset.id)).toEqual([before.id]);
    await own.restart();
    await waitUntil('redis is back', () => link.isReady());
    expect(await link.client.get(indexMarkerKey)).toBe('built');
    await away.ensureIndex();
    expect(await link.client.zRange(recordIndexKey('asset'), 0, -1)).toEqual([before.id, during.id]);
    await link.close();
    await own.stop();
  });

  test('what it took and then lost is written again when the link is made anew', async () => {
    const own = await startRedis();
    const link = createRedis(own.url, silentLogger);
    await link.start();
    const here = createRecords(storage, link, silentLogger);
    await here.ensureIndex();
    const kept = sampleAsset({ created_at: 1 });
    const lost = sampleAsset({ created_at: 2 });
    const gone = sampleAsset({ created_at: 3 });
    const stream = sampleStream({ key_hash: 'before' });
    for (const asset of [kept, lost, gone]) await here.create('asset', asset);
    await here.create('stream', stream);
    await here.update('stream', stream.id, (value) => ({ ...value, key_hash: 'after' }));
    await here.remove('asset', gone.id);
    const wanted = {
      playback: await link.client.hGetAll(playbackIndexKey),
      keys: await link.client.hGetAll(streamKeyIndexKey),
      assets: await link.client.zRange(recordIndexKey('asset'), 0, -1),
    };
    // As a replica that was behind: the newest changes are missing, the marker says that the index is whole.
    await link.client.hDel(playbackIndexKey, playbackOf(lost));
    await link.client.zRem(recordIndexKey('asset'), lost.id);
    await link.client.zAdd(recordIndexKey('asset'), 3, gone.id);
    await link.client.hDel(streamKeyIndexKey, 'after');
    await link.client.hSet(streamKeyIndexKey, { before: stream.id });
    expect(await link.client.get(indexMarkerKey)).toBe('built');
    await own.command('CLIENT', 'KILL', 'TYPE', 'NORMAL');
    const now = async () => ({
      playback: await link.client.hGetAll(playbackIndexKey),
      keys: await link.client.hGetAll(streamKeyIndexKey),
      assets: await link.client.zRange(recordIndexKey('asset'), 0, -1),
    });
    await waitUntil('the same again', async () => isDeepStrictEqual(await now().catch(() => null), wanted));
    expect(wanted.assets).toEqual([kept.id, lost.id]);
    expect(Object.keys(wanted.keys)).toEqual(['after']);
    await link.close();
    await own.stop();
  });
});
