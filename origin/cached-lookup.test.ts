// The look-up cache under a clock of its own.
import { expect, test } from 'vitest';
import { AppError } from '../platform/runtime/errors.ts';
import { CachedLookup, type LookupLimits } from './cached-lookup.ts';

const away = () => new AppError('AWAY', 'away', { source: 'upstream', retryable: true });
const limits: LookupLimits = { ttlMs: 1_000, staleMs: 10_000, capacity: 3, limitMs: 1_000 };

function build(changes: Partial<LookupLimits> = {}) {
  const world = { now: 0, loads: 0, fault: null as Error | null, gate: null as Promise<void> | null };
  const lookup = new CachedLookup(
    { ...limits, ...changes },
    async (key) => {
      world.loads += 1;
      const load = world.loads;
      if (world.gate !== null) await world.gate;
      if (world.fault !== null) throw world.fault;
      return `${key}${load}`;
    },
    () => world.now,
  );
  return { world, lookup };
}

test('a young value comes from memory, an old one is loaded anew', async () => {
  const { world, lookup } = build();
  expect(await lookup.get('a')).toBe('a1');
  world.now = 999;
  expect(await lookup.get('a')).toBe('a1');
  world.now = 1_000;
  expect(await lookup.get('a')).toBe('a2');
});

test('many at once are one load', async () => {
  const { world, lookup } = build();
  expect(await Promise.all([lookup.get('a'), lookup.get('a'), lookup.get('a')])).toEqual(['a1', 'a1', 'a1']);
  expect(world.loads).toBe(1);
});

test('while the source is away an old value stands in, for a time', async () => {
  const { world, lookup } = build();
  await lookup.get('a');
  world.fault = away();
  world.now = 9_999;
  expect(await lookup.get('a')).toBe('a1');
  world.now = 10_000;
  await expect(lookup.get('a')).rejects.toThrow('away');
});

test('an error that another try cannot help is not hidden', async () => {
  const { world, lookup } = build();
  await lookup.get('a');
  world.now = 2_000;
  world.fault = new AppError('BROKEN', 'broken', { source: 'internal', retryable: false });
  await expect(lookup.get('a')).rejects.toThrow('broken');
});

test('a failed first load is not kept', async () => {
  const { world, lookup } = build();
  world.fault = away();
  await expect(lookup.get('a')).rejects.toThrow('away');
  world.fault = null;
  expect(await lookup.get('a')).toBe('a2');
});

test('an invalidated value is loaded anew, and still stands in while the source is away', async () => {
  const { world, lookup } = build();
  await lookup.get('a');
  lookup.invalidate('a');
  world.fault = away();
  expect(await lookup.get('a')).toBe('a1');
  world.fault = null;
  expect(await lookup.get('a')).toBe('a3');
});

test('a load that was under way when its key was invalidated is not believed', async () => {
  const { world, lookup } = build();
  let open = (): void => undefined;
  world.gate = new Promise((resolve) => {
    open = resolve;
  });
  const early = lookup.get('a');
  lookup.invalidate('a');
  const late = lookup.get('a');
  open();
  expect(await early).toBe('a1');
  expect(await late).toBe('a2');
  expect(await lookup.get('a')).toBe('a2');
});

test('the least recently used key leaves first', async () => {
  const { world, lookup } = build();
  for (const key of ['a', 'b', 'c', 'a', 'd']) await lookup.get(key);
  expect(world.loads).toBe(4);
  await lookup.get('a');
  expect(world.loads).toBe(4);
  await lookup.get('b');
  expect(world.loads).toBe(5);
});

test('a source that never answers is given up', async () => {
  const { world, lookup } = build({ limitMs: 10 });
  world.gate = new Promise(() => undefined);
  await expect(lookup.get('a')).rejects.toMatchObject({ code: 'TIMED_OUT' });
});

test('a source that hangs holds up nobody for longer than the patience, counted from when its load began', async () => {
  const { world, lookup } = build({ patienceMs: 30 });
  await lookup.get('a');
  let open = (): void => undefined;
  world.gate = new Promise((resolve) => {
    open = resolve;
  });
  world.now = 1_000;
  expect(await lookup.get('a')).toBe('a1');
  world.now = 1_500;
  const began = performance.now();
  expect(await lookup.get('a')).toBe('a1');
  expect(performance.now() - began).toBeLessThan(25);
  expect(world.loads).toBe(2);
  open();
  await new Promise((resolve) => setImmediate(resolve));
  expect(await lookup.get('a')).toBe('a2');
});

test('who must know what the source has now waits for it', async () => {
  const { world, lookup } = build({ patienceMs: 0 });
  expect(await lookup.fresh('a')).toBe('a1');
  expect(await lookup.fresh('a')).toBe('a2');
  expect(await lookup.get('a')).toBe('a2');
  world.fault = away();
  await expect(lookup.fresh('a')).rejects.toThrow('away');
});
