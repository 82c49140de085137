// One edge as a whole: origins found in a real registry, its own heartbeat, its life, a Redis that forgets.
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pickEdgeConfig } from '../../edge-cache/config.ts';
import { createEdge } from '../../edge-cache/service.ts';
import { orderEdge } from '../../platform/adapters/edge-roster.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry } from '../../platform/adapters/registry.ts';
import { type NodeId, newId } from '../../platform/contract/ids.ts';
import type { NodeInfo } from '../../platform/contract/nodes.ts';
import { parseSettings, type Settings } from '../../platform/contract/settings.ts';
import { SettingsInvalid } from '../../platform/runtime/errors.ts';
import type { Component, Service } from '../../platform/runtime/lifecycle.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { makeCertificate } from '../support/certificate.ts';
import { until } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { CONTENT, PLAYBACK, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const SECRET = 'edge-test-secret-of-32-characters';
const MASTER = `/${PLAYBACK}.m3u8`;

let redisServer: TestRedis;
let redis: RedisConnection;
let origins: TestOrigin[];
const open: Component[] = [];

function settingsOf(env: Record<string, string>): Settings {
  const parsed = parseSettings({
    REDIS_URL: redisServer.url,
    HEADWATER_INTERNAL_SECRET: SECRET,
    HEADWATER_BIND: '127.0.0.1',
    ...env,
  });
  if ('faults' in parsed) throw new SettingsInvalid(parsed.faults);
  return parsed.settings;
}

async function startEdge(env: Record<string, string> = {}): Promise<Service> {
  const context = { role: 'edge' as const, node: newId<NodeId>(), log: silentLogger, metrics: createMetrics(false) };
  const edge = createEdge(pickEdgeConfig(settingsOf(env)), context);
  open.push(edge);
  await edge.start();
  return edge;
}

async function announce(origin: TestOrigin): Promise<Component> {
  const node: NodeInfo = {
    id: newId(),
    role: 'origin',
    url: origin.url,
    public_url: null,
    private_url: origin.url,
    state: 'healthy',
    started_at: Date.now(),
    pid: process.pid,
    version: '0',
    load: {},
  };
  const heartbeat = createHeartbeat(redis, () => node, silentLogger);
  open.push(heartbeat);
  await heartbeat.start();
  return heartbeat;
}

const statusOf = async (url: string): Promise<number> => (await fetch(url)).status;

beforeAll(async () => {
  redisServer = await startRedis();
  redis = createRedis(redisServer.url, silentLogger);
  await redis.start();
  origins = [await startTestOrigin(), await startTestOrigin()];
  for (const origin of origins) await announce(origin);
});

afterAll(async () => {
  for (const component of open.reverse()) await component.close();
  await redis?.close();
  for (const origin of origins ?? []) await origin.stop();
  await redisServer?.stop();
});

describe('an edge', () => {
  it('finds the origins in the registry, serves, counts its viewers and says so in its heartbeat', async () => {
    const edge = await startEdge();
    const { url, public_url, private_url } = edge.addresses();
    expect(public_url).toBe(`http://localhost:${new URL(url).port}`);
    expect(await statusOf(`${url}/readyz`)).toBe(200);
    expect(await statusOf(`${url}${MASTER}`)).toBe(200);
    for (const viewer of ['one', 'two', 'two'])
      expect(await statusOf(`${url}/v/-/${CONTENT}/v240/index.m3u8?viewer=${viewer}`)).toBe(200);
    expect(await statusOf(`${private_url}/metrics`)).toBe(200);
    const registry = createRegistry(redis, ['edge'], silentLogger);
    open.push(registry);
    await registry.start();
    await until('the viewers are in the registry', 10_000, async () => {
      const node = registry.nodes('edge').find((item) => item.url === url);
      return node?.viewers?.[PLAYBACK] === 2;
    });
  });

  it('lists all edges, itself first', async () => {
    const first = await startEdge({ HEADWATER_EDGE_PUBLIC_URLS: 'https://a.example' });
    const second = await startEdge({ HEADWATER_EDGE_PUBLIC_URLS: 'https://b.example' });
    await until('they know each other', 10_000, async () => {
      const lists = await Promise.all(
        [first, second].map(async (edge) => (await fetch(`${edge.addresses().url}/edges.json`)).json()),
      );
      const edges = lists.map((list) => (list as { edges: string[] }).edges);
      return (
        edges[0]?.[0] === 'https://a.example' &&
        edges[0].includes('https://b.example') &&
        edges[1]?.[0] === 'https://b.example' &&
        edges[1].includes('https://a.example')
      );
    });
    await first.close();
    await second.close();
  });

  it('steers to the other edge while it is drained, and tells the registry, over a restart', async () => {
    const [a, b] = ['https://a.example', 'https://b.example'] as const;
    const first = await startEdge({ HEADWATER_EDGE_PUBLIC_URLS: a });
    const second = await startEdge({ HEADWATER_EDGE_PUBLIC_URLS: b });
    const registry = createRegistry(redis, ['edge'], silentLogger);
    open.push(registry);
    await registry.start();
    const priority = async (edge: Service, at = '.'): Promise<string[]> => {
      const answer = await fetch(`${edge.addresses().url}/steering.json?_HLS_pathway=${at}`);
      return ((await answer.json()) as { 'PATHWAY-PRIORITY': string[] })['PATHWAY-PRIORITY'];
    };
    const begins = (edge: Service, ids: string[], at?: string) =>
      until(`steering begins with ${ids.join()}`, 10_000, async () => (await priority(edge, at)).join() === ids.join());
    await begins(first, ['.', 'b.example']);
    await begins(second, ['.', 'a.example']);

    await orderEdge(redis, a, 'drained');
    await begins(first, ['b.example', '.']);
    await begins(second, ['.', 'a.example'], 'a.example');
    const stateOf = (address: string) => registry.nodes('edge').find((node) => node.public_url === address);
    await until('the registry says so', 10_000, async () => stateOf(a)?.is_drained === true);
    expect(stateOf(a)?.state).toBe('draining');
    expect(stateOf(b)?.is_drained).toBeUndefined();
    expect(await statusOf(`${first.addresses().url}${MASTER}`)).toBe(200);
    expect(await statusOf(`${first.addresses().url}/readyz`)).toBe(200);

    await first.close();
    const again = await startEdge({ HEADWATER_EDGE_PUBLIC_URLS: a });
    expect(await priority(again, 'b.example')).toEqual(['b.example', '.']);
    await orderEdge(redis, a, 'open');
    await begins(again, ['.', 'b.example'], 'b.example');
    await again.close();
    await second.close();
  });

  it('goes on serving through an emptied and a dead Redis', async () => {
    const edge = await startEdge();
    const { url } = edge.addresses();
    await redisServer.flush();
    for (let i = 0; i < 20; i += 1)
      expect(await statusOf(`${url}/v/-/${CONTENT}/v240/0/s${1_000 + i}.writer.m4s`)).toBe(200);
    await redisServer.kill();
    for (let i = 0; i < 20; i += 1)
      expect(await statusOf(`${url}/v/-/${CONTENT}/v240/0/s${2_000 + i}.writer.m4s`)).toBe(200);
    await redisServer.restart();
    await edge.close();
  });

  it('needs no Redis when the origins are listed', async () => {
    const edge = await startEdge({
      REDIS_URL: 'redis://127.0.0.1:1/0',
      HEADWATER_ORIGINS: origins.map((origin) => origin.url).join(','),
    });
    const { url } = edge.addresses();
    expect(await statusOf(`${url}${MASTER}`)).toBe(200);
    await edge.drain?.();
    await expect(statusOf(`${url}${MASTER}`)).rejects.toThrow();
    await edge.close();
    await edge.close();
  });

  it('keeps media on disk where that is switched on, for its next life', async () => {
    const env = { HEADWATER_EDGE_DISK_BYTES: '100000000', HEADWATER_DATA_DIR: await tempDir('edge-data') };
    const path = `/v/-/${CONTENT}/v240/0/s9000.writer.m4s`;
    const how: (string | null)[] = [];
    for (let life = 0; life < 2; life += 1) {
      const edge = await startEdge(env);
      const answer = await fetch(edge.addresses().url + path);
      how.push(answer.headers.get('x-cache'));
      await answer.arrayBuffer();
      await edge.drain?.();
      await edge.close();
    }
    expect(how).toEqual(['MISS', 'HIT']);
    expect(await readdir(join(env.HEADWATER_DATA_DIR, 'edge-cache'))).toHaveLength(1);
  });

  it('purges on its private listener only, for those who have the secret', async () => {
    const data = await tempDir('edge-data');
    const edge = await startEdge({ HEADWATER_EDGE_DISK_BYTES: '100000000', HEADWATER_DATA_DIR: data });
    const { url, private_url } = edge.addresses();
    const watch = async () => {
      const answer = await fetch(`${url}/v/-/${CONTENT}/v240/0/s9100.writer.m4s`);
      await answer.arrayBuffer();
      return answer.headers.get('x-cache');
    };
    const files = async () =>
      (await readdir(join(data, 'edge-cache'), { recursive: true })).filter((name) => name.length > 40);
    const purge = (base: string, id: string, secret: string) =>
      fetch(`${base}/purge/${id}`, { method: 'POST', headers: { 'headwater-internal': secret } });
    expect([await watch(), await watch()]).toEqual(['MISS', 'HIT']);
    await until('it is on disk', 10_000, async () => (await files()).length === 1);
    const refused = [
      purge(url, CONTENT, SECRET),
      purge(private_url, CONTENT, 'wrong'),
      purge(private_url, '..%2f..', SECRET),
    ];
    expect((await Promise.all(refused)).map(({ status }) => status)).toEqual([405, 401, 404]);
    expect(await watch()).toBe('HIT');
    const purged = await purge(private_url, CONTENT, SECRET);
    expect([purged.status, await purged.json()]).toEqual([200, { memory: 1, disk: 1 }]);
    expect(await files()).toEqual([]);
    expect(await watch()).toBe('MISS');
    await edge.close();
  });

  it('finishes the answer under way when it drains', async () => {
    const origin = origins[0];
    if (origin === undefined) throw new Error('no origin');
    const edge = await startEdge({ HEADWATER_ORIGINS: origin.url });
    const held = origin.hold();
    const { port } = new URL(edge.addresses().url);
    const answer = new Promise<number>((resolve, reject) => {
      const path = `/v/-/${CONTENT}/v240/0/s777.writer.m4s`;
      request({ port, host: '127.0.0.1', path }, (res) => {
        let bytes = 0;
        res.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        res.on('end', () => resolve(bytes));
        res.on('error', reject);
      })
        .on('error', reject)
        .end();
    });
    await held.reached;
    const drained = edge.drain?.();
    held.release();
    expect(await answer).toBe(origin.segmentBytes);
    await drained;
    await edge.close();
  });

  it('serves HTTPS beside HTTP and says where in the registry, its public address as configured', async () => {
    const { cert, key } = await makeCertificate(await tempDir('edge-service'), 'localhost');
    const edge = await startEdge({
      HEADWATER_EDGE_TLS_PORTS: '0',
      HEADWATER_TLS_CERT: cert,
      HEADWATER_TLS_KEY: key,
      HEADWATER_EDGE_PUBLIC_URLS: 'https://watch.example',
    });
    const registry = createRegistry(redis, ['edge'], silentLogger);
    open.push(registry);
    await registry.start();
    const own = () => registry.nodes('edge').find((item) => item.url === edge.addresses().url);
    await until('it is in the registry', 10_000, async () => own() !== undefined);
    expect(own()?.public_url).toBe('https://watch.example');
    const tlsUrl = own()?.tls_url ?? '';
    expect(tlsUrl).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const session = connect(tlsUrl, { rejectUnauthorized: false });
    const stream = session.request({ ':path': MASTER });
    const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(fields[':status']).toBe(200);
    stream.resume();
    await once(stream, 'close');
    const ended = once(session, 'close');
    await edge.drain?.();
    await ended;
    await edge.close();
  });

  it('refuses a TLS port without a certificate, naming what is missing', () => {
    const pick = (env: Record<string, string>) => () =>
      pickEdgeConfig(settingsOf({ HEADWATER_EDGE_TLS_PORTS: '8443', ...env }));
    expect(pick({})).toThrow(/HEADWATER_TLS_CERT: is required with HEADWATER_EDGE_TLS_PORTS\n.*HEADWATER_TLS_KEY/);
    expect(pick({ HEADWATER_TLS_CERT: 'a.crt' })).toThrow(/^(?!.*TLS_CERT: ).*HEADWATER_TLS_KEY: is required/s);
    expect(pick({ HEADWATER_TLS_CERT: 'a.crt', HEADWATER_TLS_KEY: 'a.key' })().tls).toEqual({
      port: 8443,
      cert: 'a.crt',
      key: 'a.key',
    });
  });

  it('refuses to start without the secret between roles', () => {
    const settings = settingsOf({ HEADWATER_INTERNAL_SECRET: '' });
    expect(() => pickEdgeConfig(settings)).toThrow(SettingsInvalid);
  });
});
