// Storyboards cut to a clip.
import { expect, test } from 'vitest';
import { cutStoryboard, vttTime } from './storyboard.ts';

const cue = (from: number, to: number, n: number) =>
  `${vttTime(from)} --> ${vttTime(to)}\nstoryboard-0.jpg#xywh=${n * 160},0,160,90`;
const whole = `WEBVTT\n\n${[0, 1, 2, 3].map((n) => cue(n * 10, n * 10 + 10, n)).join('\n\n')}\n`;

test('cues that overlap the clip, on its clock', () => {
  expect(cutStoryboard(whole, 12, 10)).toBe(`WEBVTT\n\n${cue(0, 8, 1)}\n\n${cue(8, 10, 2)}\n`);
});

test('the whole stays the whole; a clip past the end has no cue', () => {
  expect(cutStoryboard(whole, 0, 40)).toBe(whole);
  expect(cutStoryboard(whole, 50, 10)).toBe('WEBVTT\n');
});

test('numbered cues and other line ends are read; notes are dropped', () => {
  const text = `WEBVTT\r\n\r\nNOTE made of pictures\r\n\r\n1\r\n${cue(0, 10, 0).replace('\n', '\r\n')}\r\n`;
  expect(cutStoryboard(text, 0, 5)).toBe(`WEBVTT\n\n${cue(0, 5, 0)}\n`);
});

test('times to the millisecond, hours beyond a day', () => {
  expect([vttTime(0), vttTime(3_661.0005), vttTime(59.9996), vttTime(100 * 3_600)]).toEqual([
    '00:00:00.000',
    '01:01:01.001',
    '00:01:00.000',
    '100:00:00.000',
  ]);
});
