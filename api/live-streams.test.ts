// Routes of live streams over parts in memory: keys shown once, kicks, versions, viewers.
import request from 'supertest';
import { describe, expect, test } from 'vitest';
import { type ApiTestParts, AUTHORIZATION, createApiParts } from '../test/support/api-parts.ts';

type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete';
const call = (parts: ApiTestParts, verb: Verb, path: string) =>
  request(parts.app)[verb](path).set('authorization', AUTHORIZATION);

describe('live streams', () => {
  const make = async (parts: ApiTestParts) =>
    (await call(parts, 'post', '/video/v1/live-streams').send({ title: 'Show', latency_mode: 'low' }).expect(201)).body
      .data as { id: string; stream_key: string; playback_ids: { id: string }[] };

  test('creation shows the key once; the record keeps its hash alone', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    expect(stream).toMatchObject({
      status: 'idle',
      latency_mode: 'low',
      rtmp_url: 'rtmp://ingest.test/live',
      playback_ids: [{ policy: 'public' }],
      viewer_count: 0,
    });
    expect(stream.stream_key).toMatch(/^[A-Za-z0-9]{32}$/);
    const shown = await call(parts, 'get', `/video/v1/live-streams/${stream.id}`);
    expect(shown.body.data.stream_key).toBeUndefined();
    const record = await parts.records.get('stream', stream.id);
    expect(JSON.stringify(record)).not.toContain(stream.stream_key);
    expect(parts.events).toContainEqual({ type: 'stream-keys' });
  });

  test('reset answers another key; ingest reads the keys anew, and cuts off who has none of them', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const before = await parts.records.get('stream', stream.id);
    const answer = await call(parts, 'post', `/video/v1/live-streams/${stream.id}/reset-stream-key`);
    expect(answer.body.data.stream_key).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(answer.body.data.stream_key).not.toBe(stream.stream_key);
    expect((await parts.records.get('stream', stream.id))?.value.key_hash).not.toBe(before?.value.key_hash);
    expect(parts.events.slice(-2)).toEqual([{ type: 'stream-keys' }, { type: 'stream', id: stream.id }]);
  });

  test('disable kicks, enable lets in again', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const off = await call(parts, 'put', `/video/v1/live-streams/${stream.id}/disable`);
    expect(off.body.data.status).toBe('disabled');
    expect(parts.events).toContainEqual({ type: 'kick', id: stream.id });
    const on = await call(parts, 'put', `/video/v1/live-streams/${stream.id}/enable`);
    expect(on.body.data.status).toBe('idle');
  });

  test('PATCH changes under If-Match', async () => {
    const parts = createApiParts();
    const path = `/video/v1/live-streams/${(await make(parts)).id}`;
    await call(parts, 'patch', path).send({ title: 'x' }).expect(428);
    await call(parts, 'patch', path).set('if-match', '"stale"').send({ title: 'x' }).expect(412);
    const etag = (await call(parts, 'get', path)).headers['etag'] ?? '';
    const answer = await call(parts, 'patch', path).set('if-match', etag).send({ reconnect_window: 0 });
    expect(answer.body.data).toMatchObject({ title: 'Show', reconnect_window: 0 });
    expect((await call(parts, 'get', '/video/v1/live-streams')).body.data).toHaveLength(1);
  });

  test('viewers are summed over edges, the bit rate comes from ingest', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const playback = stream.playback_ids[0]?.id ?? '';
    const base = { url: '', public_url: 'http://edge.test', private_url: '', state: 'healthy', pid: 1, version: '1' };
    const node = (role: string, more: object) => ({ ...base, id: role, role, started_at: 1, load: {}, ...more });
    parts.nodes.push(
      node('edge', { viewers: { [playback]: 3, other: 9 } }) as never,
      node('edge', { viewers: { [playback]: 4 } }) as never,
      node('ingest', { bitrates: { [stream.id]: 2_000_000 } }) as never,
    );
    const shown = await call(parts, 'get', `/video/v1/live-streams/${stream.id}`);
    expect(shown.body.data).toMatchObject({ viewer_count: 7, bitrate: 2_000_000 });
    const overview = await call(parts, 'get', '/ops/v1/overview');
    expect(overview.body.data.streams[0]).toMatchObject({
      viewer_count: 7,
      watch_url: `http://edge.test/watch/${playback}`,
      embed_url: `http://edge.test/embed/${playback}`,
    });
  });

  test('DELETE removes it at once when idle', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    await call(parts, 'delete', `/video/v1/live-streams/${stream.id}`).expect(204);
    expect(await parts.records.get('stream', stream.id)).toBeNull();
    expect(parts.events).toContainEqual({ type: 'kick', id: stream.id });
  });
});
