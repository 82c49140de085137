// What an ingest node tells others and asks of them: its addresses and signals in the registry, second workers, the records of a new broadcast.
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLeases } from '../../platform/adapters/leases.ts';
import { createQueue, type JobQueue } from '../../platform/adapters/queue.ts';
import { createHeartbeat } from '../../platform/adapters/registry.ts';
import type { StreamId } from '../../platform/contract/ids.ts';
import { hotJobId } from '../../platform/contract/jobs.ts';
import { leases as leaseNames } from '../../platform/contract/redis-keys.ts';
import type { Component } from '../../platform/runtime/lifecycle.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { makeCertificate } from '../support/certificate.ts';
import {
  type Backstage,
  eventually,
  openBackstage,
  type RunningIngest,
  startIngest,
} from '../support/ingest-service.ts';
import { freePort } from '../support/ports.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { sampleNode } from '../support/sample-records.ts';
import { tempDir } from '../support/temp.ts';
import { TestEncoder } from '../support/test-encoder.ts';

let redis: TestRedis;
let settings: Record<string, string>;
let backstage: Backstage;
let queue: JobQueue;
let node: RunningIngest | null;
let encoders: TestEncoder[];
let others: Component[];

beforeEach(async () => {
  redis = await startRedis();
  settings = { REDIS_URL: redis.url, HEADWATER_DATA_DIR: await tempDir('registry') };
  backstage = await openBackstage(redis.url, settings['HEADWATER_DATA_DIR'] ?? '');
  queue = createQueue(redis.url, ['live'], silentLogger);
  await queue.start();
  node = null;
  encoders = [];
  others = [];
});
afterEach(async () => {
  for (const encoder of encoders) await encoder.cut();
  for (const other of others) await other.close();
  await node?.stop();
  await queue.close();
  await backstage.close();
  await redis.stop();
});

async function ingest(more: Record<string, string> = {}): Promise<RunningIngest> {
  node = await startIngest({ ...settings, ...more });
  return node;
}
const said = async () => (node === null ? null : backstage.said(node.node));
const live = (stream: StreamId) =>
  eventually('a live broadcast', async () => {
    const record = await backstage.broadcastOf(stream);
    return record?.ingest ? record : null;
  });
/** A worker as far as the registry shows one. */
async function addWorker(): Promise<void> {
  const worker = sampleNode('transcoder');
  const heartbeat = createHeartbeat(backstage.redis, () => worker, silentLogger);
  await heartbeat.start();
  others.push(heartbeat);
}

test('a broadcast takes the settings of its stream, and its content is held', async () => {
  const fields = { redundancy: 'hot', transcode: 'passthrough', dvr_window_s: 600, use_slate: true } as const;
  const { id, key } = await backstage.addStream(fields);
  const { rtmpPort } = await ingest();
  encoders.push(await TestEncoder.start(rtmpPort, key, 'picture'));
  const record = await live(id);
  expect(record).toMatchObject({ ...fields, fault: null, ingest: { key: 'primary' } });
  expect(record.asset_id).not.toBeNull();
  const content = await backstage.records.get('content', record.content_id);
  expect(content?.value).toMatchObject({ status: 'kept', holders: [record.id] });
});

test('hot redundancy: a second worker is asked for where there is one, else the broadcaster is told', async () => {
  const { id, key } = await backstage.addStream({ redundancy: 'hot' });
  await addWorker();
  const { rtmpPort } = await ingest();
  encoders.push(await TestEncoder.start(rtmpPort, key, 'picture'));
  const { id: broadcast } = await live(id);
  const lease = await createLeases(backstage.redis, silentLogger).acquire(leaseNames.live(broadcast), 3_000);
  const advice = async () => (await said())?.signals?.[id]?.advice ?? null;
  const isHot = (sentence: string) => sentence.startsWith('Hot redundancy needs 2 workers');
  await eventually('advice', async () => (await advice())?.some(isHot) ?? false);
  expect(await queue.state('live', hotJobId(broadcast, 0))).toBeNull();
  await addWorker();
  await eventually('the hot job', async () => (await queue.state('live', hotJobId(broadcast, 0))) === 'waiting');
  await eventually('no advice', async () => !((await advice())?.some(isHot) ?? true));
  await lease?.release();
});

test('the RTMPS address stands in the registry, and its port answers', async () => {
  const { cert, key } = await makeCertificate(await tempDir('tls'), 'ingest');
  const port = await freePort();
  await ingest({ HEADWATER_RTMPS_PORT: String(port), HEADWATER_TLS_CERT: cert, HEADWATER_TLS_KEY: key });
  expect((await said())?.tls_url).toBe(`rtmps://localhost:${port}/live`);
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  expect(socket.getPeerCertificate().subject.CN).toBe('ingest');
  socket.destroy();
});
