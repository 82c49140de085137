// Must show C, full form: two minutes of 500 blocked low-latency viewers on two edges behind plain round robin.
import { expect, it } from 'vitest';
import { startBlockedWorld, watchBlocked } from '../support/blocked-viewers.ts';
import { oncePerFile } from '../support/once-per-file.ts';
import { keepFigures } from './live-figures.ts';

const VIEWERS = 500;
const SECONDS = 120;

const world = oncePerFile(startBlockedWorld, (started) => started.stop(), 180_000);

it('500 blocked viewers are one request per part and playlist of each edge for two minutes', async () => {
  const result = await watchBlocked(world(), { viewers: VIEWERS, seconds: SECONDS });
  await keepFigures('many-blocked-viewers', 'test/long/many-blocked-viewers.test.ts', result);
  expect(result.failures).toEqual([]);
  expect(result.askedAgain).toEqual([]);
  expect(result.upstreamFailures).toEqual([]);
  expect(result.differing).toEqual([]);
  expect(result.parts / VIEWERS / 2).toBeGreaterThan(SECONDS * 1.8);
}, 600_000);
