// One-time upload addresses over a real Redis and real stores: tus and PUT, cut, raced, resumed; byte-exact by hash.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Upload } from 'tus-js-client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import type { ObjectStorage, StorageSettings } from '../../platform/adapters/storage.ts';
import type { UploadId } from '../../platform/contract/ids.ts';
import { uploadPrefix } from '../../platform/contract/object-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { type RunningApi, startApi } from '../support/api-service.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts';
import { fsSettings } from '../support/fs-settings.ts';
import { hasMinio, startMinio, type TestMinio } from '../support/minio.ts';
import { freePort } from '../support/ports.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const MIB = 1024 * 1024;
const isMinioHere = await hasMinio();

type Created = { id: string; asset_id: string; url: string };

async function create(api: RunningApi, body: object = {}): Promise<Created> {
  const answer = await api.call('POST', '/video/v1/uploads', body);
  expect(answer.status).toBe(201);
  return answer.body.data as Created;
}

/** Object sizes and hash of what is stored of an upload. */
async function stored(storage: ObjectStorage, id: string): Promise<{ hash: string; bytes: number; largest: number }> {
  const pieces: Buffer[] = [];
  for await (const entry of storage.list(uploadPrefix(id as UploadId)))
    pieces.push((await storage.read(entry.key)).body);
  const all = Buffer.concat(pieces);
  return { hash: sha256(all), bytes: all.byteLength, largest: Math.max(0, ...pieces.map((p) => p.byteLength)) };
}

const expectQueued = async (api: RunningApi, upload: Created) => {
  const shown = await api.call('GET', `/video/v1/uploads/${upload.id}`);
  expect(shown.body.data).toMatchObject({ status: 'asset_created' });
  const asset = await api.call('GET', `/video/v1/assets/${upload.asset_id}`);
  expect(asset.body.data).toMatchObject({ status: 'preparing', progress: { state: 'queued' } });
  await vi.waitFor(async () => {
    const overview = await api.call('GET', '/ops/v1/overview');
    expect(overview.body.data['jobs']).toContainEqual(expect.objectContaining({ id: `vod:${upload.asset_id}:0` }));
  }, 2_000);
};

/** Sends a body with tus-js-client; resolves when it reports success. */
function sendByTus(
  bytes: Buffer,
  target: { endpoint: string } | { uploadUrl: string },
  more: object = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(bytes, {
      ...target,
      retryDelays: [50, 50, 100, 100, 200, 200, 500, 500],
      uploadSize: bytes.byteLength,
      onSuccess: () => resolve(),
      onError: reject,
      ...more,
    });
    upload.start();
  });
}

type Setting = {
  api: RunningApi;
  storage: ObjectStorage;
  redis: TestRedis;
  proxy: CuttingProxy;
  stop(): Promise<void>;
};

/** An api whose public address is a proxy that cuts connections. */
async function setUp(env: Record<string, string>, store: StorageSettings, cuts: number[]): Promise<Setting> {
  const redis = await startRedis();
  const proxyPort = await freePort();
  const publicUrl = `http://127.0.0.1:${proxyPort}`;
  const api = await startApi({ ...env, REDIS_URL: redis.url, HEADWATER_PUBLIC_URL: publicUrl });
  const proxy = await startCuttingProxy(Number(new URL(api.url).port), cuts, proxyPort);
  const storage = openStorage(store, silentLogger);
  return {
    api,
    storage,
    redis,
    proxy,
    async stop() {
      await proxy.close();
      await api.stop();
      await storage.close();
      await redis.stop();
    },
  };
}

describe('tus through a network that breaks', () => {
  test('cut at random bytes, resumed, byte-exact; objects of 8 MiB at most', async () => {
    const dataDir = await tempDir('api-tus');
    const cuts = [randomInt(20_000, 3 * MIB), randomInt(20_000, 9 * MIB), randomInt(20_000, 4 * MIB)];
    const it = await setUp({ HEADWATER_DATA_DIR: dataDir }, fsSettings(dataDir), cuts);
    try {
      const bytes = randomBytes(20 * MIB + 12_345);
      const upload = await create(it.api, { cors_origin: '*' });
      await sendByTus(bytes, { endpoint: upload.url });
      expect(it.proxy.cuts()).toBe(3);
      const found = await stored(it.storage, upload.id);
      expect(found).toMatchObject({ hash: sha256(bytes), bytes: bytes.byteLength });
      expect(found.largest).toBeLessThanOrEqual(8 * MIB);
      await expectQueued(it.api, upload);
      expect(it.api.logLines.join('\n')).not.toContain(upload.url.split('.').at(-1));
      expect(await it.api.metrics.expose()).toContain(`headwater_uploads_received_bytes_total ${bytes.byteLength}`);
    } finally {
      await it.stop();
    }
  });

  describe.skipIf(!isMinioHere)('on MinIO', () => {
    let minio: TestMinio;
    beforeAll(async () => {
      minio = await startMinio();
    });
    afterAll(() => minio.stop());

    test('the same', async () => {
      const s = minio.settings;
      const env = {
        HEADWATER_STORAGE: 's3',
        HEADWATER_DATA_DIR: s.DATA_DIR,
        HEADWATER_S3_ENDPOINT: s.S3_ENDPOINT ?? '',
        HEADWATER_S3_BUCKET: s.S3_BUCKET,
        HEADWATER_S3_ACCESS_KEY: s.S3_ACCESS_KEY ?? '',
        HEADWATER_S3_SECRET_KEY: s.S3_SECRET_KEY ?? '',
      };
      const it = await setUp(env, s, [randomInt(20_000, 5 * MIB), randomInt(20_000, 5 * MIB)]);
      try {
        const bytes = randomBytes(12 * MIB + 777);
        const upload = await create(it.api);
        await sendByTus(bytes, { endpoint: upload.url });
        expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes), bytes: bytes.byteLength });
        await expectQueued(it.api, upload);
        await it.api.call('DELETE', `/video/v1/assets/${upload.asset_id}`);
        expect(await stored(it.storage, upload.id)).toMatchObject({ bytes: 0 });
      } finally {
        await it.stop();
      }
    });
  });
});

describe('one address', () => {
  let it: Setting;
  beforeAll(async () => {
    const dataDir = await tempDir('api-put');
    const env = { HEADWATER_DATA_DIR: dataDir, HEADWATER_UPLOAD_MAX_BYTES: String(32 * MIB) };
    it = await setUp(env, fsSettings(dataDir), []);
  });
  afterAll(() => it.stop());

  const patch = (url: string, offset: number, body: Buffer, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'PATCH',
      body,
      headers: {
        'tus-resumable': '1.0.0',
        'upload-offset': String(offset),
        'content-type': 'application/offset+octet-stream',
        ...headers,
      },
    });
  const head = (url: string) => fetch(url, { method: 'HEAD', headers: { 'tus-resumable': '1.0.0' } });

  test('the given address is an upload address by itself: uploadUrl in tus-js-client', async () => {
    const bytes = randomBytes(300_000);
    const upload = await create(it.api, { length: bytes.byteLength });
    await sendByTus(bytes, { uploadUrl: upload.url }, { chunkSize: 100_000 });
    expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes) });
    await expectQueued(it.api, upload);
  });

  test('a length that is told with the last bytes', async () => {
    const bytes = randomBytes(50_000);
    const upload = await create(it.api);
    expect((await head(upload.url)).headers.get('upload-defer-length')).toBe('1');
    expect((await patch(upload.url, 0, bytes.subarray(0, 20_000))).status).toBe(204);
    const last = await patch(upload.url, 20_000, bytes.subarray(20_000), { 'upload-length': '50000' });
    expect(last.status).toBe(204);
    expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes) });
    await expectQueued(it.api, upload);
  });

  test('of many PATCH at one offset each byte is stored once', async () => {
    const bytes = randomBytes(400_000);
    const upload = await create(it.api, { length: bytes.byteLength });
    const answers = await Promise.all([1, 2, 3, 4].map(() => patch(upload.url, 0, bytes)));
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.every((status) => [204, 400, 409, 410, 423].includes(status))).toBe(true);
    const offset = Number((await head(upload.url)).headers.get('upload-offset'));
    if (offset < bytes.byteLength) await patch(upload.url, offset, bytes.subarray(offset));
    expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes), bytes: bytes.byteLength });
    await expectQueued(it.api, upload);
  });

  test('a wrong offset is 409 and stores nothing', async () => {
    const upload = await create(it.api, { length: 100 });
    expect((await patch(upload.url, 10, randomBytes(10))).status).toBe(409);
    expect((await head(upload.url)).headers.get('upload-offset')).toBe('0');
  });

  test('PUT with a length, and again after a broken one', async () => {
    const bytes = randomBytes(9 * MIB);
    const upload = await create(it.api);
    await new Promise<void>((resolve) => {
      const half = httpRequest(upload.url, { method: 'PUT', headers: { 'content-length': String(bytes.byteLength) } });
      half.on('error', () => resolve());
      half.write(bytes.subarray(0, 3 * MIB), () => half.destroy());
      half.on('close', () => resolve());
    });
    const answer = await fetch(upload.url, { method: 'PUT', body: bytes });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      data: { id: upload.id, status: 'asset_created', asset_id: upload.asset_id },
    });
    expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes), bytes: bytes.byteLength });
    await expectQueued(it.api, upload);
  });

  test('PUT without a length', async () => {
    const bytes = randomBytes(2 * MIB);
    const upload = await create(it.api);
    const status = await new Promise<number>((resolve, reject) => {
      const sending = httpRequest(upload.url, { method: 'PUT' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      sending.on('error', reject);
      for (let at = 0; at < bytes.byteLength; at += 65_536) sending.write(bytes.subarray(at, at + 65_536));
      sending.end();
    });
    expect(status).toBe(200);
    expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes) });
  });

  test('PUT in ranges goes on where the stored bytes end', async () => {
    const bytes = randomBytes(1_000);
    const upload = await create(it.api);
    const put = (range: string, body: Buffer) =>
      fetch(upload.url, { method: 'PUT', body, redirect: 'manual', headers: { 'content-range': range } });
    const first = await put('bytes 0-599/1000', bytes.subarray(0, 600));
    expect([first.status, first.headers.get('range')]).toEqual([308, 'bytes=0-599']);
    const wrong = await put('bytes 700-999/1000', bytes.subarray(700));
    expect([wrong.status, wrong.headers.get('range')]).toEqual([308, 'bytes=0-599']);
    expect((await put('bytes 600-999/1000', bytes.subarray(600))).status).toBe(200);
    expect(await stored(it.storage, upload.id)).toMatchObject({ hash: sha256(bytes) });
    await expectQueued(it.api, upload);
  });

  test('used up, it is gone; a question after the last byte still learns that all arrived', async () => {
    const upload = await create(it.api);
    expect((await fetch(upload.url, { method: 'PUT', body: 'once' })).status).toBe(200);
    expect((await fetch(upload.url, { method: 'PUT', body: 'twice' })).status).toBe(410);
    expect((await patch(upload.url, 4, Buffer.from('more'))).status).toBe(410);
    const asked = await head(upload.url);
    expect([asked.status, asked.headers.get('upload-offset')]).toEqual([200, '4']);
  });

  test('a wrong secret, path tricks and unknown ids are 404', async () => {
    const upload = await create(it.api);
    const wrong = `${upload.url.slice(0, -1)}${upload.url.endsWith('a') ? 'b' : 'a'}`;
    const base = upload.url.slice(0, upload.url.lastIndexOf('/'));
    const names = [wrong, `${base}/..%2f..%2fx`, `${base}/%00`, `${base}/${'n'.repeat(4_096)}`, `${base}/ünïcode.x`];
    for (const url of names) expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(404);
  });

  test('one byte over the limit is refused, told or not', async () => {
    const upload = await create(it.api);
    const created = await fetch(upload.url, {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-length': String(32 * MIB + 1) },
    });
    expect(created.status).toBe(413);
    const put = await fetch(upload.url, { method: 'PUT', body: Buffer.alloc(32 * MIB + 1) });
    expect(put.status).toBe(413);
    expect((await head(upload.url)).headers.get('upload-offset')).toBe('0');
  });

  test('an empty file is refused', async () => {
    const upload = await create(it.api);
    expect((await fetch(upload.url, { method: 'PUT', body: '' })).status).toBe(422);
  });

  test('tus termination cancels', async () => {
    const upload = await create(it.api, { length: 10 });
    await patch(upload.url, 0, Buffer.from('12345'));
    const gone = await fetch(upload.url, { method: 'DELETE', headers: { 'tus-resumable': '1.0.0' } });
    expect(gone.status).toBe(204);
    expect((await head(upload.url)).status).toBe(410);
    expect(await stored(it.storage, upload.id)).toMatchObject({ bytes: 0 });
    expect((await it.api.call('GET', `/video/v1/assets/${upload.asset_id}`)).status).toBe(404);
  });

  test('only the origin that the upload was made for may send from a page', async () => {
    const upload = await create(it.api, { cors_origin: 'https://app.example' });
    const ask = (origin: string) =>
      fetch(upload.url, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PATCH' } });
    const allowed = await ask('https://app.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(allowed.headers.get('access-control-allow-headers')).toContain('upload-offset');
    expect((await ask('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
    const real = await fetch(upload.url, {
      method: 'HEAD',
      headers: { 'tus-resumable': '1.0.0', origin: 'https://app.example' },
    });
    expect(real.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(real.headers.get('access-control-expose-headers')?.toLowerCase()).toContain('upload-offset');
  });
});
