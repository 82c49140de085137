// Following a ring over broken connections, moves of the publisher, and places that are gone.
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { BroadcastId, SessionId } from '../platform/contract/ids.ts';
import { encodeRingHeader, RING_KINDS } from '../platform/contract/ring.ts';
import { headers } from '../platform/contract/routes.ts';
import { UpstreamFailed, type UpstreamRequest, type UpstreamResponse } from '../platform/runtime/http-client.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { type RingHome, type RingPlace, readRing } from './live-ring.ts';

const bytes = (kind: number, tag: number, payload = ''): Buffer => {
  const body = Buffer.from(payload);
  return Buffer.concat([encodeRingHeader({ kind, flags: 0, timestamp: 0, arrival: 0, tag, payload: body }), body]);
};
const session = (name: string) => bytes(RING_KINDS.session, 0, name);
const video = (tag: number) => bytes(RING_KINDS.video, tag, 'v');
const end = bytes(RING_KINDS.end, 0);

type Answer = { status: number; body: Buffer[] } | 'refused' | 'silent';
const answerOf = (answer: Exclude<Answer, 'refused'>): UpstreamResponse => {
  const body = answer === 'silent' ? new Readable({ read: () => undefined }) : Readable.from(answer.body);
  return { status: answer === 'silent' ? 200 : answer.status, headers: {}, body };
};

/** Reads with these answers in turn. @returns what came, and what was asked */
async function follow(answers: Answer[], homes: RingHome[] = [], start: RingPlace = { from: 'start' }) {
  const asked: string[] = [];
  const seen: string[] = [];
  const failing: number[] = [];
  const deps = {
    broadcast: 'b1' as BroadcastId,
    secret: 'secret',
    http: {
      async request(origin: string, request: UpstreamRequest) {
        expect(request.headers).toEqual({ [headers.internal]: 'secret' });
        asked.push(`${origin}${request.path}`);
        const answer = answers.shift();
        if (answer === undefined || answer === 'refused') throw new UpstreamFailed('refused', origin);
        return answerOf(answer);
      },
      close: async () => undefined,
    },
    async locate(failures: number) {
      failing.push(failures);
      return homes.shift() ?? (answers.length > 0 ? { url: 'http://ingest' } : 'over');
    },
    log: silentLogger,
  };
  for await (const frame of readRing(start, deps, new AbortController().signal)) {
    seen.push(frame === 'lost' ? 'lost' : `${frame.kind}:${frame.tag}`);
  }
  return { asked, seen, failing };
}

test('reads to the end frame', async () => {
  const { asked, seen } = await follow([{ status: 200, body: [session('s1'), video(0), video(1), end, video(2)] }]);
  expect(asked).toEqual(['http://ingest/ring/b1?from=start']);
  expect(seen).toEqual(['1:0', '9:0', '9:1']);
});

test('goes on behind the last tag, repeated headers do not move it back', async () => {
  const { asked } = await follow([
    { status: 200, body: [session('s1'), video(0), video(7), video(8)] },
    { status: 200, body: [session('s1'), video(0)] },
    { status: 200, body: [end] },
  ]);
  expect(asked.slice(1)).toEqual(['http://ingest/ring/b1?session=s1&tag=9', 'http://ingest/ring/b1?session=s1&tag=9']);
});

test('follows a new session and another node', async () => {
  const homes: RingHome[] = [{ url: 'http://one' }, 'away', { url: 'http://two' }];
  const { asked, failing } = await follow(
    [
      { status: 200, body: [session('s1'), video(4), session('s2'), video(0)] },
      { status: 200, body: [end] },
    ],
    homes,
  );
  expect(asked).toEqual(['http://one/ring/b1?from=start', 'http://two/ring/b1?session=s2&tag=1']);
  expect(failing).toEqual([0, 0, 0]);
});

test('says when its place is gone and begins anew', async () => {
  const place = { session: 's0' as SessionId, ts: 1_234.7 };
  const { asked, seen } = await follow(
    [
      { status: 410, body: [] },
      { status: 200, body: [session('s1'), video(0), end] },
    ],
    [],
    place,
  );
  expect(asked).toEqual(['http://ingest/ring/b1?session=s0&ts=1234', 'http://ingest/ring/b1?from=start']);
  expect(seen).toEqual(['lost', '1:0', '9:0']);
});

test('a ring that is closing is no place lost', async () => {
  const { seen } = await follow([
    { status: 410, body: [] },
    { status: 200, body: [session('s1'), video(0), end] },
  ]);
  expect(seen).toEqual(['1:0', '9:0']);
});

test('tells that a node does not answer', async () => {
  const { failing, seen } = await follow(['refused', { status: 404, body: [] }, { status: 200, body: [end] }]);
  expect([failing, seen]).toEqual([[0, 1, 2], []]);
});

test('a silent ring does not keep a reader that leaves', async () => {
  const leaving = new AbortController();
  const deps = {
    broadcast: 'b1' as BroadcastId,
    secret: '',
    http: { request: async () => answerOf('silent'), close: async () => undefined },
    locate: async () => ({ url: 'http://ingest' }),
    log: silentLogger,
  };
  const reading = readRing({ from: 'start' }, deps, leaving.signal).next();
  setImmediate(() => leaving.abort());
  expect((await reading).done).toBe(true);
});
