import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { parseSettings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { pickIngestConfig } from './config.ts';
import { applicationOf, keyOf } from './rtmp-protocol.ts';

function config(env: Record<string, string>) {
  const parsed = parseSettings(env);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return pickIngestConfig(parsed.settings);
}
const HEADWATER_INTERNAL_SECRET = 'x'.repeat(32);

test('no internal secret, no start', () => {
  expect(() => config({})).toThrow(SettingsInvalid);
  expect(() => config({})).toThrow('HEADWATER_INTERNAL_SECRET');
});

test.each([
  [{}, '127.0.0.1'],
  [{ HEADWATER_PRIVATE_BIND: '10.0.0.7' }, '10.0.0.7'],
  [{ HEADWATER_PRIVATE_BIND: '0.0.0.0' }, hostname()],
  [{ HEADWATER_PRIVATE_BIND: '0.0.0.0', HEADWATER_PRIVATE_HOST: 'ingest' }, 'ingest'],
])('other roles reach the ring at %o as %s', (env, host) => {
  expect(config({ HEADWATER_INTERNAL_SECRET, ...env }).privateHost).toBe(host);
});

test('RTMPS needs its certificate and its key', () => {
  const tls = { HEADWATER_INTERNAL_SECRET, HEADWATER_RTMPS_PORT: '1936' };
  expect(config({ HEADWATER_INTERNAL_SECRET }).rtmps).toBeNull();
  expect(() => config(tls)).toThrow('HEADWATER_TLS_CERT');
  expect(() => config({ ...tls, HEADWATER_TLS_CERT: 'a.crt' })).toThrow('HEADWATER_TLS_KEY');
  expect(config({ ...tls, HEADWATER_TLS_CERT: 'a.crt', HEADWATER_TLS_KEY: 'a.key' }).rtmps).toEqual({
    port: 1936,
    files: { cert: 'a.crt', key: 'a.key' },
  });
});

test('one application under its spellings', () => {
  for (const app of ['live', 'live/', '/live', 'live?token=1']) expect(applicationOf(app)).toBe('live');
  expect(applicationOf('live/more')).not.toBe('live');
  expect(applicationOf(7)).toBeNull();
});

test('the key is what stands before the query', () => {
  expect(keyOf('abc?user=x')).toBe('abc');
  for (const wrong of ['', '?abc', undefined, 7, 'k'.repeat(257)]) expect(keyOf(wrong)).toBeNull();
});
