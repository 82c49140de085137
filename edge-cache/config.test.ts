// The settings of balancing as the edge takes them.
import { describe, expect, it } from 'vitest';
import { parseSettings, settings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { strategies } from './balancer.ts';
import { type EdgeConfig, pickEdgeConfig } from './config.ts';

function configOf(env: Record<string, string>): EdgeConfig {
  const parsed = parseSettings({ HEADWATER_INTERNAL_SECRET: 'a-secret-of-thirty-two-characters', ...env });
  if ('faults' in parsed) throw new SettingsInvalid(parsed.faults);
  return pickEdgeConfig(parsed.settings);
}

describe('the settings of an edge', () => {
  it('know every strategy', () => {
    expect([...settings.EDGE_STRATEGY.schema.unwrap().options].sort()).toEqual(Object.keys(strategies).sort());
    expect(configOf({ HEADWATER_EDGE_STRATEGY: 'consistent-hash' }).strategy).toBe('consistent-hash');
    expect(() => configOf({ HEADWATER_EDGE_STRATEGY: 'fastest' })).toThrow(SettingsInvalid);
  });

  it('give origins weights by address', () => {
    const { originWeights } = configOf({ HEADWATER_EDGE_ORIGIN_WEIGHTS: 'http://a:1/=3, http://b:2=0.5' });
    expect([...originWeights]).toEqual([
      ['http://a:1', 3],
      ['http://b:2', 0.5],
    ]);
    expect(configOf({}).originWeights.size).toBe(0);
  });

  it.each(['http://a:1', 'http://a:1=', 'http://a:1=0', 'http://a:1=-1', 'a=2', '=2', 'http://a:1=x'])(
    'refuse the weight %s',
    (text) => {
      expect(() => configOf({ HEADWATER_EDGE_ORIGIN_WEIGHTS: text })).toThrow(/HEADWATER_EDGE_ORIGIN_WEIGHTS/);
    },
  );

  it('refuse a threshold that no window of health checks can reach', () => {
    const env = { HEADWATER_EDGE_PROBE_WINDOW: '8', HEADWATER_EDGE_PROBE_THRESHOLD: '3' };
    expect(configOf(env).originTuning.probes).toEqual({ window: 8, threshold: 3 });
    expect(() => configOf({ ...env, HEADWATER_EDGE_PROBE_THRESHOLD: '9' })).toThrow(/EDGE_PROBE_THRESHOLD: must not/);
  });
});
