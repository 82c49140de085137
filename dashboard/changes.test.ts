// Spoken changes: what went live, off air, became ready or failed; nothing at first sight.
import { describe, expect, it } from 'vitest';
import type { Overview, OverviewAsset, OverviewStream } from '../platform/contract/overview.ts';
import { overviewAsset, overviewStream } from '../test/support/overview-rows.ts';
import { changesBetween } from './changes.ts';

const stream = (status: OverviewStream['status'], title = 'Pier', more: Partial<OverviewStream> = {}): OverviewStream =>
  overviewStream({ status, title, ...more });
const asset = (status: OverviewAsset['status']): OverviewAsset => overviewAsset({ status });
const overview = (streams: OverviewStream[], assets: OverviewAsset[] = []): Overview => ({
  rtmp_url: '',
  storage: '',
  nodes: [],
  jobs: [],
  streams,
  assets,
});

describe('changesBetween', () => {
  it('says nothing at first', () => expect(changesBetween(null, overview([stream('active')]))).toEqual([]));

  it('says what goes on and off air', () => {
    const idle = overview([stream('idle')]);
    const active = overview([stream('active')]);
    expect(changesBetween(idle, active)).toEqual(['Pier is live']);
    expect(changesBetween(active, idle)).toEqual(['Pier is off air']);
    expect(changesBetween(idle, overview([stream('active', '')]))).toEqual(['Live stream is live']);
    expect(changesBetween(active, active)).toEqual([]);
  });

  it('says what happens to the signal of a stream on air', () => {
    const rows = (more: Partial<OverviewStream>) => overview([stream('active', 'Pier', more)]);
    const said = (before: Partial<OverviewStream>, after: Partial<OverviewStream>) =>
      changesBetween(rows(before), rows(after));
    const advice = ['Key frames come every 9 s: set the interval to 2 s.'];
    expect(said({}, { is_away: true })).toEqual(['Pier waits for its encoder']);
    expect(said({ is_away: true }, {})).toEqual(['The encoder of Pier is back']);
    expect(said({}, { health: 'starving', advice })).toEqual([`The signal of Pier is starving. ${advice[0]}`]);
    expect(said({ health: 'starving', advice }, { health: 'starving', advice })).toEqual([]);
    expect(said({ health: 'starving' }, { health: 'healthy' })).toEqual(['The signal of Pier is healthy again']);
    expect(said({}, { health: 'healthy' })).toEqual([]);
    expect(said({ publishing_key: 'primary' }, { publishing_key: 'backup' })).toEqual([
      'Pier is shown from its backup encoder',
    ]);
    expect(said({}, { fault: 'no video' })).toEqual(['Pier cannot be shown: no video']);
  });

  it('says what became ready or failed, not what is new', () => {
    const before = overview([], [asset('preparing')]);
    expect(changesBetween(before, overview([], [asset('ready')]))).toEqual(['Clip is ready']);
    expect(changesBetween(before, overview([], [asset('errored')]))).toEqual(['Clip failed']);
    expect(changesBetween(overview([]), before)).toEqual([]);
  });
});
