// The page's states: starting by itself, playing out, never taking a running picture away.
import { describe, expect, it } from 'vitest';
import type { PlaybackInfo, PlaybackState } from '../platform/contract/playback.ts';
import { canGoLive, hasGrown, hasPlayer, newViewer, pollMs, step, type Viewer, type ViewerEvent } from './viewer.ts';

const info = (state: PlaybackState, startedAt: number | null = 1): PlaybackInfo => ({
  playback_id: 'abcdefghijklmnop1234',
  kind: state === 'ready' || state === 'preparing' || state === 'errored' ? 'video' : 'live',
  state,
  title: 'T',
  description: '',
  duration_s: null,
  poster: null,
  latency_mode: null,
  is_growing: false,
  dvr_window_s: null,
  is_away: false,
  storyboard: null,
  started_at: startedAt,
});
const answer = (state: PlaybackState, startedAt?: number): ViewerEvent => ({
  type: 'answer',
  info: info(state, startedAt),
});
const run = (...events: ViewerEvent[]): Viewer => events.reduce(step, newViewer);

describe('viewer', () => {
  it('waits for a stream and starts it by itself', () => {
    expect(run(answer('waiting')).view).toBe('waiting');
    expect(run(answer('waiting'), answer('live')).view).toBe('live');
  });

  it('starts a video once it is prepared', () => {
    expect(run(answer('preparing')).view).toBe('preparing');
    expect(run(answer('preparing'), answer('ready'))).toMatchObject({ view: 'video', source: 'video' });
  });

  it('lets an ended broadcast play out before it says so', () => {
    const ending = run(answer('live'), answer('ended'));
    expect(ending.view).toBe('ending');
    expect(step(ending, { type: 'finished' }).view).toBe('ended');
  });

  it('says at once that it is over when the page is opened afterwards', () => {
    expect(run(answer('ended')).view).toBe('ended');
  });

  it('shows an ended broadcast again to whoever asks, and the next one only then', () => {
    const ended = run(answer('live'), answer('ended'), { type: 'finished' });
    const replay = step(ended, { type: 'replay' });
    expect(replay).toMatchObject({ view: 'replay', source: 'replay:1' });
    expect(hasPlayer(replay.view)).toBe(true);
    expect(canGoLive(replay)).toBe(false);
    const again = step(replay, answer('live', 2));
    expect(again).toMatchObject({ view: 'replay', source: 'replay:1' });
    expect(canGoLive(again)).toBe(true);
    expect(step(again, { type: 'go-live' })).toMatchObject({ view: 'live', source: 'live:2' });
    expect(step(replay, { type: 'go-live' })).toBe(replay);
    expect(step(replay, { type: 'missing' })).toBe(replay);
  });

  it('has nothing to show again before the end, or when only the next broadcast is known of', () => {
    expect(run(answer('live'), { type: 'replay' }).view).toBe('live');
    expect(run(answer('live'), answer('waiting'), { type: 'finished' }, { type: 'replay' }).view).toBe('ended');
  });

  it('does not end a live on a pause in media alone', () => {
    expect(run(answer('live'), { type: 'finished' }).view).toBe('live');
  });

  it('mounts a new broadcast of the same stream anew', () => {
    const first = run(answer('live', 1));
    const second = step(step(step(first, answer('ended', 1)), { type: 'finished' }), answer('live', 2));
    expect(second.view).toBe('live');
    expect(second.source).not.toBe(first.source);
    expect(step(first, answer('live', 1)).source).toBe(first.source);
  });

  it.each(['live', 'ready'] as const)('keeps playing %s when answers go missing', (state) => {
    const playing = run(answer(state));
    expect(step(playing, { type: 'missing' })).toBe(playing);
    expect(step(playing, { type: 'unreachable' })).toBe(playing);
  });

  it('tells an unknown id from a platform out of reach', () => {
    expect(run({ type: 'missing' }).view).toBe('missing');
    expect(run({ type: 'unreachable' }).view).toBe('unreachable');
    expect(run({ type: 'missing' }, { type: 'unreachable' }).view).toBe('missing');
    expect(run(answer('waiting'), { type: 'unreachable' }).view).toBe('waiting');
  });

  it('shows a failed video, but not over one that plays', () => {
    expect(run(answer('preparing'), answer('errored')).view).toBe('errored');
    expect(run(answer('ready'), answer('errored')).view).toBe('video');
  });

  it('asks every 2 s where something may begin, and no more once a video plays', () => {
    const states: PlaybackState[] = ['waiting', 'preparing', 'ended'];
    expect(states.map((state) => pollMs(run(answer(state))))).toEqual([2_000, 2_000, 2_000]);
    expect(pollMs(run(answer('ready')))).toBeNull();
  });

  it('asks on while better renditions of a playing video are made, and tells when all are there', () => {
    const growing = run({ type: 'answer', info: { ...info('ready'), is_growing: true } });
    expect(growing.view).toBe('video');
    expect(pollMs(growing)).toBe(3_000);
    expect(hasGrown(newViewer, growing)).toBe(false);
    expect(hasGrown(growing, growing)).toBe(false);
    expect(hasGrown(growing, step(growing, answer('ready')))).toBe(true);
    expect(hasGrown(growing, step(growing, answer('errored')))).toBe(false);
    expect(hasGrown(growing, step(growing, { type: 'unreachable' }))).toBe(false);
  });
});
