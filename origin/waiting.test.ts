// Waits that end: found, too late, left, released.
import { expect, test } from 'vitest';
import { OriginDraining } from './errors.ts';
import { Waiting } from './waiting.ts';

const never = new AbortController().signal;

test('what is there already is not waited for, also while draining', async () => {
  const waiting = new Waiting();
  waiting.release();
  expect(await waiting.until(() => 7, 1_000, never)).toBe(7);
});

test('only who finds something leaves', async () => {
  const waiting = new Waiting();
  let at = 0;
  const waits = [1, 2, 2].map((wanted) => waiting.until(() => (at >= wanted ? at : null), 1_000, never));
  at = 1;
  waiting.wake();
  expect(waiting.count()).toBe(2);
  at = 2;
  waiting.wake();
  expect(await Promise.all(waits)).toEqual([1, 2, 2]);
  expect(waiting.count()).toBe(0);
});

test('the limit ends a wait with nothing', async () => {
  const waiting = new Waiting();
  expect(await waiting.until(() => null, 1, never)).toBeNull();
  expect(waiting.count()).toBe(0);
});

test('who leaves is not waited for any more, who has left is not let in', async () => {
  const waiting = new Waiting();
  const leaving = new AbortController();
  const wait = waiting.until(() => null, 1_000, leaving.signal);
  leaving.abort();
  expect(await wait).toBeNull();
  expect(await waiting.until(() => null, 1_000, leaving.signal)).toBeNull();
  expect(waiting.count()).toBe(0);
});

test('a release ends every wait, and those to come', async () => {
  const waiting = new Waiting();
  const waits = [1, 2].map(() => waiting.until(() => null, 1_000, never));
  waiting.release();
  for (const wait of waits) await expect(wait).rejects.toThrow(OriginDraining);
  await expect(waiting.until(() => null, 1_000, never)).rejects.toThrow(OriginDraining);
});
