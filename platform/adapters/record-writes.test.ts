import { beforeEach, expect, test } from 'vitest';
import { sampleAsset } from '../../test/support/sample-records.ts';
import { silentLogger } from '../runtime/log.ts';
import { anyRecord, type IndexClient } from './record-index.ts';
import type { GetRecord } from './record-scan.ts';
import { RecordWrites } from './record-writes.ts';

let now: number;
let added: string[];
let isAway: boolean;
let writes: RecordWrites;

const client: IndexClient = {
  async zAdd(_key, _score, member) {
    if (isAway) throw new Error('away');
    added.push(member);
  },
  zRem: async () => undefined,
  hSet: async () => undefined,
  hDel: async () => undefined,
};

beforeEach(() => {
  now = 0;
  added = [];
  isAway = false;
  const get: GetRecord = async () => null;
  writes = new RecordWrites({ client, get, log: silentLogger, now: () => now });
});

async function create(): Promise<string> {
  const value = sampleAsset();
  await writes.write({ kind: 'asset', id: value.id, before: null, after: anyRecord('asset', value), etag: 'e' });
  return value.id;
}

test('the changes of the last minute are repeated, once per record and in order', async () => {
  const old = await create();
  now = 30_000;
  const [first, second] = [await create(), await create()];
  expect(added).toEqual([old, first, second]);
  now = 70_000;
  added = [];
  await writes.repeat();
  expect(added).toEqual([first, second]);
  expect(writes.isDirty).toBe(false);
});

test('a change that was not written makes the index dirty, and is written when it is repeated', async () => {
  isAway = true;
  const id = await create();
  expect(writes.isDirty).toBe(true);
  isAway = false;
  await writes.repeat();
  expect(added).toEqual([id]);
});

test('more changes than are remembered make the index dirty instead of being lost', async () => {
  for (let i = 0; i < 1_001; i += 1) await create();
  expect(writes.isDirty).toBe(false);
  await writes.repeat();
  expect(writes.isDirty).toBe(true);
});

test('what was forgotten long ago is of no concern any more', async () => {
  for (let i = 0; i < 1_001; i += 1) await create();
  now = 61_000;
  added = [];
  await writes.repeat();
  expect(writes.isDirty).toBe(false);
  expect(added).toEqual([]);
});
