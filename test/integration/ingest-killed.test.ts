// An ingest process that is killed: its encoder goes on at another node, or the backup there takes over; the broadcast is the same.
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { NodeId, StreamId } from '../../platform/contract/ids.ts';
import { NODE_TTL_MS } from '../../platform/contract/nodes.ts';
import { RING_KINDS } from '../../platform/contract/ring.ts';
import { buildIngest, type IngestProcess, startIngestProcess } from '../support/ingest-process.ts';
import { type Backstage, eventually, openBackstage, openRing, textsOf } from '../support/ingest-service.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { TestEncoder } from '../support/test-encoder.ts';

let script: string;
let redis: TestRedis;
let backstage: Backstage;
let stream: { id: StreamId; key: string; backupKey: string };
let nodes: IngestProcess[];
let encoders: TestEncoder[];

beforeAll(async () => {
  script = await buildIngest();
});
beforeEach(async () => {
  redis = await startRedis();
  const dataDir = await tempDir('killed');
  backstage = await openBackstage(redis.url, dataDir);
  stream = await backstage.addStream();
  encoders = [];
  const settings = { REDIS_URL: redis.url, HEADWATER_DATA_DIR: dataDir };
  nodes = await Promise.all([startIngestProcess(script, settings), startIngestProcess(script, settings)]);
});
afterEach(async () => {
  for (const encoder of encoders) await encoder.cut();
  for (const node of nodes) await node.kill();
  await backstage.close();
  await redis.stop();
});

function pairOfNodes(): [IngestProcess, IngestProcess] {
  const [a, b] = nodes;
  if (a === undefined || b === undefined) throw new Error('two nodes are needed');
  return [a, b];
}
async function encode(node: IngestProcess, key: string, name: string): Promise<TestEncoder> {
  const encoder = await TestEncoder.start(node.rtmpPort, key, name);
  encoders.push(encoder);
  return encoder;
}
const onAirAt = (node: NodeId, ms: number) =>
  eventually(
    'the node on air',
    async () => {
      const record = await backstage.broadcastOf(stream.id);
      return record?.ingest?.node === node ? record : null;
    },
    ms,
  );

test('its encoder reconnects to another node at once: the same broadcast goes on there', async () => {
  const [a, b] = pairOfNodes();
  await encode(a, stream.key, 'before');
  const opened = await onAirAt(a.node, 5_000);
  const atA = await openRing(a, opened.id);
  await a.kill();
  await eventually('readers are cut', async () => atA.over === 'cut');
  // The record still names the dead node, and the registry does not know of its death yet.
  expect((await backstage.broadcastOf(stream.id))?.ingest?.node).toBe(a.node);
  await encode(b, stream.key, 'after');
  expect((await onAirAt(b.node, 2_000)).id).toBe(opened.id);
  const atB = await openRing(b, opened.id);
  await eventually('its pictures', async () => textsOf(atB).some((text) => text.startsWith('after')));
  atB.close();
});

test('the backup at another node takes over when the registry has lost the dead one', async () => {
  const [a, b] = pairOfNodes();
  await encode(a, stream.key, 'primary');
  const opened = await onAirAt(a.node, 5_000);
  await encode(b, stream.backupKey, 'backup');
  const atA = await openRing(a, opened.id);
  await eventually('its pictures', async () => atA.of(RING_KINDS.video).length > 2);
  await a.kill();
  expect((await onAirAt(b.node, NODE_TTL_MS + 4_000)).ingest?.key).toBe('backup');
  const atB = await openRing(b, opened.id);
  await eventually('its pictures', async () => atB.of(RING_KINDS.video).length > 2);
  const [last, first] = [
    atA.of(RING_KINDS.video).at(-1),
    atB.of(RING_KINDS.video).find(({ payload }) => payload[1] === 1),
  ];
  // What the backup sent in the last seconds was kept: less is lost than it took to notice.
  const lostMs = (first?.arrival ?? 0) - (last?.arrival ?? 0);
  expect(lostMs).toBeGreaterThan(0);
  expect(lostMs).toBeLessThan(4_000);
  atB.close();
});
