// Retries inside a request: who is asked, what counts against an origin, how long it may take. Clock and origins are the test's.
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { UpstreamResponse } from '../platform/runtime/http-client.ts';
import { A, B, failed, ok, upstreamWorld as world } from '../test/support/upstream-world.ts';
import { limits } from './request-clock.ts';

describe('a request to the origins', () => {
  it.each([
    ['refused', 'dead'],
    ['reset', 'dead'],
    ['timeout', 'failed'],
    ['other', 'failed'],
  ] as const)('%s is tried on another origin; the first one is %s', async (kind, verdict) => {
    const { fetch, asked, health, retries } = world((origin) => (origin === A ? failed(kind) : ok()));
    expect((await fetch()).origin).toBe(B);
    expect(asked.map(({ origin }) => origin)).toEqual([A, B]);
    expect(health).toEqual([`${A} ${verdict}`, `${B} ok`]);
    expect(retries).toEqual([kind]);
  });

  it.each([500, 502, 503, 301, 401, 206, 304])('status %i unasked is a failure of that origin', async (status) => {
    const { fetch, retries } = world((origin) => (origin === A ? ok(status) : ok()));
    expect((await fetch()).origin).toBe(B);
    expect(retries).toEqual(['status']);
  });

  it.each([404, 410, 400, 403])('status %i is an answer', async (status) => {
    const { fetch, asked } = world(() => ok(status));
    expect((await fetch()).status).toBe(status);
    expect(asked).toHaveLength(1);
  });

  it('a 503 about one stream is asked once more elsewhere and harms nobody', async () => {
    const { fetch, asked, health } = world(() => ok(503, { 'headwater-scope': 'stream' }));
    await expect(fetch()).rejects.toMatchObject({ code: 'EDGE_STREAM_UNAVAILABLE' });
    expect(asked).toHaveLength(2);
    expect(health).toEqual([`${A} ok`, `${B} ok`]);
  });

  it('a body shorter than its length is a failure of that origin', async () => {
    const { fetch } = world((origin) => (origin === A ? ok(200, { 'content-length': '400' }) : ok()));
    expect((await fetch()).origin).toBe(B);
  });

  it('an answer that must not be used goes on to the next; when all are behind it says so at once', async () => {
    const { fetch, asked, now } = world(() => ok());
    await expect(fetch({ refuses: () => 'behind' })).rejects.toMatchObject({ code: 'EDGE_ORIGINS_BEHIND' });
    expect(asked).toHaveLength(2);
    expect(now()).toBe(0);
  });

  it('waits through a restart of every origin', async () => {
    const { fetch, now } = world((_origin, _request, nowMs) => (nowMs < 2_000 ? failed('refused') : ok()));
    expect((await fetch()).status).toBe(200);
    expect(now()).toBeGreaterThanOrEqual(2_000);
    expect(now()).toBeLessThan(limits.roundsMs);
  });

  it('gives up about 3 s after it began', async () => {
    const { fetch, now } = world(() => failed('refused'));
    await expect(fetch()).rejects.toMatchObject({ code: 'EDGE_ORIGINS_UNAVAILABLE' });
    expect(now()).toBeGreaterThanOrEqual(limits.roundsMs);
    expect(now()).toBeLessThan(limits.roundsMs + 500);
  });

  it('never takes longer than its total time, and shortens the last wait for a first byte', async () => {
    const { fetch, asked, now } = world(() => failed('timeout'), 2_900);
    await expect(fetch()).rejects.toMatchObject({ code: 'EDGE_ORIGINS_UNAVAILABLE' });
    expect(now()).toBeLessThan(limits.totalMs + 2_900);
    for (const { request } of asked) expect(request.firstByteMs).toBeLessThanOrEqual(1_000);
  });

  it('waits one second for a playlist and two for media', async () => {
    const { fetch, asked } = world(() => ok());
    await fetch({ kind: 'media-playlist' });
    await fetch({ kind: 'segment' });
    expect(asked.map(({ request }) => request.firstByteMs)).toEqual([1_000, 2_000]);
    expect(asked.map(({ isHeld }) => isHeld)).toEqual([false, false]);
  });

  it('sends the secret, the request id, and the condition or range it was given', async () => {
    const { fetch, asked } = world((_origin, request) => ok(request.headers?.['range'] === undefined ? 200 : 206));
    await fetch({ ifNoneMatch: '"e"' });
    await fetch({ kind: 'segment', range: { from: 5, to: 9 } });
    expect(asked[0]?.request.headers).toEqual({
      'headwater-internal': 'secret',
      'x-request-id': 'request-id',
      'if-none-match': '"e"',
    });
    expect(asked[1]?.request.headers?.['range']).toBe('bytes=5-9');
  });

  it('refuses a body without end', async () => {
    const endless = (): UpstreamResponse => ({
      status: 200,
      headers: {},
      body: Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(1_048_576);
        })(),
      ),
    });
    const { fetch } = world(endless);
    await expect(fetch()).rejects.toMatchObject({ code: 'EDGE_BODY_TOO_LARGE' });
  });
});
