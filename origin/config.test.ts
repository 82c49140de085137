// What an origin takes from the settings.
import { expect, test } from 'vitest';
import { parseSettings, type Settings } from '../platform/contract/settings.ts';
import { pickOriginConfig } from './config.ts';

function settingsOf(env: Record<string, string>): Settings {
  const parsed = parseSettings(env);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return parsed.settings;
}
const SECRET = 'x'.repeat(32);

test('without the internal secret it refuses to start, naming the variable', () => {
  expect(() => pickOriginConfig(settingsOf({}))).toThrow(/HEADWATER_INTERNAL_SECRET/);
});

test('listens on the private address and registers under it', () => {
  const config = pickOriginConfig(settingsOf({ HEADWATER_INTERNAL_SECRET: SECRET, HEADWATER_PORT: '8090' }));
  expect(config).toMatchObject({ port: 8090, bindHost: '127.0.0.1', advertisedHost: '127.0.0.1', liveWindowS: 14_400 });
});

test('listening everywhere, it registers under a name that others can reach', () => {
  const everywhere = { HEADWATER_INTERNAL_SECRET: SECRET, HEADWATER_PRIVATE_BIND: '0.0.0.0' };
  expect(pickOriginConfig(settingsOf(everywhere)).advertisedHost).not.toBe('0.0.0.0');
  const named = { ...everywhere, HEADWATER_PRIVATE_HOST: 'origin-1' };
  expect(pickOriginConfig(settingsOf(named)).advertisedHost).toBe('origin-1');
});
