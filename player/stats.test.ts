// What the statistics panel says.
import { describe, expect, it } from 'vitest';
import type { PlaybackState } from './playback-state.ts';
import { formatBitrate, statsRows } from './stats.ts';

const STATE: PlaybackState = {
  isLive: true,
  currentTime: 10,
  position: 10,
  duration: null,
  paused: false,
  ended: false,
  stalls: 2,
  stallMs: 1_540,
  rebuffers: 1,
  reloads: 0,
  errors: [],
  edge: 'https://edge-2.example:8081',
  edges: ['https://edge-1.example', 'https://edge-2.example:8081'],
  edgeSwitches: 1,
  level: 1,
  levels: [
    { width: 426, height: 240, bitrate: 500_000 },
    { width: 640, height: 360, bitrate: 1_200_000 },
  ],
  width: 640,
  height: 360,
  bitrate: 1_200_000,
  bandwidth: 8_000_000,
  droppedFrames: 3,
  totalFrames: 900,
  rate: 1.05,
  buffered: 1.234,
  latency: 1.5,
  targetLatency: 1.05,
  clockLatency: 1.62,
  liveEdge: 12,
  windowStart: 0,
  isFollowing: true,
  isAway: false,
  partTarget: 0.35,
  segmentTarget: 2,
  engine: 'hls.js',
};
const shown = (state: Partial<PlaybackState> = {}) =>
  Object.fromEntries(statsRows({ ...STATE, ...state }).map(({ name, value }) => [name, value]));

describe('statsRows', () => {
  it('says everything of a live', () => {
    expect(shown()).toEqual({
      Latency: '1.50 s',
      Target: '1.05 s',
      'By the clock': '1.62 s',
      Speed: '1.05×',
      Buffer: '1.23 s',
      Picture: '640 × 360, 2 of 2',
      Bitrate: '1.20 Mbit/s',
      Network: '8.00 Mbit/s',
      'Dropped frames': '3 of 900',
      Delivery: 'parts of 0.35 s',
      Edge: 'edge-2.example:8081 (of 2), changed once',
      Rebuffers: '1, 1.5 s still',
    });
  });
  it('leaves out of a video what only a live has', () => {
    const names = Object.keys(shown({ isLive: false, latency: null, targetLatency: null, clockLatency: null }));
    expect(names).not.toEqual(expect.arrayContaining(['Latency']));
    expect(names).not.toContain('Delivery');
  });
  it('knows long delays, streams without parts, and the first moment', () => {
    expect(shown({ latency: 571 })['Latency']).toBe('9:31');
    expect(shown({ partTarget: null })['Delivery']).toBe('segments of 2 s');
    expect(shown({ height: 0, width: 0 })['Picture']).toBe('–');
    expect(shown({ stallMs: 0, rebuffers: 0 })['Rebuffers']).toBe('0');
  });
});

describe('formatBitrate', () => {
  it.each([
    [0, '–'],
    [Number.NaN, '–'],
    [412_400, '412 kbit/s'],
    [4_500_000, '4.50 Mbit/s'],
  ])('%d is %s', (bits, text) => expect(formatBitrate(bits)).toBe(text));
});
