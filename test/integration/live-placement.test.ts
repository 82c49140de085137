// A whole transcoder role with room for one encoded broadcast: it carries several that are passed through, and gives back what does not fit.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createQueue } from '../../platform/adapters/queue.ts';
import { createHeartbeat } from '../../platform/adapters/registry.ts';
import { liveJobId } from '../../platform/contract/jobs.ts';
import { NodeInfo } from '../../platform/contract/nodes.ts';
import { livePictureKey } from '../../platform/contract/object-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { RABBIT } from '../support/media.ts';
import { LiveRig } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';
import { startVodRig, type VodRig } from './vod-rig.ts';

const COPIES = 3;
let platform: VodRig;
let clip: FlvFileTag[];

beforeAll(async () => {
  platform = await startVodRig();
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(platform.dir, 'clip.flv'), { seconds: 8, fps: '15', gop: 30, audio });
});
afterAll(() => platform.stop());

test('pass-through broadcasts run side by side, an encoded one waits for room', async () => {
  const queue = createQueue(platform.redis.url, ['live'], silentLogger);
  await queue.start();
  const copies = Array.from({ length: COPIES }, () => new LiveRig(platform.dir, platform.redis.url));
  const encoded = new LiveRig(platform.dir, platform.redis.url);
  const rigs = [...copies, encoded];
  for (const rig of copies) await rig.start('standard', { transcode: 'passthrough' });
  await encoded.start('standard');
  const beats = [];
  for (const rig of rigs) {
    const base = { role: 'ingest', url: rig.ringUrl, public_url: null, private_url: '', state: 'healthy' };
    const node = { ...base, id: (await rig.record()).ingest?.node, started_at: 0, pid: 1, version: '', load: {} };
    const beat = createHeartbeat(platform.client, () => NodeInfo.parse(node), silentLogger);
    await beat.start();
    beats.push(beat);
  }
  const service = await platform.startWorker({
    HEADWATER_TRANSCODER_POOLS: 'live',
    HEADWATER_TRANSCODER_LIVE_JOBS: '1',
    HEADWATER_SANDBOX: 'prlimit',
    HEADWATER_INTERNAL_SECRET: encoded.ring.secret,
  });
  const enqueue = (rig: LiveRig) =>
    queue.enqueue('live', liveJobId(rig.broadcast, 1), {
      ...{ version: 1, broadcast_id: rig.broadcast, term: 1, place: 'leader' },
    } as const);
  const publishing = copies.map((rig) => rig.ring.publish(clip, 2));
  for (const rig of copies) await enqueue(rig);
  await Promise.all(copies.map((rig) => rig.until((entries) => entries.length > 2)));
  await enqueue(encoded);
  await platform.waitFor(
    'the job is given back',
    5_000,
    async () => ((await queue.state('live', liveJobId(encoded.broadcast, 1))) ?? '') === 'completed',
  );
  expect(await encoded.record()).toMatchObject({ term: 0, epochs: [] });
  const said = async (): Promise<NodeInfo> => {
    const [text] = Object.values(await platform.client.client.hGetAll('hw:nodes:transcoder'));
    return NodeInfo.parse(JSON.parse(text ?? ''));
  };
  await platform.waitFor('the node says so', 5_000, async () => (await said()).load['live_jobs'] === COPIES);
  const node = await said();
  expect(node).toMatchObject({ pool: 'live', load: { live_capacity: 1, vod_jobs: 0 } });
  expect(node.load['live_cost']).toBeCloseTo(COPIES / 20);
  expect(Object.keys(node.encodes ?? {}).sort()).toEqual(copies.map((rig) => rig.broadcast as string).sort());
  for (const encode of Object.values(node.encodes ?? {})) expect(encode.cost).toBeCloseTo(1 / 20);
  await Promise.all(publishing);
  for (const rig of copies) rig.ring.end();
  for (const rig of copies) {
    await platform.waitFor('the end', 10_000, async () => (await rig.record()).status === 'ended');
    expect((await platform.storage.head(livePictureKey(rig.content, 0))).contentType).toBe('image/jpeg');
  }
  await service.drain?.();
  await service.close();
  for (const part of [...beats, queue, ...rigs]) await part.close();
});
