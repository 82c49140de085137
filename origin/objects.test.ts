// Objects over a literal store: how many calls each kind of request costs, and what failures count.
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { ObjectMissing, type ObjectStorage, StorageUnavailable } from '../platform/adapters/storage.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import { countedStorage } from './counted-storage.ts';
import { createObjects, keyETag } from './objects.ts';

const KEY = 'media/content/v360/1/s0.writer0001.m4s' as ObjectKey;
const head = { bytes: 10, etag: 'store', contentType: 'x', modifiedAt: 0 };
const signal = new AbortController().signal;

function build(fault: Error | null = null) {
  const calls: string[] = [];
  const unused = (): never => {
    throw new Error('not asked');
  };
  const storage: Pick<ObjectStorage, 'get' | 'head' | 'read' | 'list'> = {
    async get(_key, options) {
      calls.push(options?.range ? `get ${options.range.first}-${options.range.last}` : 'get');
      if (fault) throw fault;
      return { head, body: Readable.from([Buffer.from('x')]) };
    },
    async head() {
      calls.push('head');
      if (fault) throw fault;
      return head;
    },
    read: unused,
    list: unused,
  };
  let failures = 0;
  const counted = countedStorage(storage, () => {
    failures += 1;
  });
  return { calls, objects: createObjects(counted), failures: () => failures };
}

test.each([
  ['whole', false, undefined, ['get'], null],
  ['HEAD', true, undefined, ['head'], null],
  ['HEAD with a range, which has no meaning there', true, 'bytes=90-', ['head'], null],
  ['a range', false, 'bytes=2-', ['head', 'get 2-9'], { first: 2, last: 9 }],
  ['a range that is none', false, 'bytes=x', ['head', 'get'], null],
] as const)('%s', async (_name, isHead, range, calls, expected) => {
  const world = build();
  const answer = await world.objects.open({ key: KEY, isHead, range, signal });
  expect(world.calls).toEqual(calls);
  expect([answer.bytes, answer.range]).toEqual([10, expected]);
  expect(answer.body === null).toBe(isHead);
});

test('a range outside names the length', async () => {
  const { objects } = build();
  await expect(objects.open({ key: KEY, isHead: false, range: 'bytes=10-', signal })).rejects.toMatchObject({
    bytes: 10,
  });
});

test('failures of the store are counted, missing objects are not', async () => {
  const failing = build(new StorageUnavailable('get'));
  await expect(failing.objects.open({ key: KEY, isHead: false, range: undefined, signal })).rejects.toThrow();
  expect(failing.failures()).toBe(1);
  const missing = build(new ObjectMissing(KEY));
  await expect(missing.objects.open({ key: KEY, isHead: false, range: undefined, signal })).rejects.toThrow(
    ObjectMissing,
  );
  expect(missing.failures()).toBe(0);
});

test('the ETag is strong and follows from the key alone', () => {
  expect(keyETag(KEY)).toMatch(/^"[A-Za-z0-9_-]{24}"$/);
  expect(keyETag(KEY)).toBe(keyETag(KEY));
  expect(keyETag(KEY)).not.toBe(keyETag(`${KEY}x` as ObjectKey));
});
