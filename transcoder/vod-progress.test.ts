// One percentage over all renditions, written seldom.
import { describe, expect, it } from 'vitest';
import type { RenditionName } from '../platform/contract/ids.ts';
import type { AudioPlan, RenditionPlan } from './vod-plan.ts';
import { type Progress, ProgressMeter } from './vod-progress.ts';

const plan = (name: string, weight: number): RenditionPlan => {
  const audio: AudioPlan = {
    kind: 'audio',
    name: name as RenditionName,
    streamIndex: 0,
    durationS: null,
    grid: { num: 6, den: 1, startS: 0 },
    weight,
  };
  return audio;
};

function meter() {
  const written: Progress[] = [];
  const clock = { now: 0 };
  const sink = async (progress: Progress) => {
    written.push(progress);
  };
  return { written, clock, meter: new ProgressMeter(sink, () => clock.now) };
}

describe('ProgressMeter', () => {
  it('weighs renditions and never goes back', async () => {
    const m = meter();
    m.meter.begin([plan('a0', 10), plan('v240', 30), plan('v480', 60)], ['a0']);
    for (const [rendition, fraction] of [
      ['v240', 0.5],
      ['v240', 0.4],
      ['v240', 2],
    ] as const) {
      m.clock.now += 1_000;
      await m.meter.advance(rendition, fraction);
    }
    await m.meter.finish('v240');
    m.clock.now += 1_000;
    await m.meter.advance('v480', 1);
    expect(m.written.map((progress) => progress.percent)).toEqual([25, 25, 40, 99]);
    await m.meter.enter('ready');
    expect(m.written.at(-1)).toMatchObject({ state: 'ready', percent: 100 });
  });

  it('writes at most twice a second, but every state', async () => {
    const m = meter();
    m.meter.begin([plan('a0', 1)], []);
    for (let step = 0; step < 100; step += 1) {
      m.clock.now += 20;
      await m.meter.advance('a0', step / 100);
    }
    expect(m.written.length).toBeLessThanOrEqual(5);
    await m.meter.enter('finishing');
    await m.meter.enter('errored');
    expect(m.written.slice(-2).map((progress) => progress.state)).toEqual(['finishing', 'errored']);
  });

  it('says 0 while nothing is planned', async () => {
    const m = meter();
    await m.meter.enter('downloading');
    await m.meter.enter('probing');
    expect(m.written.map((progress) => progress.percent)).toEqual([0, 0]);
  });
});
