import { expect, it } from 'vitest';
import { sumCounts } from './stand-in.ts';
import { Tally } from './tally.ts';

it('what was due during the warm-up does not count', () => {
  const tally = new Tally(1_000);
  tally.got('media', 999, 50, 10, 5_000);
  tally.failed(999, 'reset');
  tally.sawBehind(999);
  expect(tally.figures()).toMatchObject({ requests: 0, bytes: 0, allBytes: 50, errors: {}, late: 0, behind: 0 });
});

it('times run from when the answer was due, and more than the limit is late', () => {
  const tally = new Tally(0);
  tally.got('media', 100, 50, 200, 300);
  tally.got('media', 100, 50, 200, 301);
  tally.got('playlist', 100, 5, null, 9_000);
  // Clocks of two processes may differ by a moment.
  tally.got('playlist', 100, 5, null, 99);
  const { late, bytes, mediaMs, playlistMs } = tally.figures();
  expect([late, bytes, mediaMs.p50, mediaMs.most, playlistMs.most]).toEqual([1, 110, 200, 201, 8_900]);
  expect(playlistMs.p50).toBe(0);
});

it('what all wait for has arrived when the last of them has it', () => {
  const tally = new Tally(0);
  for (const nowMs of [110, 190, 120]) tally.gotShared('media', 1, 100, nowMs);
  tally.gotShared('media', 2, 200, 205);
  expect(tally.lastViewerMs('media')).toMatchObject({ p50: 5, most: 90 });
  expect(tally.lastViewerMs('playlist').most).toBeNull();
});

it('media before and after a fault are told apart', () => {
  const tally = new Tally(0);
  tally.got('media', 100, 1, null, 110);
  tally.got('media', 200, 1, null, 250);
  expect(tally.aroundMs(200)).toMatchObject({ before: { most: 10 }, after: { most: 50 } });
});

it('requests for one object at several origins are added up; plain playlists may be asked for again and again', () => {
  const part = '/v/-/c/v720/1/p1.0.b0030000.m4s';
  const asked = sumCounts([
    {
      bytes: 10,
      lateMs: 2,
      requests: [
        [part, 1],
        ['/v/-/c/v720/index.m3u8', 9],
      ],
    },
    {
      bytes: 5,
      lateMs: 7,
      requests: [
        [part, 2],
        ['/v/-/c/v720/index.m3u8?_HLS_msn=4&_HLS_part=1', 1],
      ],
    },
  ]);
  expect(asked).toEqual({ requests: 13, objects: 2, requestsForObjects: 4, most: 3, bytes: 15, lateMs: 7 });
});
