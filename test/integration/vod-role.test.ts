// The transcoder as a role: it starts with both pools, says so, and goes.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { headers } from '../../platform/contract/routes.ts';
import { startVodRig, type VodRig } from './vod-rig.ts';

let rig: VodRig;
beforeAll(async () => {
  rig = await startVodRig();
}, 60_000);
afterAll(() => rig.stop(), 60_000);

it('answers health, metrics and state, is registered, drains and leaves nothing', async () => {
  const service = await rig.startWorker({ HEADWATER_TRANSCODER_POOLS: 'both', HEADWATER_SANDBOX: 'prlimit' });
  const { private_url: url } = service.addresses();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const text = await (await fetch(`${url}/metrics`)).text();
  for (const name of [
    'headwater_jobs_active{queue="vod"} 0',
    'headwater_job_duration_seconds',
    'headwater_transcode_speed_ratio',
  ]) {
    expect(text).toContain(name);
  }
  expect((await fetch(`${url}/state`)).status).toBe(401);
  const state = await fetch(`${url}/state`, { headers: { [headers.internal]: 's'.repeat(32) } });
  expect(await state.json()).toEqual({
    sandbox: 'prlimit',
    jobs: { vod: 0, live: 0 },
    concurrency: { vod: 1, live: 2 },
    live: { cost: 0, capacity: 2 },
  });
  const nodes = Object.values(await rig.client.client.hGetAll('hw:nodes:transcoder')).map((text) => JSON.parse(text));
  expect(nodes).toMatchObject([{ role: 'transcoder', url, state: 'healthy', pool: 'both', encodes: {} }]);
  expect(nodes[0]?.load).toEqual({ jobs: 0, live_jobs: 0, vod_jobs: 0, live_cost: 0, live_capacity: 2 });
  await service.drain?.();
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  await service.close();
  await service.close();
  expect(await rig.client.client.hLen('hw:nodes:transcoder')).toBe(0);
  for (const folder of ['scratch', 'spool']) expect(await readdir(join(rig.dir, folder))).toEqual([]);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});
