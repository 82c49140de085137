// Which rungs a live broadcast gets.
import { expect, test } from 'vitest';
import { liveRungs, rungsOf } from './live-rungs.ts';

test.each([
  [1920, 1080, 3, [1080, 480, 240]],
  [1920, 1080, 5, [1080, 720, 480, 360, 240]],
  [1920, 1080, 2, [1080, 240]],
  [1920, 1080, 1, [1080]],
  [1280, 720, 3, [720, 360, 240]],
  [640, 360, 3, [360, 240]],
  [320, 180, 3, [180]],
])('%d x %d with at most %d', (width, height, limit, heights) => {
  expect(liveRungs(width, height, limit).map((rung) => rung.height)).toEqual(heights);
});

test('a record gives its rungs back', () => {
  const [rung] = liveRungs(640, 360, 1);
  if (rung === undefined) throw new Error('no rung');
  const info = {
    name: 'v360' as never,
    kind: 'video',
    codecs: '',
    width: rung.width,
    height: rung.height,
    frame_rate: 30,
    channels: null,
    bandwidth: rung.maxrateBps,
    average_bandwidth: rung.bitrateBps,
    timescale: 90_000,
  } as const;
  expect(rungsOf([info, { ...info, kind: 'audio', width: null, height: null }])).toEqual([rung]);
});
