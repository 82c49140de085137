// The slate's loop as a ring: session, header, then frames in real time over and over.
import { expect, test } from 'vitest';
import type { SessionId } from '../platform/contract/ids.ts';
import { RING_KINDS } from '../platform/contract/ring.ts';
import { type SlateLoop, slateArguments, slateRing } from './live-slate.ts';

const SESSION = 'session' as SessionId;
const loop: SlateLoop = {
  header: Uint8Array.from([0x17, 0]),
  frames: [
    { atMs: 0, payload: Uint8Array.from([0x17, 1]) },
    { atMs: 500, payload: Uint8Array.from([0x27, 1]) },
  ],
  lengthMs: 1_001,
};

test('rounds follow one another without a seam, each frame with the wall clock at which it is due', async () => {
  const ending = new AbortController();
  const from = Date.now() - 10_000;
  const seen: (string | number)[][] = [];
  for await (const frame of slateRing(loop, SESSION, from, ending.signal)) {
    if (frame.kind === RING_KINDS.session) seen.push(['session', Buffer.from(frame.payload).toString()]);
    else seen.push([frame.payload[1] === 0 ? 'header' : frame.timestamp, frame.arrival - from]);
    if (seen.length === 7) ending.abort();
  }
  expect(seen).toEqual([
    ['session', 'session'],
    ['header', 0],
    [0, 0],
    [500, 500],
    [1_001, 1_001],
    [1_501, 1_501],
    [2_002, 2_002],
  ]);
});

test('a frame whose time has not come is waited for, until the end', async () => {
  const ending = new AbortController();
  const ring = slateRing(loop, SESSION, Date.now() + 60_000, ending.signal);
  await ring.next();
  await ring.next();
  const waiting = ring.next();
  ending.abort();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test('a picture of the stream comes as raw pixels, never as a file of it', () => {
  const shape = { width: 640, height: 360, fps: { num: 30, den: 1 } };
  expect(slateArguments({ ...shape, picture: null })).toContain('lavfi');
  const args = slateArguments({ ...shape, picture: new Uint8Array(1) });
  expect(args.join(' ')).toContain('-f rawvideo -pixel_format yuv420p -video_size 640x360 -framerate 30/1 -i pipe:0');
});
