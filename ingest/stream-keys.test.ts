import { expect, test } from 'vitest';
import type { StreamId } from '../platform/contract/ids.ts';
import { indexMarkerKey, streamKeyIndexKey } from '../platform/contract/redis-keys.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { createStreamKeys, hashKey } from './stream-keys.ts';

const ALICE = 'streamOfAlice123456789' as StreamId;
const BOB = 'streamOfBob12345678901' as StreamId;

/** A Redis that holds what the test says, or is away. */
function source() {
  const state = {
    now: 1_000_000,
    marker: '1' as string | null,
    hash: {} as Record<string, string>,
    isAway: false,
    betweenReads: () => {},
  };
  const keys = createStreamKeys(
    {
      async get(key) {
        if (state.isAway) throw new Error('away');
        return key === indexMarkerKey ? state.marker : null;
      },
      async hGetAll(key) {
        if (state.isAway) throw new Error('away');
        const found = key === streamKeyIndexKey ? { ...state.hash } : {};
        state.betweenReads();
        return found;
      },
    },
    silentLogger,
    () => state.now,
  );
  return { state, keys };
}

test('finds the stream of a key by its hash alone', async () => {
  const { state, keys } = source();
  state.hash = { [hashKey('secret-of-alice')]: ALICE };
  expect(keys.isLoaded()).toBe(false);
  await keys.reload();
  expect(keys.isLoaded()).toBe(true);
  expect(keys.find('secret-of-alice')).toEqual({ stream: ALICE, key: 'primary', hash: hashKey('secret-of-alice') });
  expect(keys.find('secret-of-bob')).toBeNull();
  expect(keys.find(hashKey('secret-of-alice'))).toBeNull();
});

test('a reset key is gone after the next read', async () => {
  const { state, keys } = source();
  state.hash = { [hashKey('old')]: ALICE };
  await keys.reload();
  state.hash = { [hashKey('new')]: ALICE };
  await keys.reload();
  expect(keys.find('old')).toBeNull();
  expect(keys.holds(hashKey('old'), ALICE)).toBe(false);
  expect(keys.holds(hashKey('new'), ALICE)).toBe(true);
  expect(keys.holds(hashKey('new'), BOB)).toBe(false);
});

test('keeps the last good set while the index is missing, being built, or Redis is away', async () => {
  const { state, keys } = source();
  state.hash = { [hashKey('a')]: ALICE, [hashKey('b')]: BOB };
  await keys.reload();
  state.marker = null;
  state.hash = {};
  await keys.reload();
  expect(keys.find('a')?.stream).toBe(ALICE);
  state.hash = { [hashKey('a')]: ALICE };
  await keys.reload();
  expect(keys.find('b')?.stream).toBe(BOB);
  state.isAway = true;
  await keys.reload();
  expect(keys.find('b')?.stream).toBe(BOB);
  state.isAway = false;
  state.marker = '1';
  await keys.reload();
  expect(keys.find('b')).toBeNull();
});

test('a flush between two reads is noticed', async () => {
  const { state, keys } = source();
  state.hash = { [hashKey('a')]: ALICE };
  await keys.reload();
  state.hash = {};
  state.betweenReads = () => {
    state.marker = null;
  };
  await keys.reload();
  expect(keys.find('a')?.stream).toBe(ALICE);
});

test('entries that name no stream are skipped', async () => {
  const { state, keys } = source();
  state.hash = { [hashKey('a')]: '../etc', [hashKey('b')]: BOB };
  await keys.reload();
  expect(keys.find('a')).toBeNull();
  expect(keys.find('b')?.stream).toBe(BOB);
});

test('listeners hear of changes, not of reads', async () => {
  const { state, keys } = source();
  let changes = 0;
  keys.onChange(() => {
    changes += 1;
  });
  await keys.reload();
  await keys.reload();
  expect(changes).toBe(1);
  state.hash = { [hashKey('a')]: ALICE };
  await keys.reload();
  await keys.reload();
  expect(changes).toBe(2);
});

test('a key is the primary or the backup one, in either way of writing', async () => {
  const { state, keys } = source();
  state.hash = { [hashKey('a')]: ALICE, [hashKey('b')]: `${ALICE}:primary:0`, [hashKey('c')]: `${ALICE}:backup:0` };
  await keys.reload();
  expect(keys.find('a')?.key).toBe('primary');
  expect(keys.find('b')?.key).toBe('primary');
  expect(keys.find('c')).toEqual({ stream: ALICE, key: 'backup', hash: hashKey('c') });
});

test('a rotated key is accepted until its time, and its publisher is told of then, also while Redis is away', async () => {
  const { state, keys } = source();
  let changes = 0;
  keys.onChange(() => {
    changes += 1;
  });
  state.hash = { [hashKey('old')]: `${ALICE}:primary:1060000`, [hashKey('new')]: `${ALICE}:primary:0` };
  await keys.reload();
  expect(keys.find('old')?.stream).toBe(ALICE);
  expect(keys.holds(hashKey('old'), ALICE)).toBe(true);
  state.now = 1_060_000;
  expect(keys.find('old')).toBeNull();
  expect(keys.holds(hashKey('old'), ALICE)).toBe(false);
  state.isAway = true;
  await keys.reload();
  expect(changes).toBe(2);
  expect(keys.find('new')?.stream).toBe(ALICE);
});
