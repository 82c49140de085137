// Every REST route over parts in memory: envelopes, statuses, refusals.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import request from 'supertest';
import { describe, expect, test } from 'vitest';
import { type NodeId, newId } from '../platform/contract/ids.ts';
import type { NodeInfo } from '../platform/contract/nodes.ts';
import { type ApiTestParts, AUTHORIZATION, createApiParts } from '../test/support/api-parts.ts';
import { tempDir } from '../test/support/temp.ts';

const SETTINGS = { playback_policies: ['public'] };
type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete';
const call = (parts: ApiTestParts, verb: Verb, path: string) =>
  request(parts.app)[verb](path).set('authorization', AUTHORIZATION);

async function newUpload(parts: ApiTestParts, body: object = {}) {
  const answer = await call(parts, 'post', '/video/v1/uploads').send({ new_asset_settings: SETTINGS, ...body });
  expect(answer.status).toBe(201);
  return answer.body.data as { id: string; asset_id: string; url: string; status: string };
}
const pathOf = (url: string) => new URL(url).pathname;

/** An asset whose upload is complete. */
async function newAsset(parts: ApiTestParts, body: object = {}) {
  const upload = await newUpload(parts, body);
  await request(parts.app).put(pathOf(upload.url)).send(Buffer.from('video bytes')).expect(200);
  return upload;
}

describe('who may call', () => {
  const closed: [Verb, string][] = [
    ['post', '/video/v1/uploads'],
    ['get', '/video/v1/assets'],
    ['get', '/video/v1/no-such-route'],
    ['get', '/ops/v1/overview'],
    ['get', '/system/v1/whoami'],
  ];
  test.each(closed)('%s %s without a token is 401', async (verb, path) => {
    const answer = await request(createApiParts().app)[verb](path);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toMatch(/^Basic /);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ status: 401, code: 'API_TOKEN_REFUSED' });
  });

  test.each(['Basic !!!', 'Bearer x', `Basic ${Buffer.from('admin:wrong-secret-000').toString('base64')}`])(
    'a wrong token is 401: %s',
    async (authorization) => {
      const answer = await request(createApiParts().app).get('/system/v1/whoami').set('authorization', authorization);
      expect(answer.status).toBe(401);
    },
  );

  test('a page gets no dialog of the browser', async () => {
    const answer = await request(createApiParts().app).get('/system/v1/whoami').set('sec-fetch-dest', 'empty');
    expect(answer.headers['www-authenticate']).not.toMatch(/^Basic/);
  });

  test('health, readiness and the OpenAPI document are open', async () => {
    const { app } = createApiParts();
    await request(app).get('/healthz').expect(200);
    await request(app).get('/readyz').expect(200);
    await request(app).get('/video/v1/openapi.json').expect(200);
  });

  test('whoami names the token, not its secret', async () => {
    const answer = await call(createApiParts(), 'get', '/system/v1/whoami');
    expect(answer.body).toEqual({ data: { token_id: 'admin', scopes: ['admin'] } });
  });
});

describe('what does not fit', () => {
  const bad: [Verb, string, string][] = [
    ['post', '/video/v1/uploads', '{"new_asset_settings":'],
    ['post', '/video/v1/uploads', '{"cors_origin": 7}'],
    ['post', '/video/v1/uploads', '{"cors_origin": "https://a.example/path"}'],
    ['post', '/video/v1/uploads', '{"new_asset_settings": {"playback_policies": ["secret"]}}'],
    ['post', '/video/v1/uploads', '{"surprise": true}'],
    ['post', '/video/v1/live-streams', '{"latency_mode": "warp"}'],
    ['post', '/video/v1/live-streams', '{"reconnect_window": 1801}'],
    ['get', '/video/v1/assets?limit=101', ''],
  ];
  test.each(bad)('%s %s %s is 422', async (verb, path, body) => {
    const answer = await call(createApiParts(), verb, path).set('content-type', 'application/json').send(body);
    expect(answer.status).toBe(422);
    expect(answer.body.messages.length).toBeGreaterThan(0);
  });

  const unknown: [Verb, string][] = [
    ['get', '/video/v1/assets/AAAAAAAAAAAAAAAAAAAAAA'],
    ['get', '/video/v1/assets/..%2f..%2fetc'],
    ['delete', '/video/v1/assets/AAAAAAAAAAAAAAAAAAAAAA'],
    ['post', '/video/v1/assets/AAAAAAAAAAAAAAAAAAAAAA/retry'],
    ['get', '/video/v1/uploads/AAAAAAAAAAAAAAAAAAAAAA'],
    ['put', '/video/v1/uploads/AAAAAAAAAAAAAAAAAAAAAA/cancel'],
    ['get', '/video/v1/live-streams/AAAAAAAAAAAAAAAAAAAAAA'],
    ['post', '/video/v1/live-streams/AAAAAAAAAAAAAAAAAAAAAA/reset-stream-key'],
    ['delete', '/video/v1/live-streams/short'],
    ['post', '/ops/v1/jobs/vod/vod:AAAAAAAAAAAAAAAAAAAAAA:0/cancel'],
    ['post', '/ops/v1/jobs/sms/x/cancel'],
    ['get', '/video/v1/nothing'],
    ['get', '/nothing.txt'],
  ];
  test.each(unknown)('%s %s is 404', async (verb, path) => {
    const answer = await call(createApiParts(), verb, path);
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({ status: 404, code: 'API_NOT_FOUND' });
  });

  test('a body beyond 64 KB is 413', async () => {
    const answer = await call(createApiParts(), 'post', '/video/v1/uploads').send({ filename: 'x'.repeat(70_000) });
    expect(answer.status).toBe(413);
  });
});

describe('uploads', () => {
  test('creation answers a one-time address and makes the asset', async () => {
    const parts = createApiParts();
    const upload = await newUpload(parts, { cors_origin: 'https://app.example' });
    expect(upload.url).toMatch(/^http:\/\/api\.test\/uploads\/[A-Za-z0-9]{22}\.[A-Za-z0-9]{32}$/);
    expect(upload.status).toBe('waiting');
    const asset = await call(parts, 'get', `/video/v1/assets/${upload.asset_id}`);
    expect(asset.body.data).toMatchObject({
      status: 'preparing',
      progress: { state: 'waiting', percent: 0 },
      upload_id: upload.id,
      playback_ids: [{ policy: 'public' }],
    });
  });

  test('the address is shown once', async () => {
    const parts = createApiParts();
    const upload = await newUpload(parts);
    const secret = upload.url.split('.').at(-1) ?? '';
    const one = await call(parts, 'get', `/video/v1/uploads/${upload.id}`);
    const all = await call(parts, 'get', '/video/v1/uploads');
    expect(one.body.data).toMatchObject({ id: upload.id, offset: 0 });
    expect(all.body).toMatchObject({ data: [{ id: upload.id }], next_cursor: null });
    expect(JSON.stringify([one.body, all.body])).not.toContain(secret);
  });

  test('cancel ends it once, removes its asset, and the address is gone', async () => {
    const parts = createApiParts();
    const upload = await newUpload(parts);
    const cancelled = await call(parts, 'put', `/video/v1/uploads/${upload.id}/cancel`);
    expect(cancelled.body.data.status).toBe('cancelled');
    await call(parts, 'put', `/video/v1/uploads/${upload.id}/cancel`).expect(200);
    await call(parts, 'get', `/video/v1/assets/${upload.asset_id}`).expect(404);
    await request(parts.app).put(pathOf(upload.url)).send('late').expect(410);
  });

  test('a complete one cannot be cancelled', async () => {
    const parts = createApiParts();
    const upload = await newAsset(parts);
    await call(parts, 'put', `/video/v1/uploads/${upload.id}/cancel`).expect(409);
  });

  test('too little disk space is refused before anything is made', async () => {
    const parts = createApiParts({ freeBytes: 500 });
    const answer = await call(parts, 'post', '/video/v1/uploads').send({});
    expect(answer.status).toBe(507);
    expect((await call(parts, 'get', '/video/v1/assets')).body.data).toEqual([]);
  });

  test('a length beyond the limit is 413', async () => {
    const parts = createApiParts({ uploadMaxBytes: 10 });
    await call(parts, 'post', '/video/v1/uploads').send({ length: 11 }).expect(413);
  });
});

describe('assets', () => {
  test('PATCH needs the version it changes: 428, 412, then 200', async () => {
    const parts = createApiParts();
    const { asset_id } = await newUpload(parts);
    const path = `/video/v1/assets/${asset_id}`;
    await call(parts, 'patch', path).send({ title: 'A' }).expect(428);
    const etag = (await call(parts, 'get', path)).headers['etag'] ?? '';
    expect(etag).toMatch(/^".+"$/);
    const changed = await call(parts, 'patch', path).set('if-match', etag).send({ title: 'A' });
    expect(changed.body.data).toMatchObject({ title: 'A', description: '' });
    expect(changed.headers['etag']).not.toBe(etag);
    await call(parts, 'patch', path).set('if-match', etag).send({ title: 'B' }).expect(412);
    await call(parts, 'patch', path).set('if-match', '*').send({ description: 'd' }).expect(200);
    expect((await call(parts, 'get', path)).body.data).toMatchObject({ title: 'A', description: 'd' });
  });

  test('of two changes of one version one wins', async () => {
    const parts = createApiParts();
    const { asset_id } = await newUpload(parts);
    const path = `/video/v1/assets/${asset_id}`;
    const etag = (await call(parts, 'get', path)).headers['etag'] ?? '';
    const send = (title: string) => call(parts, 'patch', path).set('if-match', etag).send({ title });
    const statuses = (await Promise.all([send('A'), send('B'), send('C')])).map((answer) => answer.status);
    expect(statuses.sort()).toEqual([200, 412, 412]);
  });

  test('DELETE hides the asset and removes objects and job', async () => {
    const parts = createApiParts();
    const { asset_id, id } = await newAsset(parts);
    parts.storage.objects.set(`media/${asset_id}/v240/0/init.mp4`, Buffer.from('x'));
    parts.storage.objects.set(`index/${asset_id}/v240.abcd.json`, Buffer.from('x'));
    parts.storage.objects.set('media/other/v240/0/init.mp4', Buffer.from('x'));
    expect(parts.queue.jobs.size).toBe(1);
    await call(parts, 'delete', `/video/v1/assets/${asset_id}`).expect(204);
    await call(parts, 'get', `/video/v1/assets/${asset_id}`).expect(404);
    expect([...parts.storage.objects.keys()]).toEqual(['media/other/v240/0/init.mp4']);
    expect(parts.queue.jobs.size).toBe(0);
    expect((await call(parts, 'get', `/video/v1/uploads/${id}`)).body.data.status).toBe('asset_created');
    expect(parts.events).toContainEqual({ type: 'cancel-vod', id: asset_id });
  });

  test('cancel makes a waiting asset errored, retry a new round of it', async () => {
    const parts = createApiParts();
    const { asset_id } = await newAsset(parts);
    const path = `/video/v1/assets/${asset_id}`;
    await call(parts, 'post', `${path}/retry`).expect(409);
    const cancelled = await call(parts, 'post', `${path}/cancel`);
    expect(cancelled.body.data).toMatchObject({ status: 'errored', errors: { type: 'CANCELLED' } });
    expect(parts.queue.jobs.size).toBe(0);
    await call(parts, 'post', `${path}/cancel`).expect(409);
    const retried = await call(parts, 'post', `${path}/retry`);
    expect(retried.body.data).toMatchObject({ status: 'preparing', errors: null, progress: { state: 'queued' } });
    expect([...parts.queue.jobs.keys()]).toEqual([`vod:${asset_id}:0`]);
  });

  test.each(['cancel', 'delete'])('%s of an asset whose bytes are still to come ends its upload', async (what) => {
    const parts = createApiParts();
    const upload = await newUpload(parts);
    const path = `/video/v1/assets/${upload.asset_id}`;
    if (what === 'cancel') {
      const cancelled = await call(parts, 'post', `${path}/cancel`);
      expect(cancelled.body.data).toMatchObject({ status: 'errored', errors: { type: 'CANCELLED' } });
      await call(parts, 'post', `${path}/retry`).expect(409);
    } else await call(parts, 'delete', path).expect(204);
    expect((await call(parts, 'get', `/video/v1/uploads/${upload.id}`)).body.data.status).toBe('cancelled');
    await request(parts.app).put(pathOf(upload.url)).send('late').expect(410);
  });

  test('an asset that a worker holds is left for the worker to end', async () => {
    const parts = createApiParts();
    const { asset_id } = await newAsset(parts);
    parts.leases.held.set(`vod:${asset_id}`, 'worker');
    const answer = await call(parts, 'post', `/video/v1/assets/${asset_id}/cancel`);
    expect(answer.body.data.status).toBe('preparing');
    expect(parts.events).toContainEqual({ type: 'cancel-vod', id: asset_id });
  });

  test('retry after a failed job takes a job id of its own', async () => {
    const parts = createApiParts();
    const { asset_id } = await newAsset(parts);
    for (const job of parts.queue.jobs.values()) job.state = 'failed';
    await parts.assets.fail(asset_id as never, 'MALFORMED', ['no']);
    await call(parts, 'post', `/video/v1/assets/${asset_id}/retry`).expect(200);
    expect([...parts.queue.jobs.keys()]).toEqual([`vod:${asset_id}:0`, `vod:${asset_id}:1`]);
  });

  test('the list goes on by cursor', async () => {
    const parts = createApiParts();
    for (let count = 0; count < 3; count += 1) await newUpload(parts);
    const first = await call(parts, 'get', '/video/v1/assets?limit=2');
    const second = await call(parts, 'get', `/video/v1/assets?limit=2&cursor=${first.body.next_cursor}`);
    expect([first.body.data.length, second.body.data.length, second.body.next_cursor]).toEqual([2, 1, null]);
  });
});

describe('operations', () => {
  test('the overview shows jobs and assets, and answers 304 while nothing changes', async () => {
    const parts = createApiParts();
    const { asset_id } = await newAsset(parts);
    const first = await call(parts, 'get', '/ops/v1/overview');
    expect(first.body.data).toMatchObject({
      rtmp_url: 'rtmp://ingest.test/live',
      storage: 'memory',
      jobs: [{ queue: 'vod', id: `vod:${asset_id}:0`, state: 'waiting', asset_id }],
      assets: [{ id: asset_id, status: 'preparing', watch_url: null }],
    });
    const etag = first.headers['etag'] ?? '';
    await call(parts, 'get', '/ops/v1/overview').set('if-none-match', etag).expect(304);
    await newUpload(parts);
    await call(parts, 'get', '/ops/v1/overview').set('if-none-match', etag).expect(200);
  });

  test('cancel and retry of a job act on its asset', async () => {
    const parts = createApiParts();
    const { asset_id } = await newAsset(parts);
    const job = `/ops/v1/jobs/vod/vod:${asset_id}:0`;
    await call(parts, 'post', `${job}/cancel`).expect(204);
    expect((await call(parts, 'get', `/video/v1/assets/${asset_id}`)).body.data.status).toBe('errored');
    await call(parts, 'post', `${job}/retry`).expect(204);
    expect((await call(parts, 'get', `/video/v1/assets/${asset_id}`)).body.data.status).toBe('preparing');
    await call(parts, 'post', `/ops/v1/jobs/live/live:${asset_id}:1/retry`).expect(409);
  });

  test('an edge is drained and undrained under its public address, and never the last one', async () => {
    const parts = createApiParts();
    const one = edgeNode('http://one.test');
    parts.nodes.push(one);
    const order = (id: string, verb: string) => call(parts, 'post', `/ops/v1/edges/${id}/${verb}`);
    const refused = await order(one.id, 'drain').expect(409);
    expect(refused.body.messages).toEqual(['no other edge is there for its viewers']);
    // A second process behind the same address is no other edge.
    parts.nodes.push(edgeNode('http://one.test'));
    await order(one.id, 'drain').expect(409);
    const two = edgeNode('http://two.test');
    parts.nodes.push(two);
    await order(one.id, 'drain').expect(204);
    expect([...parts.edgeOrders]).toEqual([['http://one.test', 'drained']]);
    Object.assign(one, { state: 'draining', is_drained: true });
    const { nodes } = (await call(parts, 'get', '/ops/v1/overview')).body.data;
    expect(nodes[0]).toMatchObject({ id: one.id, state: 'draining', is_drained: true });
    expect(nodes[2]).toMatchObject({ id: two.id, is_drained: false });
    await order(one.id, 'undrain').expect(204);
    expect([...parts.edgeOrders]).toEqual([['http://one.test', 'open']]);
    await order('unknown', 'drain').expect(404);
    await order('unknown', 'undrain').expect(404);
  });

  test('requests are counted by route, without ids', async () => {
    const parts = createApiParts();
    const { asset_id } = await newUpload(parts);
    await call(parts, 'get', `/video/v1/assets/${asset_id}`);
    const text = await parts.metrics.expose();
    expect(text).toContain('headwater_api_requests_total{route="/video/v1/assets/:asset_id",status="200"} 1');
    expect(text).not.toContain(asset_id);
  });
});

describe('status page', () => {
  test('is served with a content security policy; its files are kept, itself is not', async () => {
    const pageFolder = await tempDir('page');
    await mkdir(join(pageFolder, 'assets'));
    await writeFile(join(pageFolder, 'index.html'), '<!doctype html>');
    await writeFile(join(pageFolder, 'assets', 'main.js'), '1');
    const { app } = createApiParts({ pageFolder });
    const page = await request(app).get('/').expect(200);
    expect(page.headers['content-security-policy']).toContain("default-src 'self'");
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(page.headers['cache-control']).toBe('no-cache');
    const script = await request(app).get('/assets/main.js').expect(200);
    expect(script.headers['cache-control']).toContain('immutable');
    await request(app).get('/../package.json').expect(404);
    await request(app).get('/%2e%2e/package.json').expect(404);
  });
});

test('no secret reaches a log line', async () => {
  const parts = createApiParts();
  const upload = await newAsset(parts);
  const stream = (await call(parts, 'post', '/video/v1/live-streams').send({})).body.data;
  await request(parts.app)
    .put(`${pathOf(upload.url)}`)
    .send('again');
  await request(parts.app).patch(pathOf(upload.url)).set('tus-resumable', '1.0.0').send('x');
  await call(parts, 'post', `/video/v1/live-streams/${stream.id}/reset-stream-key`);
  const text = parts.logLines.join('\n');
  expect(parts.logLines.length).toBeGreaterThan(3);
  for (const secret of [upload.url.split('.').at(-1), stream.stream_key, '0123456789abcdef', AUTHORIZATION])
    expect(text).not.toContain(secret);
});

const edgeNode = (publicUrl: string): NodeInfo => ({
  id: newId<NodeId>(),
  role: 'edge',
  url: publicUrl,
  public_url: publicUrl,
  private_url: publicUrl,
  state: 'healthy',
  started_at: 1,
  pid: 1,
  version: '0',
  load: {},
});
