// Storyboards of recordings: cues over all of it, gaps left out.
import { expect, test } from 'vitest';
import { recordedStarts, SHEET_PICTURES, storyboardText } from './live-storyboard.ts';

test('cues follow one another from 0 to the end', () => {
  expect(storyboardText([0.5, 10, 3_600], 3_605.25)).toBe(
    [
      'WEBVTT\n',
      '00:00:00.000 --> 00:00:10.000\nstoryboard-0.jpg#xywh=0,0,160,90\n',
      '00:00:10.000 --> 01:00:00.000\nstoryboard-0.jpg#xywh=160,0,160,90\n',
      '01:00:00.000 --> 01:00:05.250\nstoryboard-0.jpg#xywh=320,0,160,90\n',
    ].join('\n'),
  );
});

test('a sheet has five rows of five', () => {
  const times = Array.from({ length: SHEET_PICTURES + 1 }, (_, i) => i * 10);
  const cues = storyboardText(times, 260).split('\n\n');
  expect(cues[7]).toContain('storyboard-0.jpg#xywh=160,90,160,90');
  expect(cues[25]).toContain('storyboard-0.jpg#xywh=640,360,160,90');
  expect(cues[26]).toContain('storyboard-1.jpg#xywh=0,0,160,90');
});

test('gaps have no place in the recording', () => {
  const { starts, total } = recordedStarts(
    new Map([
      [12, 2],
      [10, 2],
      [11, 0],
      [13, 1.5],
    ]),
  );
  expect([...starts]).toEqual([
    [10, 0],
    [11, 2],
    [12, 2],
    [13, 4],
  ]);
  expect(total).toBe(5.5);
});
