// Must show B, short form: what live playlists say, at every reload, for one stream of each kind.
import { expect, it } from 'vitest';
import { FRAME_RATES, type LatencyMode } from '../../platform/contract/latency.ts';
import { judgeCases, type LawCase, lawPlatform, violationsOf } from '../support/law-matrix.ts';
import { platformPerFile } from '../support/once-per-file.ts';

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

const platform = platformPerFile(lawPlatform(CASES.length));

it('live playlists keep every rule at every reload, and name nothing that is not there', async () => {
  const results = await judgeCases(platform(), CASES, SECONDS);
  expect(violationsOf(results)).toEqual([]);
  expect(results.length).toBe(13);
  for (const { mode, judgement } of results) {
    const least = mode === 'standard' ? SECONDS / 2 - 3 : SECONDS;
    expect(judgement.reloads).toBeGreaterThan(least);
    expect(judgement.deltas).toBeGreaterThan(0);
  }
}, 240_000);
