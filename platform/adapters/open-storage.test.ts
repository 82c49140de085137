import { expect, test } from 'vitest';
import { SettingsInvalid } from '../runtime/errors.ts';
import { silentLogger } from '../runtime/log.ts';
import { openStorage } from './open-storage.ts';
import { checkKey, keyEtag, ObjectRefused, type StorageSettings } from './storage.ts';

const settings: StorageSettings = {
  STORAGE: 's3',
  DATA_DIR: './data',
  S3_ENDPOINT: 'http://127.0.0.1:9000',
  S3_REGION: 'us-east-1',
  S3_BUCKET: 'headwater',
  S3_ACCESS_KEY: 'key',
  S3_SECRET_KEY: 'secret',
};

test('the settings choose the driver, and it says where it is', () => {
  expect(openStorage(settings, silentLogger).description).toBe('s3 http://127.0.0.1:9000/headwater');
  expect(openStorage({ ...settings, STORAGE: 'minio' }, silentLogger).description).toContain(
    's3 http://127.0.0.1:9000',
  );
  expect(openStorage({ ...settings, STORAGE: 'fs' }, silentLogger).description).toBe('fs data/store');
});

test('every missing setting is named at once', () => {
  const open = () => openStorage({ ...settings, S3_ENDPOINT: null, S3_SECRET_KEY: null }, silentLogger);
  expect(open).toThrow(SettingsInvalid);
  expect(open).toThrow(/HEADWATER_S3_ENDPOINT[\s\S]*HEADWATER_S3_SECRET_KEY/);
});

test.each(['localhost:9000', 'ftp://x', 'http://host/path', 'nonsense'])('the address %s is refused', (endpoint) => {
  expect(() => openStorage({ ...settings, S3_ENDPOINT: endpoint }, silentLogger)).toThrow(/HEADWATER_S3_ENDPOINT/);
});

test.each(['records/asset/AbC', 'media/x/v240/0/s1.abcd.m4s', 'a'])('the key %s is good', (key) => {
  expect(() => checkKey(key)).not.toThrow();
});
test.each(['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/.b', 'a b', 'a\nb', 'a\u0000'])(
  'the key %j is refused',
  (key) => {
    expect(() => checkKey(key)).toThrow(ObjectRefused);
  },
);

test('the ETag of a key is quoted hex and its own', () => {
  expect(keyEtag('media/a')).toMatch(/^"[0-9a-f]{32}"$/);
  expect(keyEtag('media/a')).toBe(keyEtag('media/a'));
  expect(keyEtag('media/a')).not.toBe(keyEtag('media/b'));
});
