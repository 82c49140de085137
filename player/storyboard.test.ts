// Storyboards as WebVTT.
import { describe, expect, it } from 'vitest';
import { parseStoryboard, pictureAt } from './storyboard.ts';

const BASE = 'https://edge.example/abc/storyboard.vtt?token=t';
const TEXT = `WEBVTT

1
00:00.000 --> 00:10.000
storyboard-0.jpg#xywh=0,0,320,180

01:00:10.000 --> 01:00:20.000 align:start
/abc/storyboard-1.jpg#xywh=320,180,320,180

00:20.000 --> 00:30.000
no picture

NOTE 00:30.000 --> nothing`;

describe('parseStoryboard', () => {
  it('reads cues with and without names, hours and settings', () => {
    const whole = { width: 320, height: 180 };
    expect(parseStoryboard(TEXT.replaceAll('\n', '\r\n'), BASE)).toEqual([
      { startS: 0, endS: 10, url: 'https://edge.example/abc/storyboard-0.jpg', x: 0, y: 0, ...whole },
      { startS: 3_610, endS: 3_620, url: 'https://edge.example/abc/storyboard-1.jpg', x: 320, y: 180, ...whole },
    ]);
  });
  it('is empty for other texts', () => expect(parseStoryboard('<html>', BASE)).toEqual([]));
});

describe('pictureAt', () => {
  const pictures = parseStoryboard(TEXT, BASE);
  it.each([
    [0, 0],
    [3_609, 0],
    [3_610, 3_610],
    [9_999, 3_610],
    [-1, 0],
  ])('shows for %d s the picture of %d s', (time, start) => expect(pictureAt(pictures, time)?.startS).toBe(start));
  it('shows none of none', () => expect(pictureAt([], 3)).toBeNull());
});
