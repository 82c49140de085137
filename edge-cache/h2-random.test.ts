// Frames at random against one HTTP/2 connection: whatever comes, it answers by the rules or ends the connection, and throws nothing.
import { describe, expect, it } from 'vitest';
import { answerOf, engineOf, frameBytes, get, openPeer, setting, uint32 } from '../test/support/raw-h2.ts';
import type { EdgeAnswer } from './messages.ts';

const SESSIONS = 150;
const FRAMES = 60;

/** mulberry32: the same numbers in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(20_000);
  await Promise.resolve();
  throw new Error('broken off');
}

function answerTo(target: string): EdgeAnswer {
  if (target === '/large') return answerOf(Buffer.alloc(100_000));
  return answerOf(target === '/broken' ? broken() : Buffer.from('hello'));
}

const engine = engineOf(
  ({ target }) => (target === '/late' ? null : answerTo(target)),
  () => new Promise((resolve) => setImmediate(() => resolve(answerTo('/')))),
);

/** Mostly frames that make sense, some that do not. `stream` is the newest one that was opened. */
function frameAt(next: (below: number) => number, stream: number): Buffer {
  const target = ['/', '/large', '/broken', '/late'][next(4)] ?? '/';
  const noise = Buffer.from(Array.from({ length: next(40) }, () => next(256)));
  const sound: (() => Buffer)[] = [
    () => frameBytes(1, 5, stream + 2, get(target)),
    () => frameBytes(1, 4, stream + 2, get(target)),
    () => frameBytes(3, 0, stream, uint32(next(14))),
    () => frameBytes(8, 0, next(2) * stream, uint32(1 + next(100_000))),
    () => frameBytes(4, 0, 0, setting(4, next(70_000))),
    () => frameBytes(6, next(2), 0, Buffer.alloc(8)),
    () => frameBytes(2, 0, stream + 2, Buffer.alloc(5, 0)),
  ];
  const odd: (() => Buffer)[] = [
    () => frameBytes(1, next(2) * 4, next(stream + 4), get(target)),
    () => frameBytes(9, next(2) * 4, stream, noise),
    () => frameBytes(0, next(2), stream, noise),
    () => frameBytes(8, 0, stream, uint32(0)),
    () => frameBytes(next(12), next(256), next(stream + 4), noise),
  ];
  const some = next(40) === 0 ? odd : sound;
  return some[next(some.length)]?.() ?? noise;
}

describe('frames at random', () => {
  it('are answered by the rules or end the connection', async () => {
    const seen = { ended: 0, answered: 0 };
    for (let seed = 1; seed <= SESSIONS; seed += 1) {
      const next = seeded(seed);
      const peer = await openPeer(engine);
      const errors: unknown[] = [];
      peer.socket.on('error', (thrown) => errors.push(thrown));
      let newest = 1;
      peer.raw(frameBytes(1, 5, newest, get('/large')));
      for (let i = 0; i < FRAMES && peer.ended.length === 0; i += 1) {
        const bytes = frameAt(next, newest);
        if (bytes[3] === 1 && bytes.readUInt32BE(5) === newest + 2) newest += 2;
        const cut = next(bytes.length + 1);
        peer.raw(bytes.subarray(0, cut));
        if (next(8) === 0) await peer.settle();
        peer.raw(bytes.subarray(cut));
      }
      await peer.settle();
      peer.raw(Buffer.concat([frameBytes(4, 0, 0, setting(4, 70_000)), frameBytes(8, 0, 0, uint32(2 ** 30))]));
      peer.raw(frameBytes(1, 5, 1_001, get('/')));
      await peer.settle();
      expect([seed, errors, peer.reported]).toEqual([seed, [], []]);
      if (peer.ended.length > 0) {
        seen.ended += 1;
        expect([seed, peer.code(0)]).not.toEqual([seed, null]);
      } else if (peer.body(1_001).toString() === 'hello') seen.answered += 1;
    }
    // Both ends are reached, or this test says nothing.
    expect(seen.ended).toBeGreaterThan(SESSIONS / 10);
    expect(seen.answered).toBeGreaterThan(SESSIONS / 10);
  });
});
