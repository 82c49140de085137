// What a transcoder picks from the settings.
import { describe, expect, it } from 'vitest';
import { parseSettings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { pickTranscoderConfig } from './config.ts';

const pick = (env: Record<string, string>) => {
  const parsed = parseSettings(env);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return pickTranscoderConfig(parsed.settings);
};
const secret = { HEADWATER_INTERNAL_SECRET: 's'.repeat(32) };

describe('pickTranscoderConfig', () => {
  it('refuses to run without the internal secret, and names it', () => {
    expect(() => pick({})).toThrow(SettingsInvalid);
    expect(() => pick({})).toThrow('HEADWATER_INTERNAL_SECRET');
  });

  it.each([
    ['both', { live: 3, vod: 2 }],
    ['live', { live: 3, vod: 0 }],
    ['vod', { live: 0, vod: 2 }],
  ])('takes jobs of %s pools', (pools, concurrency) => {
    const jobs = { HEADWATER_TRANSCODER_LIVE_JOBS: '3', HEADWATER_TRANSCODER_VOD_JOBS: '2' };
    expect(pick({ ...secret, ...jobs, HEADWATER_TRANSCODER_POOLS: pools }).concurrency).toEqual(concurrency);
  });

  it('is reached by its private host, or by the address it listens on', () => {
    expect(pick(secret).advertisedHost).toBe('127.0.0.1');
    expect(pick({ ...secret, HEADWATER_PRIVATE_HOST: 'worker-1' }).advertisedHost).toBe('worker-1');
    expect(pick({ ...secret, HEADWATER_PRIVATE_BIND: '0.0.0.0' }).advertisedHost).not.toBe('0.0.0.0');
  });
});
