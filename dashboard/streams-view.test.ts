// Words about a live stream, and what the clip form makes of its fields.
import { describe, expect, it } from 'vitest';
import { overviewStream } from '../test/support/overview-rows.ts';
import { clipOf } from './clip-form.ts';
import { streamFacts, streamNotes } from './streams-view.ts';

describe('a stream in words', () => {
  it('idle: how it is set', () => {
    const idle = overviewStream({ status: 'idle', redundancy: 'hot', transcode: 'passthrough', record: false });
    expect(streamFacts(idle)).toEqual(['default latency', 'pass-through', 'two workers', 'not recorded']);
    expect(streamNotes(overviewStream({ status: 'idle', is_away: true, advice: ['old'] }))).toEqual([]);
  });

  it('on air: who watches what', () => {
    const live = { viewer_count: 1, bitrate: 2.5e6, renditions: ['v720', 'a0'], lag_s: 0.43, has_standby: true };
    expect(streamFacts(overviewStream(live)).join(' · ')).toBe(
      '1 viewer · 2.5 Mbit/s · 720p, audio · 0.4 s in encoding · default latency · recorded · second encoder stands by',
    );
  });

  it('says what is wrong, worst first', () => {
    const notes = streamNotes(
      overviewStream({ fault: 'no video', advice: ['Send audio.'], is_away: true, publishing_key: 'backup' }),
    );
    expect(notes.map(({ text, kind }) => `${kind}: ${text}`)).toEqual([
      'bad: Cannot be shown: no video',
      'warn: Waiting for the encoder to come back.',
      'warn: Send audio.',
      'warn: Shown from the backup encoder.',
    ]);
  });
});

describe('a clip', () => {
  const live = { kind: 'live', name: 'Pier', streamId: 's' } as const;
  const video = { kind: 'video', name: 'Meadow', assetId: 'a', durationS: 75 } as const;
  it('of a live stream counts back from its edge', () => {
    expect(clipOf(live, { from: '1:30', to: '', title: ' Goal ' })).toEqual({
      source: { live_stream_id: 's' },
      start: -90,
      end: 0,
      title: 'Goal',
    });
  });
  it('of a video has a from and a to', () => {
    expect(clipOf(video, { from: '0:05', to: '65', title: '' })).toEqual({
      source: { asset_id: 'a' },
      start: 5,
      end: 65,
    });
  });
  it.each([
    [live, '0', '', /how many seconds/],
    [live, 'x', '', /how many seconds/],
    [video, 'x', '10', /from and to/],
    [video, '10', '10', /must end after/],
  ])('%#: what does not fit is said before it is sent', (subject, from, to, words) =>
    expect(clipOf(subject, { from, to, title: '' })).toMatch(words),
  );
});
