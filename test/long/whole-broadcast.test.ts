// Must show E, full form: 30 minutes.
import { expect, it } from 'vitest';
import { browserPerFile, platformPerFile } from '../support/once-per-file.ts';
import { runWholeBroadcast } from '../support/whole-broadcast.ts';
import { keepFigures } from './live-figures.ts';

const SECONDS = 1_800;
const JUDGED_S = 1_200;

// A cache that is full within the first minutes: what grows after that is a leak and not the cache.
const env = { HEADWATER_TRANSCODERS: '1', HEADWATER_EDGE_MEMORY_BYTES: String(40 * 1024 ** 2) };
const platform = platformPerFile({ storage: 'fs', env });
const browser = browserPerFile();

it('a broadcast of 30 minutes keeps its memory, can be rewound to its start, and loses no picture', async () => {
  const seen = await runWholeBroadcast(platform(), browser(), SECONDS, JUDGED_S);
  await keepFigures('whole-broadcast', 'test/long/whole-broadcast.test.ts', seen);
  for (const [name, growth] of Object.entries(seen.growthMbPerMinute)) expect(growth, name).toBeLessThan(1);
  expect(seen.endToAssetMs).toBeLessThanOrEqual(5_000);
  expect(seen.liveBreaks).toBe(0);
  expect(seen.assetBreaks).toBe(0);
  expect(seen.isSame).toBe(true);
  expect(seen.rewoundS).toBeGreaterThan(SECONDS - 60);
}, 2_400_000);
