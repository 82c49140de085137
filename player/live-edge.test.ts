// One viewer at the live edge, with a media element and an engine that are object literals.
import { describe, expect, it } from 'vitest';
import { FOLLOWING_COUNT } from './hls-settings.ts';
import { LiveEdge, type LiveEngine } from './live-edge.ts';

const segment = (sn: number, isGap = false) => ({
  sn,
  start: sn * 2,
  end: sn * 2 + 2,
  tagList: isGap ? [['GAP']] : [['INF', '2']],
});

function detailsOf(from: number, to: number, gaps: number[] = []) {
  const fragments = Array.from({ length: to - from }, (_, index) => segment(from + index, gaps.includes(from + index)));
  return {
    fragments,
    partList: null,
    live: true,
    edge: to * 2,
    age: 0.1,
    fragmentStart: from * 2,
    targetduration: 2,
    partTarget: 0.35,
    partHoldBack: 1.05,
    holdBack: 6,
  };
}

function viewer(currentTime: number, details = detailsOf(0, 30), hasPlayed = true) {
  const ahead = { length: 1, start: () => 0, end: () => details.edge };
  const video = { currentTime, paused: false, seeking: false, readyState: 4, playbackRate: 1, buffered: ahead };
  const engine = {
    latestLevelDetails: details,
    liveSyncPosition: details.edge - 1.05,
    latency: details.edge - currentTime,
    targetLatency: 1.05,
    config: { liveMaxLatencyDurationCount: 0 },
  } satisfies LiveEngine;
  const edge = new LiveEdge(video as unknown as HTMLVideoElement, { isLive: true, catchUpRate: 1.2 });
  edge.use(engine);
  if (hasPlayed) {
    video.currentTime = details.edge;
    edge.played();
    video.currentTime = currentTime;
  }
  const playlist = (next: ReturnType<typeof detailsOf>): void => {
    engine.latestLevelDetails = next;
    engine.liveSyncPosition = next.edge - 1.05;
    edge.playlistChanged(next);
  };
  return { video, engine, edge, playlist };
}

describe('LiveEdge', () => {
  it('keeps a follower near live, and nobody else', () => {
    const { video, engine, edge } = viewer(58);
    expect(engine.config.liveMaxLatencyDurationCount).toBe(FOLLOWING_COUNT);
    video.currentTime = 20;
    edge.seeking();
    expect(edge.isFollowing).toBe(false);
    expect(engine.config.liveMaxLatencyDurationCount).toBe(Number.POSITIVE_INFINITY);
    video.currentTime = 58.5;
    edge.seeking();
    expect(edge.isFollowing).toBe(true);
  });
  it('makes a slow start good from the buffer', () => {
    const { video, edge } = viewer(54, detailsOf(0, 30), false);
    edge.played();
    expect(video.currentTime).toBeCloseTo(58.95);
    video.currentTime = 54;
    edge.played();
    expect(video.currentTime).toBe(54);
  });
  it('does not skip what it would have to wait for', () => {
    const { video, edge } = viewer(54, detailsOf(0, 30), false);
    video.buffered = { length: 1, start: () => 50, end: () => 58 };
    edge.played();
    expect(video.currentTime).toBe(54);
  });
  it('does not follow what is watched from its start', () => {
    const { engine } = viewer(0);
    new LiveEdge({} as HTMLVideoElement, { isLive: false, catchUpRate: 1.2 }).use(engine);
    expect(engine.config.liveMaxLatencyDurationCount).toBe(Number.POSITIVE_INFINITY);
  });
  it('sees a seek that the element has not told of yet', () => {
    const { video, edge, playlist } = viewer(58);
    video.currentTime = 20;
    video.seeking = true;
    playlist(detailsOf(0, 31));
    expect(edge.isFollowing).toBe(false);
  });
  it('hurries only a follower', () => {
    const { video, engine, edge } = viewer(57);
    edge.tick(0, true);
    expect(video.playbackRate).toBe(1.2);
    engine.latency = 1.06;
    edge.tick(0, true);
    expect(video.playbackRate).toBe(1);
    engine.latency = 3;
    edge.tick(0, true);
    edge.follow(false);
    expect(video.playbackRate).toBe(1);
  });
  it('takes a place that left the window to its beginning', () => {
    const { video, edge, playlist } = viewer(10);
    edge.seeking();
    playlist(detailsOf(5, 35));
    expect(video.currentTime).toBe(10);
    playlist(detailsOf(6, 36));
    expect(video.currentTime).toBe(14);
    expect(edge.isFollowing).toBe(false);
  });
  it('leaves a paused picture while it can be played', () => {
    const { video, edge, playlist } = viewer(10);
    edge.seeking();
    video.paused = true;
    playlist(detailsOf(20, 50));
    expect(video.currentTime).toBe(10);
    video.readyState = 2;
    playlist(detailsOf(20, 50));
    expect(video.currentTime).toBe(42);
  });
  it('waits in a gap, and leaves it when enough stands behind it', () => {
    const { video, engine, edge, playlist } = viewer(60);
    video.buffered = { length: 1, start: () => 0, end: () => 60 };
    playlist(detailsOf(0, 32, [30, 31]));
    expect([edge.isAway, edge.isInGap]).toEqual([true, true]);
    expect(engine.config.liveMaxLatencyDurationCount).toBe(Number.POSITIVE_INFINITY);
    const part = (start: number) => ({ start, end: start + 0.35, gap: false, fragment: { sn: 32 } });
    const back = { ...detailsOf(0, 32, [30, 31]), partList: [part(64)], edge: 64.35 };
    playlist(back as never);
    expect(edge.isAway).toBe(false);
    expect(video.currentTime).toBe(60);
    playlist({ ...back, partList: [64, 64.35, 64.7, 65.05].map(part), edge: 65.4 } as never);
    expect(video.currentTime).toBeCloseTo(64.02);
    expect(edge.isInGap).toBe(true);
    video.buffered = { length: 1, start: () => 64, end: () => 65.4 };
    edge.tick(0, true);
    expect(edge.isInGap).toBe(false);
  });
  it('plays what another rendition gave before it leaves a gap', () => {
    const { video, edge, playlist } = viewer(61, detailsOf(0, 34, [30, 31]));
    video.buffered = { length: 1, start: () => 50, end: () => 66 };
    playlist(detailsOf(0, 34, [30, 31]));
    expect(video.currentTime).toBe(61);
    expect(edge.isInGap).toBe(false);
  });
  it('takes the target back to the playlist after calm', () => {
    const { engine, edge } = viewer(58);
    engine.targetLatency = 1.85;
    edge.stalled(0);
    edge.tick(29_000, true);
    expect(engine.targetLatency).toBe(1.85);
    edge.tick(30_000, true);
    expect(engine.targetLatency).toBe(1.05);
  });
});
