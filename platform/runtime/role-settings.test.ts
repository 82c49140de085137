// What roles pick from the settings alike.
import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseSettings, type Settings } from '../contract/settings.ts';
import { SettingsInvalid } from './errors.ts';
import { advertisedHostOf, internalSecretOf, storageSettingsOf } from './role-settings.ts';

function settingsOf(env: Record<string, string>): Settings {
  const parsed = parseSettings(env);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return parsed.settings;
}

describe('internalSecretOf', () => {
  it('is the secret as set', () => {
    const secret = 's'.repeat(32);
    expect(internalSecretOf(settingsOf({ HEADWATER_INTERNAL_SECRET: secret }))).toBe(secret);
  });

  it('refuses a role without one, and names the variable', () => {
    expect(() => internalSecretOf(settingsOf({}))).toThrow(SettingsInvalid);
    expect(() => internalSecretOf(settingsOf({}))).toThrow('HEADWATER_INTERNAL_SECRET: is required');
  });
});

it.each([
  [{}, '127.0.0.1'],
  [{ PRIVATE_BIND: '10.0.0.7' }, '10.0.0.7'],
  [{ PRIVATE_BIND: '0.0.0.0' }, hostname()],
  [{ PRIVATE_BIND: '::' }, hostname()],
  [{ PRIVATE_BIND: '0.0.0.0', PRIVATE_HOST: 'origin-1' }, 'origin-1'],
])('a role with %o is reached at %s', (set, host) => {
  expect(advertisedHostOf({ ...settingsOf({}), ...set })).toBe(host);
});

it('a store is told what it needs and no other secret', () => {
  const settings = settingsOf({ HEADWATER_INTERNAL_SECRET: 's'.repeat(32), HEADWATER_DATA_DIR: './there' });
  const picked = storageSettingsOf(settings);
  expect(picked).toMatchObject({
    STORAGE: settings.STORAGE,
    DATA_DIR: settings.DATA_DIR,
    S3_BUCKET: settings.S3_BUCKET,
  });
  expect(picked).not.toHaveProperty('INTERNAL_SECRET');
  expect(Object.keys(picked)).toHaveLength(7);
});
