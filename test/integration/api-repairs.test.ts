// What broke off between two steps comes right by itself: the reconciler over a real Redis and the fs store, and a real start and stop.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createQueue, type JobQueue } from '../../platform/adapters/queue.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { contentOf, type UploadId } from '../../platform/contract/ids.ts';
import { mediaPrefix, type ObjectKey, uploadChunkKey } from '../../platform/contract/object-keys.ts';
import { streamKeyIndexKey } from '../../platform/contract/redis-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { type RunningApi, startApi } from '../support/api-service.ts';
import { fsSettings } from '../support/fs-settings.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';

type Created = { id: string; asset_id: string; url: string };
const REPAIR = { timeout: 30_000, interval: 250 };

let redisServer: TestRedis;
let redis: RedisConnection;
let storage: ObjectStorage;
let records: Records;
let queue: JobQueue;
let api: RunningApi;
let settings: Record<string, string>;

beforeAll(async () => {
  redisServer = await startRedis();
  const dataDir = await tempDir('api-repairs');
  settings = { HEADWATER_DATA_DIR: dataDir, REDIS_URL: redisServer.url };
  api = await startApi(settings);
  redis = createRedis(redisServer.url, silentLogger);
  await redis.start();
  storage = openStorage(fsSettings(dataDir), silentLogger);
  records = createRecords(storage, redis, silentLogger);
  queue = createQueue(redisServer.url, ['vod'], silentLogger);
  await queue.start();
});
afterAll(async () => {
  await queue.close();
  await api.stop();
  await redis.close();
  await storage.close();
  await redisServer.stop();
});

const create = async (body: object = {}) => (await api.call('POST', '/video/v1/uploads', body)).body.data as Created;
const uploaded = async () => {
  const upload = await create();
  expect((await fetch(upload.url, { method: 'PUT', body: 'video bytes' })).status).toBe(200);
  return upload;
};
const storeBytes = (upload: Created, text: string) =>
  storage.put(uploadChunkKey(upload.id as UploadId, 0), Buffer.from(text), {
    bytes: text.length,
    contentType: 'application/octet-stream',
  });
const stateOf = (upload: Created, round = 0) => queue.state('vod', `vod:${upload.asset_id}:${round}`);
const keys = async (prefix: string) => {
  const found: string[] = [];
  for await (const entry of storage.list(prefix)) found.push(entry.key);
  return found;
};

describe('a crash between two steps', () => {
  test('bytes complete, record not advanced: the asset is queued', async () => {
    const upload = await create({ length: 5 });
    await storeBytes(upload, 'hello');
    await vi.waitFor(async () => expect(await stateOf(upload)).toBe('waiting'), REPAIR);
    expect((await records.get('upload', upload.id))?.value.status).toBe('asset_created');
    expect((await records.get('asset', upload.asset_id))?.value.source).toMatchObject({ complete: true });
  });

  test('records advanced, job never made: it is made', async () => {
    const upload = await create({ length: 5 });
    await records.update('asset', upload.asset_id, (a) => ({
      ...a,
      source: { type: 'upload', upload_id: upload.id as UploadId, complete: true },
    }));
    await records.update('upload', upload.id, (u) => ({ ...u, status: 'asset_created' }));
    await vi.waitFor(async () => expect(await stateOf(upload)).toBe('waiting'), REPAIR);
  });

  test('deletion broke off after the record said so: objects and record go', async () => {
    const upload = await uploaded();
    const key = `${mediaPrefix(contentOf(upload.asset_id as never))}v240/0/init.mp4` as ObjectKey;
    await storage.put(key, Buffer.from('x'), { bytes: 1, contentType: 'video/mp4' });
    await records.update('asset', upload.asset_id, (a) => ({ ...a, status: 'deleting' }));
    await vi.waitFor(async () => expect(await records.get('asset', upload.asset_id)).toBeNull(), REPAIR);
    expect(await keys(`media/${upload.asset_id}/`)).toEqual([]);
    expect(await keys(`uploads/${upload.id}/`)).toEqual([]);
  });

  test('an upload past its time is timed out, its asset removed, its address gone', async () => {
    const upload = await create({ length: 100 });
    await storeBytes(upload, 'some');
    await records.update('upload', upload.id, (u) => ({ ...u, expires_at: Date.now() - 1 }));
    expect((await fetch(upload.url, { method: 'PUT', body: 'late' })).status).toBe(410);
    await vi.waitFor(async () => expect(await records.get('asset', upload.asset_id)).toBeNull(), REPAIR);
    expect((await records.get('upload', upload.id))?.value.status).toBe('timed_out');
    expect(await keys(`uploads/${upload.id}/`)).toEqual([]);
  });
});

test('after FLUSHALL queue, lists and stream keys come back by themselves', async () => {
  const upload = await uploaded();
  const stream = (await api.call('POST', '/video/v1/live-streams', { title: 'after' })).body.data;
  expect(await stateOf(upload)).toBe('waiting');
  await redisServer.flush();
  await vi.waitFor(async () => expect(await stateOf(upload)).toBe('waiting'), REPAIR);
  const keyHash = createHash('sha256').update(String(stream['stream_key'])).digest('hex');
  expect(await redis.client.hGet(streamKeyIndexKey, keyHash)).toBe(`${stream['id']}:primary:0`);
  const assets = await api.call('GET', '/video/v1/assets');
  expect((assets.body.data as unknown as { id: string }[]).map((asset) => asset.id)).toContain(upload.asset_id);
});

test('a reset key leaves the index with the new hash alone', async () => {
  const stream = (await api.call('POST', '/video/v1/live-streams', {})).body.data;
  const reset = await api.call('POST', `/video/v1/live-streams/${stream['id']}/reset-stream-key`);
  const at = async (key: unknown) =>
    await redis.client.hGet(streamKeyIndexKey, createHash('sha256').update(String(key)).digest('hex'));
  expect(await at(stream['stream_key'])).toBeNull();
  expect(await at(reset.body.data['stream_key'])).toBe(`${stream['id']}:primary:0`);
});

test('DELETE answers when the objects are gone', async () => {
  const upload = await uploaded();
  const key = `${mediaPrefix(contentOf(upload.asset_id as never))}v240/0/init.mp4` as ObjectKey;
  await storage.put(key, Buffer.from('x'), { bytes: 1, contentType: 'video/mp4' });
  expect((await api.call('DELETE', `/video/v1/assets/${upload.asset_id}`)).status).toBe(204);
  expect(await keys(`media/${upload.asset_id}/`)).toEqual([]);
  expect(await keys(`uploads/${upload.id}/`)).toEqual([]);
  expect(await stateOf(upload)).toBeNull();
});

test('of racing changes of one version exactly one wins, over two api processes', async () => {
  const other = await startApi(settings);
  try {
    const { asset_id } = await create();
    const path = `/video/v1/assets/${asset_id}`;
    const etag = (await api.call('GET', path)).headers.get('etag') ?? '';
    const change = (by: RunningApi, title: string) => by.call('PATCH', path, { title }, { 'if-match': etag });
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((title, at) => change(at % 2 === 0 ? api : other, title)),
    );
    const won = answers.filter((answer) => answer.status === 200);
    expect(won).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 412)).toHaveLength(5);
    expect((await other.call('GET', path)).body.data).toMatchObject({ title: won[0]?.body.data['title'] });
  } finally {
    await other.stop();
  }
});

test('an upload goes on through another api process: the newer request takes over', async () => {
  const other = await startApi(settings);
  try {
    const upload = await create({ length: 20 });
    const elsewhere = `${other.url}${new URL(upload.url).pathname}`;
    const headers = {
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
    };
    const hanging = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode('0123456789')),
    });
    const first = fetch(upload.url, { method: 'PATCH', headers, body: hanging, duplex: 'half' } as RequestInit);
    first.catch(() => undefined);
    await vi.waitFor(async () => expect((await redis.client.get(`hw:lease:upload:${upload.id}`)) !== null).toBe(true));
    const asked = await fetch(elsewhere, { method: 'HEAD', headers: { 'tus-resumable': '1.0.0' } });
    expect(asked.status).toBe(200);
    const offset = Number(asked.headers.get('upload-offset'));
    const rest = '0123456789abcdefghij'.slice(offset);
    const last = await fetch(elsewhere, {
      method: 'PATCH',
      headers: { ...headers, 'upload-offset': String(offset) },
      body: rest,
    });
    expect(last.status).toBe(204);
    const pieces = await Promise.all(
      (await keys(`uploads/${upload.id}/`)).map((key) => storage.read(key as ObjectKey)),
    );
    expect(Buffer.concat(pieces.map((piece) => piece.body)).toString()).toBe('0123456789abcdefghij');
  } finally {
    await other.stop();
  }
});

test('an api that stops in the middle of an upload stores what has arrived', async () => {
  const other = await startApi(settings);
  const upload = await create({ length: 20 });
  const url = `${other.url}${new URL(upload.url).pathname}`;
  const headers = { 'tus-resumable': '1.0.0', 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' };
  const hanging = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode('0123456789')),
  });
  const sending = fetch(url, { method: 'PATCH', headers, body: hanging, duplex: 'half' } as RequestInit);
  sending.catch(() => undefined);
  await vi.waitFor(async () => expect((await redis.client.get(`hw:lease:upload:${upload.id}`)) !== null).toBe(true));
  await other.stop();
  const asked = await fetch(upload.url, { method: 'HEAD', headers: { 'tus-resumable': '1.0.0' } });
  expect(asked.headers.get('upload-offset')).toBe('10');
});

test('metrics name the queue, and no secret', async () => {
  const upload = await uploaded();
  const text = await api.metrics.expose();
  expect(text).toMatch(/headwater_queue_depth\{queue="vod",state="waiting"\} [1-9]/);
  expect(text).toContain('headwater_queue_oldest_age_seconds{queue="vod"}');
  expect(text).toContain('headwater_reconciler_repairs_total');
  expect(text + api.logLines.join('\n')).not.toContain(upload.url.split('.').at(-1));
});
