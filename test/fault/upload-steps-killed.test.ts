// Must show D: whoever publishes an upload is killed with -9 at each step of it. Nobody is held to a time here: it runs beside other files.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Moment, StoreProxy } from '../support/killing-proxy.ts';
import { expectReadyOnce, type KillingRig, killWorkers, startKillingRig } from '../support/killing-rig.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, until } from '../support/platform.ts';
import { type AssetView, createUpload, putFile, readAsset } from '../support/story.ts';

/** One video rung and sound, two segments. */
const SMALL_SECONDS = 8;

let rig: KillingRig;
let platform: Platform;
let proxy: StoreProxy;

beforeAll(async () => {
  rig = await startKillingRig(SMALL_SECONDS, { width: 320, height: 240 });
  ({ platform, proxy } = rig);
}, 180_000);

afterAll(() => rig?.stop());

describe.runIf(await hasMinio())('a worker', () => {
  const steps: [string, (path: string, asset: string) => boolean, (asset: AssetView) => boolean][] = [
    ['takes the record', (path, asset) => path.includes(`/records/asset/${asset}`), () => true],
    ['stores an init', (path, asset) => path.includes(`/media/${asset}/`) && path.includes('/init.mp4'), () => true],
    ['stores a segment', (path, asset) => path.includes(`/media/${asset}/v`) && path.includes('/s1.'), () => true],
    ['stores a rendition table', (path, asset) => path.includes(`/index/${asset}/`), () => true],
    [
      'adds a rendition to the record',
      (path, asset) => path.includes(`/records/asset/${asset}`),
      (asset) => asset.progress.percent > 0,
    ],
    ['stores a picture', (path, asset) => path.includes(`/media/${asset}/images/`), () => true],
    [
      'makes the asset ready',
      (path, asset) => path.includes(`/records/asset/${asset}`),
      (asset) => asset.renditions.length === 2,
    ],
  ];
  const moments: Moment[] = ['before', 'after'];
  const cases = steps.flatMap(([step, matches, isTime]) =>
    moments.map((moment) => ({ step, moment, matches, isTime })),
  );
  it.each(cases)(
    'that $step, killed $moment the store has done it, costs nothing',
    async ({ moment, matches, isTime }) => {
      const upload = await createUpload(platform);
      expect(await putFile(upload.url, rig.clip)).toBeLessThan(300);
      await until(
        'the time to arm',
        60_000,
        async () => {
          const asset = await readAsset(platform, upload.asset_id);
          return isTime(asset) || asset.status === 'ready';
        },
        5,
      );
      proxy.arm({
        moment,
        matches: (method, path) => method === 'PUT' && matches(path, upload.asset_id),
        fire: () => killWorkers(platform),
      });
      await until('the kill', 60_000, async () => proxy.hasFired());
      await expectReadyOnce(platform, upload.asset_id, SMALL_SECONDS);
    },
    200_000,
  );

  it.each(moments)(
    'api, killed %s the store has noted that an upload is whole, costs nothing',
    async (moment) => {
      const upload = await createUpload(platform);
      proxy.arm({
        moment,
        matches: (method, path) => method === 'PUT' && path.includes(`/records/asset/${upload.asset_id}`),
        fire: async () => {
          await platform.kill('api');
        },
      });
      const { pid } = platform.process('api');
      await putFile(upload.url, rig.clip).catch(() => null);
      expect(proxy.hasFired()).toBe(true);
      await platform.restored('api', pid, 10_000);
      await expectReadyOnce(platform, upload.asset_id, SMALL_SECONDS);
    },
    200_000,
  );
});
