// Must show B, short form: what live playlists say, at every reload, for one stream of each kind.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FRAME_RATES, type LatencyMode } from '../../platform/contract/latency.ts';
import { judgeCases, type LawCase, violationsOf } from '../support/law-matrix.ts';
import { type Platform, startPlatform } from '../support/platform.ts';

const SECONDS = 20;
const at = (mode: LatencyMode, rate: number, tracks: LawCase['tracks'] = 'both'): LawCase => ({
  mode,
  fps: FRAME_RATES[rate] ?? FRAME_RATES[3],
  tracks,
});
const CASES: LawCase[] = [
  at('ultra', 3),
  at('ultra', 1, 'video'),
  at('low', 0),
  at('low', 2),
  at('low', 3, 'audio'),
  at('default', 4),
  at('default', 5, 'video'),
  at('standard', 1),
];

let platform: Platform;

beforeAll(async () => {
  const env = {
    HEADWATER_TRANSCODERS: '1',
    HEADWATER_TRANSCODER_LIVE_JOBS: '10',
    HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
  };
  platform = await startPlatform({ storage: 'fs', env });
}, 120_000);

afterAll(async () => {
  await platform?.stop();
});

it('live playlists keep every rule at every reload, and name nothing that is not there', async () => {
  const results = await judgeCases(platform, CASES, SECONDS);
  expect(violationsOf(results)).toEqual([]);
  expect(results.length).toBe(13);
  for (const { mode, judgement } of results) {
    const least = mode === 'standard' ? SECONDS / 2 - 3 : SECONDS;
    expect(judgement.reloads).toBeGreaterThan(least);
    expect(judgement.deltas).toBeGreaterThan(0);
  }
}, 240_000);
