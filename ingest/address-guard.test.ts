import { expect, test } from 'vitest';
import { AddressGuard, WRONG_KEYS } from './address-guard.ts';
import { type Stranger, WAITING, WaitingRoom } from './waiting-room.ts';

test('the eleventh wrong key in ten seconds begins a back-off of ten seconds, of that address alone', () => {
  const guard = new AddressGuard();
  for (let i = 0; i < WRONG_KEYS.most; i++) expect(guard.wrongKey('a', i * 100)).toBe(false);
  expect(guard.isBackedOff('a', 1_000)).toBe(false);
  expect(guard.wrongKey('a', 1_000)).toBe(true);
  expect(guard.isBackedOff('a', 10_999)).toBe(true);
  expect(guard.isBackedOff('b', 10_999)).toBe(false);
  expect(guard.isBackedOff('a', 11_001)).toBe(false);
});

test('whoever goes on guessing stays backed off', () => {
  const guard = new AddressGuard();
  for (let i = 0; i < 1_000; i++) guard.wrongKey('a', i * 10);
  expect(guard.wrongKey('a', 10_100)).toBe(true);
  expect(guard.isBackedOff('a', 19_900)).toBe(true);
});

test('a wrong key now and then is a mistake', () => {
  const guard = new AddressGuard();
  for (let i = 0; i < 100; i++) expect(guard.wrongKey('a', i * 2_000)).toBe(false);
});

function room() {
  const gone: string[] = [];
  const made = new WaitingRoom();
  const enter = (address: string, name: string): Stranger => {
    const stranger: Stranger = {
      address,
      giveWay() {
        made.leave(stranger);
        gone.push(name);
      },
    };
    made.enter(stranger);
    return stranger;
  };
  return { made, enter, gone };
}

test('of too many connections from one address the one that waits longest gives way', () => {
  const { made, enter, gone } = room();
  for (let i = 0; i < WAITING.perAddress; i++) enter('a', `a${i}`);
  enter('b', 'b');
  expect(gone).toEqual([]);
  enter('a', 'newest');
  expect(gone).toEqual(['a0']);
  expect(made.size).toBe(WAITING.perAddress + 1);
});

test('a place is kept until as many came after it', () => {
  const { enter, gone } = room();
  for (let i = 0; i < WAITING.perAddress; i++) enter('a', `a${i}`);
  enter('a', 'encoder');
  for (let i = 1; i < WAITING.perAddress; i++) enter('a', `later ${i}`);
  expect(gone).not.toContain('encoder');
  enter('a', 'one too many');
  expect(gone.at(-1)).toBe('encoder');
});

test('of too many in all the one that waits longest gives way', () => {
  const { made, enter, gone } = room();
  for (let i = 0; i < WAITING.all; i++) enter(`address ${i}`, `a${i}`);
  expect(gone).toEqual([]);
  enter('another', 'another');
  expect(gone).toEqual(['a0']);
  expect(made.size).toBe(WAITING.all);
});

test('who publishes waits no longer', () => {
  const { made, enter, gone } = room();
  const published = enter('a', 'published');
  made.leave(published);
  for (let i = 0; i < WAITING.perAddress; i++) enter('a', `a${i}`);
  expect(gone).toEqual([]);
});
