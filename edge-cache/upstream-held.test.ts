// Requests that an origin holds back until it has news: how long, what its silence means, what happens when it dies meanwhile.
import { describe, expect, it } from 'vitest';
import type { UpstreamFailed, UpstreamResponse } from '../platform/runtime/http-client.ts';
import { A, B, failed, ok, upstreamWorld } from '../test/support/upstream-world.ts';
import type { OriginRequest } from './upstream.ts';

const held: Partial<OriginRequest> = { kind: 'media-playlist', hold: { ms: 8_000, isDue: false } };
const NEVER = new Promise<UpstreamResponse | UpstreamFailed>(() => undefined);
const streamScope = () => ok(503, { 'headwater-scope': 'stream' });

describe('a request that the origin holds back', () => {
  it('has eight seconds and connections of its own', async () => {
    const { fetch, asked } = upstreamWorld(() => ok());
    await fetch(held);
    expect(asked[0]).toMatchObject({ isHeld: true, request: { firstByteMs: 8_000 } });
  });

  it('is asked of another origin for the rest of its time when the first one dies', async () => {
    const world = upstreamWorld((origin) => {
      world.pass(3_000);
      return origin === A ? failed('reset') : ok();
    });
    expect((await world.fetch(held)).origin).toBe(B);
    expect(world.asked.map(({ request }) => request.firstByteMs)).toEqual([8_000, 5_000]);
    expect(world.health).toEqual([`${A} dead`, `${B} ok`]);
  });

  it('waits through a restart that begins late in its time', async () => {
    const world = upstreamWorld((_origin, _request, nowMs) => {
      if (nowMs === 0) world.pass(4_000);
      return nowMs < 6_000 ? failed(nowMs === 0 ? 'reset' : 'refused') : ok();
    });
    expect((await world.fetch(held)).status).toBe(200);
    expect(world.now()).toBeGreaterThanOrEqual(6_000);
    expect(world.now()).toBeLessThan(7_000);
  });

  it('is asked of another origin as soon as health checks miss the one that holds it', async () => {
    const world = upstreamWorld((origin) => {
      if (origin === B) return ok();
      queueMicrotask(() => world.takeOut(A));
      return NEVER;
    });
    expect((await world.fetch(held)).origin).toBe(B);
    expect(world.retries).toEqual(['timeout']);
  });

  it('gets a second opinion on a 503 about the stream, in what time is left, and nobody is blamed', async () => {
    const world = upstreamWorld((origin, request) => {
      if (origin === B) {
        world.pass(request.firstByteMs);
        return failed('timeout');
      }
      world.pass(6_000);
      return streamScope();
    });
    await expect(world.fetch(held)).rejects.toMatchObject({ code: 'EDGE_STREAM_UNAVAILABLE' });
    expect(world.asked.map(({ request }) => request.firstByteMs)).toEqual([8_000, 2_000]);
    expect(world.health).toEqual([`${A} ok`, `${B} ok`]);
    expect(world.now()).toBe(8_000);
  });

  it('finds the second opinion better than the first', async () => {
    const { fetch } = upstreamWorld((origin) => (origin === A ? streamScope() : ok()));
    expect((await fetch(held)).origin).toBe(B);
  });

  it('that stays unanswered to its end is the stream’s trouble, not the origin’s', async () => {
    const world = upstreamWorld((_origin, request) => {
      world.pass(request.firstByteMs);
      return failed('timeout');
    });
    await expect(world.fetch(held)).rejects.toMatchObject({ code: 'EDGE_STREAM_UNAVAILABLE' });
    expect(world.health).toEqual([`${A} ok`]);
    expect(world.now()).toBe(8_000);
  });

  it('for news known to be there leaves an origin that waits for it after a second', async () => {
    const world = upstreamWorld((origin, request) => {
      if (origin === B) return ok();
      world.pass(request.firstByteMs);
      return failed('timeout');
    });
    expect((await world.fetch({ ...held, hold: { ms: 8_000, isDue: true } })).origin).toBe(B);
    expect(world.asked.map(({ request }) => request.firstByteMs)).toEqual([1_000, 7_000]);
    expect(world.retries).toEqual(['held']);
  });

  it('passes a 400 on', async () => {
    const { fetch, asked } = upstreamWorld(() => ok(400));
    expect((await fetch(held)).status).toBe(400);
    expect(asked).toHaveLength(1);
  });

  it('ends with whoever wanted it', async () => {
    const world = upstreamWorld(() => NEVER);
    const answer = world.fetch(held);
    world.end();
    await expect(answer).rejects.toThrow();
  });
});

describe('an answer in doubt', () => {
  it('is asked of another origin once, and believed then', async () => {
    let doubts = 0;
    const refuses: OriginRequest['refuses'] = (status) => {
      if (status !== 404 || doubts > 0) return null;
      doubts += 1;
      return 'doubt';
    };
    const late = upstreamWorld((origin) => (origin === A ? ok(404) : ok()));
    expect((await late.fetch({ kind: 'part', refuses })).origin).toBe(B);
    doubts = 0;
    const gone = upstreamWorld(() => ok(404));
    expect((await gone.fetch({ kind: 'part', refuses })).status).toBe(404);
    expect(gone.asked).toHaveLength(2);
    expect(gone.health).toEqual([`${A} ok`, `${B} ok`]);
  });
});
