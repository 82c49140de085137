// Must show B, full form: three minutes of every latency mode and frame rate, with and without sound and with sound alone.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { allLawCases, judgeCases, type LawResult, violationsOf } from '../support/law-matrix.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import { keepFigures } from './live-figures.ts';

const SECONDS = 180;
const AT_ONCE = 9;

let platform: Platform;

beforeAll(async () => {
  const env = {
    HEADWATER_TRANSCODERS: '1',
    HEADWATER_TRANSCODER_LIVE_JOBS: String(AT_ONCE + 2),
    HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
  };
  platform = await startPlatform({ storage: 'fs', env });
}, 120_000);

afterAll(async () => {
  await platform?.stop();
});

it('live playlists of every kind keep every rule for three minutes', async () => {
  const cases = allLawCases();
  const results: LawResult[] = [];
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    results.push(...(await judgeCases(platform, cases.slice(at, at + AT_ONCE), SECONDS)));
  }
  await keepFigures('live-playlists', 'test/long/live-playlists.test.ts', results);
  expect(violationsOf(results)).toEqual([]);
}, 3_000_000);
