// What every storage driver must do: one suite for fs and s3.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import {
  ObjectConflict,
  ObjectMissing,
  ObjectRefused,
  type ObjectStorage,
  type PutCondition,
  type StorageSettings,
} from '../../platform/adapters/storage.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { ObjectKey } from '../../platform/contract/object-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { buildScript } from './build-script.ts';
import { runNode } from './server-process.ts';

const key = (text: string) => text as ObjectKey;
const mediaKey = (tail = `s0.${randomUUID().slice(0, 8)}.m4s`) => key(`media/${newId()}/v240/0/${tail}`);
const newRecord = () => key(`records/asset/${newId()}`);

async function keysBelow(storage: ObjectStorage, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const entry of storage.list(prefix)) keys.push(entry.key);
  return keys;
}

/**
 * @param settingsOf called when a test runs, after the suite's server was started
 */
export function storageSuite(settingsOf: () => StorageSettings): void {
  let opened: ObjectStorage | null = null;
  const storage = (): ObjectStorage => {
    opened ??= openStorage(settingsOf(), silentLogger);
    return opened;
  };
  const put = (at: ObjectKey, text: string, condition?: PutCondition) =>
    storage().put(at, Buffer.from(text), {
      bytes: Buffer.byteLength(text),
      contentType: 'application/json',
      ...(condition ? { condition } : {}),
    });
  const text = async (at: ObjectKey) => (await storage().read(at)).body.toString();

  objectTests(storage, put, text);
  conditionTests(storage, put, text);
  streamTests(storage, put);
  raceTests(settingsOf, storage, put, text);
}

type Get = () => ObjectStorage;
type Put = (at: ObjectKey, text: string, condition?: PutCondition) => Promise<string>;
type Text = (at: ObjectKey) => Promise<string>;

function objectTests(storage: Get, put: Put, text: Text): void {
  describe('objects', () => {
    test('proves itself', async () => {
      await storage().prove();
      expect(await keysBelow(storage(), 'records/proof/')).toEqual([]);
    });
    test('reads what it stored, with type and length', async () => {
      const at = mediaKey();
      const body = randomBytes(70_000);
      await storage().put(at, body, { bytes: body.length, contentType: 'video/iso.segment' });
      const head = await storage().head(at);
      expect(head).toMatchObject({ bytes: 70_000, contentType: 'video/iso.segment' });
      expect(Math.abs(head.modifiedAt - Date.now())).toBeLessThan(60_000);
      const got = await storage().get(at);
      expect(got.head.etag).toBe(head.etag);
      expect((await buffer(got.body)).equals(body)).toBe(true);
    });
    test.each([
      [0, 0],
      [10, 19],
      [69_990, 69_999],
      [0, 69_999],
    ])('reads bytes %i to %i', async (first, last) => {
      const at = mediaKey();
      const body = randomBytes(70_000);
      await storage().put(at, body, { bytes: body.length, contentType: 'video/mp4' });
      const got = await storage().get(at, { range: { first, last } });
      expect(got.head.bytes).toBe(70_000);
      expect((await buffer(got.body)).equals(body.subarray(first, last + 1))).toBe(true);
    });
    test('reads a range of a record', async () => {
      const at = newRecord();
      await put(at, '"0123456789"');
      const got = await storage().get(at, { range: { first: 1, last: 4 } });
      expect((await buffer(got.body)).toString()).toBe('0123');
    });
    test('stores an empty object', async () => {
      const at = mediaKey();
      await put(at, '');
      expect(await text(at)).toBe('');
    });
    test('says that a key is missing', async () => {
      for (const at of [mediaKey(), newRecord()]) {
        await expect(storage().head(at)).rejects.toThrow(ObjectMissing);
        await expect(storage().get(at)).rejects.toThrow(ObjectMissing);
        await expect(storage().read(at)).rejects.toThrow(ObjectMissing);
      }
    });
    test('lists in key order, by any prefix, records once', async () => {
      const id = newId();
      const names = ['v240/0/init.mp4', 'v240/0/s0.aaaa.m4s', 'v240/10/init.mp4', 'v240/2/init.mp4', 'v240.x', 'v2400'];
      for (const name of names) await put(key(`media/${id}/${name}`), 'x');
      const sorted = names.map((name) => `media/${id}/${name}`).sort();
      expect(await keysBelow(storage(), `media/${id}/`)).toEqual(sorted);
      expect(await keysBelow(storage(), `media/${id}/v240/1`)).toEqual([`media/${id}/v240/10/init.mp4`]);
      expect(await keysBelow(storage(), `media/${id}/none/`)).toEqual([]);
      const kind = `records/k${newId()}`;
      for (const name of ['b', 'a', 'c']) await put(key(`${kind}/${name}`), '1');
      await put(key(`${kind}/a`), '22');
      await storage().delete([key(`${kind}/c`)]);
      const found: [string, number][] = [];
      for await (const entry of storage().list(`${kind}/`)) found.push([entry.key, entry.bytes]);
      expect(found).toEqual([
        [`${kind}/a`, 2],
        [`${kind}/b`, 1],
      ]);
    });
    test('deletes what is there and minds not what is missing', async () => {
      const [one, two, record] = [mediaKey(), mediaKey(), newRecord()];
      await put(one, '1');
      await put(record, '1');
      await storage().delete([one, two, record]);
      await storage().delete([one, record]);
      for (const at of [one, record]) await expect(storage().head(at)).rejects.toThrow(ObjectMissing);
      await storage().delete([]);
    });
    test('lists and deletes more than one page', async () => {
      const id = newId();
      const keys = Array.from({ length: 1_050 }, (_, i) => key(`uploads/${id}/${String(i).padStart(15, '0')}`));
      for (let i = 0; i < keys.length; i += 50) await Promise.all(keys.slice(i, i + 50).map((at) => put(at, 'x')));
      expect(await keysBelow(storage(), `uploads/${id}/`)).toEqual(keys);
      await storage().delete(keys);
      expect(await keysBelow(storage(), `uploads/${id}/`)).toEqual([]);
    });
    test.each([
      '',
      '/',
      '/etc/passwd',
      '../x',
      'media/../x',
      'media/..',
      'media//x',
      'media/x/',
      './x',
      'media/.hidden',
      'a\\b',
      'media/\u0000',
      'media/a b',
      'media/%2e%2e/x',
      'media/é',
      `media/${'x'.repeat(600)}`,
    ])('refuses the key %j', async (weird) => {
      await expect(put(key(weird), 'x')).rejects.toThrow(ObjectRefused);
      await expect(storage().get(key(weird))).rejects.toThrow(ObjectRefused);
      await expect(storage().head(key(weird))).rejects.toThrow(ObjectRefused);
      await expect(storage().delete([key(weird)])).rejects.toThrow(ObjectRefused);
    });
  });
}

function conditionTests(storage: Get, put: Put, text: Text): void {
  describe('conditions', () => {
    test.each([
      ['media', mediaKey],
      ['record', newRecord],
    ])('a new %s is stored once', async (_kind, make) => {
      const at = make();
      await put(at, 'first', { ifNoneMatch: '*' });
      await expect(put(at, 'second', { ifNoneMatch: '*' })).rejects.toThrow(ObjectConflict);
      expect(await text(at)).toBe('first');
    });
    test('a record changes under the right ETag only', async () => {
      const at = newRecord();
      const first = await put(at, '1', { ifNoneMatch: '*' });
      expect((await storage().read(at)).etag).toBe(first);
      const second = await put(at, '2', { ifMatch: first });
      expect(second).not.toBe(first);
      await expect(put(at, '3', { ifMatch: first })).rejects.toThrow(ObjectConflict);
      await expect(put(at, '3', { ifMatch: '"nonsense"' })).rejects.toThrow(ObjectConflict);
      expect(await text(at)).toBe('2');
      expect((await storage().head(at)).etag).toBe(second);
    });
    test('an ETag on a missing key loses', async () => {
      await expect(put(newRecord(), '1', { ifMatch: '"v1"' })).rejects.toThrow(ObjectConflict);
      await expect(put(newRecord(), '1', { ifMatch: '"d41d8cd98f00b204e9800998ecf8427e"' })).rejects.toThrow(
        ObjectConflict,
      );
    });
    test('a deleted record can be made again, and no old ETag wins', async () => {
      const at = newRecord();
      const first = await put(at, '1', { ifNoneMatch: '*' });
      await storage().delete([at]);
      await expect(put(at, '2', { ifMatch: first })).rejects.toThrow(ObjectConflict);
      await put(at, '3', { ifNoneMatch: '*' });
      await expect(put(at, '4', { ifMatch: `${first}x` })).rejects.toThrow(ObjectConflict);
      expect(await text(at)).toBe('3');
    });
    test('an unconditional put replaces a record', async () => {
      const at = newRecord();
      for (const value of ['1', '22', '333', '4444']) await put(at, value);
      expect(await text(at)).toBe('4444');
    });
    test('a record is never empty, media is never put under If-Match', async () => {
      await expect(put(newRecord(), '')).rejects.toThrow(ObjectRefused);
      await expect(put(mediaKey(), 'x', { ifMatch: '"x"' })).rejects.toThrow(ObjectRefused);
    });
    test('a read after a write sees it, under many writes', async () => {
      const at = newRecord();
      let etag = await put(at, '0', { ifNoneMatch: '*' });
      for (let i = 1; i <= 40; i += 1) {
        etag = await put(at, String(i), { ifMatch: etag });
        expect(await text(at)).toBe(String(i));
      }
    });
    test('readers beside a writer see whole, growing values', async () => {
      const at = newRecord();
      await put(at, '0');
      let isDone = false;
      const reader = async () => {
        let last = 0;
        while (!isDone) {
          const now = Number(await text(at));
          expect(now).toBeGreaterThanOrEqual(last);
          last = now;
        }
      };
      const readers = [reader(), reader(), reader()];
      for (let i = 1; i <= 100; i += 1) await put(at, String(i));
      isDone = true;
      await Promise.all(readers);
    });
  });
}

function streamTests(storage: Get, put: Put): void {
  const chunks = (count: number, size: number) => {
    const chunk = randomBytes(size);
    const hash = createHash('sha256');
    for (let i = 0; i < count; i += 1) hash.update(chunk);
    return { stream: Readable.from(Array.from({ length: count }, () => chunk)), sha256: hash.digest('hex') };
  };
  describe('streams', () => {
    test('stores and reads 40 MB in constant memory', async () => {
      const at = mediaKey();
      const { stream, sha256 } = chunks(640, 65_536);
      await storage().put(at, stream, {
        bytes: 640 * 65_536,
        contentType: 'video/mp4',
        condition: { ifNoneMatch: '*' },
      });
      const hash = createHash('sha256');
      for await (const chunk of (await storage().get(at)).body) hash.update(chunk as Buffer);
      expect(hash.digest('hex')).toBe(sha256);
    });
    test.each([
      ['short', 2_000],
      ['long', 500],
    ])('a body that is too %s stores nothing', async (_how, announced) => {
      const at = mediaKey();
      const body = Readable.from([Buffer.alloc(400), Buffer.alloc(600)]);
      await expect(storage().put(at, body, { bytes: announced, contentType: 'video/mp4' })).rejects.toThrow();
      await expect(
        storage().put(at, Buffer.alloc(1_000), { bytes: announced, contentType: 'video/mp4' }),
      ).rejects.toThrow();
      await expect(storage().head(at)).rejects.toThrow(ObjectMissing);
    });
    test('a body that fails stores nothing', async () => {
      const at = mediaKey();
      const body = Readable.from(
        (async function* () {
          yield Buffer.alloc(1_000);
          throw new Error('source is gone');
        })(),
      );
      await expect(storage().put(at, body, { bytes: 2_000, contentType: 'video/mp4' })).rejects.toThrow();
      await expect(storage().head(at)).rejects.toThrow(ObjectMissing);
    });
    test('an aborted put stores nothing', async () => {
      const at = mediaKey();
      const ending = new AbortController();
      const body = Readable.from(
        (async function* () {
          yield Buffer.alloc(1_000);
          ending.abort(new Error('changed my mind'));
          await new Promise<void>((resolve) => setTimeout(resolve, 200));
          yield Buffer.alloc(1_000);
        })(),
      );
      const options = { bytes: 2_000, contentType: 'video/mp4', signal: ending.signal };
      await expect(storage().put(at, body, options)).rejects.toThrow('changed my mind');
      await expect(storage().head(at)).rejects.toThrow(ObjectMissing);
    });
    test('an aborted read ends', async () => {
      const at = mediaKey();
      await put(at, 'x'.repeat(5_000_000));
      const ending = new AbortController();
      const { body } = await storage().get(at, { signal: ending.signal });
      ending.abort();
      await expect(buffer(body)).rejects.toThrow();
    });
  });
}

function raceTests(settingsOf: () => StorageSettings, storage: Get, put: Put, text: Text): void {
  describe('races of separate processes', () => {
    test('no update is lost, each new key has one first', async () => {
      const script = await buildScript('test/support/storage-racer.ts');
      const record = newRecord();
      const prefix = `media/${newId()}/`;
      await put(record, JSON.stringify({ count: 0 }));
      const args = [JSON.stringify(settingsOf()), record, '25', prefix, '20'];
      const outputs = await Promise.all(Array.from({ length: 4 }, () => runNode(script, args)));
      const results = outputs.map((output) => JSON.parse(output) as { added: number; firsts: number });
      expect(results.map((result) => result.added)).toEqual([25, 25, 25, 25]);
      expect(JSON.parse(await text(record))).toMatchObject({ count: 100 });
      expect(results.reduce((sum, result) => sum + result.firsts, 0)).toBe(20);
      expect(await keysBelow(storage(), prefix)).toHaveLength(20);
    });
  });
}
