// What a request may cost the origins: the retry budget, hedges, and an outage that everybody knows of.
import { describe, expect, it } from 'vitest';
import type { UpstreamFailed, UpstreamResponse } from '../platform/runtime/http-client.ts';
import { A, B, failed, ok, upstreamWorld } from '../test/support/upstream-world.ts';

const NEVER = new Promise<UpstreamResponse | UpstreamFailed>(() => undefined);

describe('the retry budget', () => {
  const spend = async (world: ReturnType<typeof upstreamWorld>, requests: number): Promise<number> => {
    let failures = 0;
    for (let n = 0; n < requests; n += 1)
      await world.fetch().catch((thrown: unknown) => {
        expect(thrown).toMatchObject({ code: 'EDGE_ORIGINS_UNAVAILABLE' });
        failures += 1;
      });
    return failures;
  };

  it.each(['timeout', 'other', 'status'] as const)('ends requests that fail by %s when it is spent', async (kind) => {
    const bad = () => (kind === 'status' ? ok(500) : failed(kind));
    const world = upstreamWorld((origin) => (origin === A ? bad() : ok()));
    // 100 requests have 10 + 20 retries.
    expect(await spend(world, 100)).toBe(70);
    expect(world.asked).toHaveLength(130);
    expect(world.refused).toHaveLength(70);
  });

  it.each(['refused', 'reset'] as const)('is not asked when a connection is %s', async (kind) => {
    const world = upstreamWorld((origin) => (origin === A ? failed(kind) : ok()));
    expect(await spend(world, 100)).toBe(0);
  });

  it('is not asked when the origin that failed is no longer thought well', async () => {
    const world = upstreamWorld((origin) => (origin === A ? ok(500) : ok()));
    world.distrust(A);
    expect(await spend(world, 100)).toBe(0);
  });

  it('is not asked for second opinions', async () => {
    const world = upstreamWorld((origin) => (origin === A ? ok(503, { 'headwater-scope': 'stream' }) : ok()));
    expect(await spend(world, 100)).toBe(0);
  });
});

describe('a hedge', () => {
  /** Origins that have answered often enough for their times to be known; then A is silent. */
  async function silentA(second: () => UpstreamResponse | UpstreamFailed = () => ok()) {
    let isSilent = false;
    const world = upstreamWorld((origin) => (isSilent && origin === A ? NEVER : isSilent ? second() : ok()));
    for (let n = 0; n < 30; n += 1) await world.fetch();
    isSilent = true;
    world.asked.length = 0;
    world.health.length = 0;
    return world;
  }

  it('asks a second origin when the first one is late, takes its answer, and blames nobody', async () => {
    const world = await silentA();
    expect((await world.fetch()).origin).toBe(B);
    expect(world.asked.map(({ origin }) => origin)).toEqual([A, B]);
    expect(world.asked[0]?.request.signal?.aborted).toBe(true);
    expect(world.asked[1]?.request.signal?.aborted).toBe(false);
    expect(world.health).toEqual([`${B} ok`]);
    expect(world.hedges).toEqual(['won']);
    expect(world.retries).toEqual([]);
    expect(world.under()).toBe(0);
  });

  it('is paid from the retry budget', async () => {
    const world = await silentA();
    // 10, and a fifth of 51 requests.
    for (let n = 0; n < 21; n += 1) expect((await world.fetch()).origin).toBe(B);
    const answer = world.fetch();
    await expect.poll(() => world.hedges.at(-1)).toBe('refused');
    world.end();
    await expect(answer).rejects.toThrow();
  });

  it.each([
    ['held requests', { hold: { ms: 8_000, isDue: false } }],
    ['the rest of a broken body', { range: { from: 5, to: 9 } }],
    ['a kind whose times are not known', { kind: 'catalog' as const }],
  ])('is not for %s', async (_what, request) => {
    const world = await silentA();
    const answer = world.fetch(request);
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.asked.map(({ origin }) => origin)).toEqual([A]);
    world.end();
    await expect(answer).rejects.toThrow();
  });

  it('is not sent when this process is busy', async () => {
    const world = await silentA();
    world.lag(110);
    const answer = world.fetch();
    await expect.poll(() => world.hedges).toEqual(['skipped']);
    world.end();
    await expect(answer).rejects.toThrow();
  });

  it('that fails leaves the first request under way', async () => {
    const world = await silentA(() => failed('refused'));
    const answer = world.fetch();
    await expect.poll(() => world.asked.length).toBe(2);
    expect(world.asked[0]?.request.signal?.aborted).toBe(false);
    world.end();
    await expect(answer).rejects.toThrow();
  });
});

describe('the times that hedges go by', () => {
  it('hold what overtaken requests took at least: hedges do not make themselves earlier', async () => {
    let isSilent = false;
    const world = upstreamWorld((origin) => {
      if (isSilent && origin === A) return NEVER;
      world.pass(150);
      return ok();
    });
    for (let n = 0; n < 30; n += 1) await world.fetch();
    isSilent = true;
    for (let n = 0; n < 5; n += 1) await world.fetch();
    const [first = 0, last = 0] = [world.waits[0], world.waits.at(-1)];
    expect(first).toBeGreaterThanOrEqual(150);
    expect(last).toBeGreaterThan(first);
  });

  it('hold nothing of requests that origins hold back', async () => {
    const world = upstreamWorld(() => ok());
    for (let n = 0; n < 40; n += 1) await world.fetch({ hold: { ms: 8_000, isDue: false } });
    await world.fetch();
    expect(world.waits).toEqual([]);
  });
});

describe('a request under way', () => {
  it('is over with its body, read or let go', async () => {
    const world = upstreamWorld(() => ok());
    await world.fetch();
    expect(world.under()).toBe(0);
    const [read, dropped] = [await world.fetch({ kind: 'segment' }), await world.fetch({ kind: 'segment' })];
    expect(world.under()).toBe(2);
    if (Buffer.isBuffer(read.body) || Buffer.isBuffer(dropped.body)) throw new Error('not streamed');
    for await (const chunk of read.body.stream) expect(chunk.toString()).toBe('body');
    dropped.body.discard();
    await expect.poll(() => world.under()).toBe(0);
  });
});

describe('while all origins have been away for long', () => {
  it('a request ends within a second: one round, 300 ms for each first byte', async () => {
    const world = upstreamWorld((_origin, request) => {
      world.pass(request.firstByteMs);
      return failed('timeout');
    });
    world.beDown(3_000);
    for (const hold of [null, { ms: 8_000, isDue: false }]) {
      const fromMs = world.now();
      await expect(world.fetch({ hold })).rejects.toThrow();
      expect(world.now() - fromMs).toBeLessThan(1_000);
    }
    expect(world.asked.map(({ request }) => request.firstByteMs)).toEqual([300, 300, 300, 300]);
    expect(world.health.every((verdict) => verdict.endsWith('failed'))).toBe(true);
  });

  it('the wait for a restart counts from the beginning of the outage', async () => {
    const world = upstreamWorld(() => failed('refused'));
    world.beDown(2_000);
    await expect(world.fetch()).rejects.toMatchObject({ code: 'EDGE_ORIGINS_UNAVAILABLE' });
    expect(world.now()).toBeGreaterThanOrEqual(1_000);
    expect(world.now()).toBeLessThan(1_500);
  });

  it('an origin that is back is found', async () => {
    const world = upstreamWorld((origin) => (origin === A ? failed('refused') : ok()));
    world.beDown(60_000);
    expect((await world.fetch()).origin).toBe(B);
  });
});
