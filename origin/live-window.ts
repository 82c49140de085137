// Live windows: the timelines of the broadcasts that viewers ask for, followed and held in memory. A window never steps back.
import type { ContentId } from '../platform/contract/ids.ts';
import { LIVE_TARGET_DURATION_S } from '../platform/contract/latency.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { LiveTimeline } from '../platform/hls/live-timeline.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay, type Loop, repeat } from '../platform/runtime/waits.ts';
import type { BlockSource } from './index-blocks.ts';
import type { FollowedBroadcasts } from './metrics.ts';

/** What this file needs of the timeline follower. */
export interface TimelineSource {
  follow(
    content: ContentId,
    onEntries: (entries: TimelineEntry[]) => void,
  ): { /** What Redis held at the call has been handed over. */ readonly caughtUp: Promise<void>; stop(): void };
  /** ms since Redis last answered. */
  staleMs(): number;
}

/** The first request waits at most this long for what Redis and the store hold. */
const FIRST_ENTRIES_MS = 2_000;
const IDLE_MS = 60_000;
const SWEEP_MS = 5_000;
const MOST_WINDOWS = 2_000;
const BLOCKS_RETRY_MS = 1_000;
/** Without word from Redis for three target durations, what is held is too old to show as live. */
const CUT_OFF_MS = 3 * LIVE_TARGET_DURATION_S * 1_000;
/** The record may say `ended` before the last entries are here; ENDLIST without them would cut the end off. */
const END_SETTLE_MS = 500;

export type LiveWindowDeps = {
  source: TimelineSource;
  blocks: BlockSource;
  log: Logger;
  /** Segments of a window. */
  segments: number;
  /** Monotonic clock, ms. */
  now?: () => number;
};

/** One broadcast's timeline as this origin knows it. */
export class LiveWindow {
  readonly timeline: LiveTimeline;
  /** On the air as of the last request; kept for the age gauge. */
  isOnAir = false;
  usedAt: number;
  private heardAt: number;
  private endSeenAt: number | null = null;
  private readonly now: () => number;

  constructor(segments: number, now: () => number) {
    this.timeline = new LiveTimeline(segments);
    this.now = now;
    this.usedAt = now();
    this.heardAt = now();
  }

  hear(entries: readonly TimelineEntry[]): void {
    if (this.timeline.accept(entries) > 0) this.heardAt = this.now();
  }

  /** No new segment for three target durations. */
  isQuiet(): boolean {
    return this.now() - this.heardAt > CUT_OFF_MS;
  }

  /** Whether the playlist may say ENDLIST; call it with what the record says at every request. */
  settlesEnd(isEnded: boolean): boolean {
    if (!isEnded) {
      this.endSeenAt = null;
      return false;
    }
    this.endSeenAt ??= this.now();
    return this.now() - Math.max(this.endSeenAt, this.heardAt) >= END_SETTLE_MS;
  }
}

type Followed = {
  window: LiveWindow;
  opening: Promise<void>;
  /** null: the blocks have been read. Else when they may be tried again, monotonic ms. */
  blocksDueAt: number | null;
  stop(): void;
};

export class LiveWindows implements Component, FollowedBroadcasts {
  private readonly deps: LiveWindowDeps;
  private readonly now: () => number;
  private readonly followed = new Map<ContentId, Followed>();
  private readonly ending = new AbortController();
  private sweeper: Loop | null = null;

  constructor(deps: LiveWindowDeps) {
    this.deps = deps;
    this.now = deps.now ?? (() => performance.now());
  }

  async start(): Promise<void> {
    const report = (thrown: unknown) => this.deps.log.error('live window sweep failed', { err: thrown });
    this.sweeper = repeat(SWEEP_MS, async () => this.sweep(), report);
  }

  async close(): Promise<void> {
    this.ending.abort();
    for (const { stop } of this.followed.values()) stop();
    this.followed.clear();
    await this.sweeper?.close();
    this.sweeper = null;
  }

  /**
   * The window of a broadcast, followed from now on. The first request waits until what Redis and the store hold is here,
   * two seconds at most; it may then still be empty.
   */
  async open(content: ContentId): Promise<LiveWindow> {
    const followed = this.followed.get(content) ?? this.follow(content);
    followed.window.usedAt = this.now();
    // Young windows are at the back, so that the bound takes the one unused for longest.
    this.followed.delete(content);
    this.followed.set(content, followed);
    if (followed.blocksDueAt !== null && this.now() >= followed.blocksDueAt) void this.readBlocks(content, followed);
    await followed.opening;
    return followed.window;
  }

  /** Redis has been silent for so long that another origin must know better. */
  isCutOff(window: LiveWindow): boolean {
    return window.isQuiet() && this.deps.source.staleMs() > CUT_OFF_MS;
  }

  count(): number {
    return this.followed.size;
  }

  oldestSegmentAgeS(): number {
    let oldest = 0;
    for (const { window } of this.followed.values()) {
      const newest = window.isOnAir ? window.timeline.newest() : null;
      if (newest === null) continue;
      oldest = Math.max(oldest, (Date.now() - newest.pdt) / 1_000 - LIVE_TARGET_DURATION_S);
    }
    return oldest;
  }

  /** Lets go of windows that nobody has asked for in a minute. */
  sweep(): void {
    for (const [content, { window }] of this.followed) {
      if (this.now() - window.usedAt > IDLE_MS) this.unfollow(content);
    }
  }

  private unfollow(content: ContentId): void {
    this.followed.get(content)?.stop();
    this.followed.delete(content);
  }

  private follow(content: ContentId): Followed {
    const window = new LiveWindow(this.deps.segments, this.now);
    const { caughtUp, stop } = this.deps.source.follow(content, (entries) => window.hear(entries));
    const followed: Followed = { window, opening: Promise.resolve(), blocksDueAt: null, stop };
    const everything = Promise.all([caughtUp, this.readBlocks(content, followed)]).then(() => undefined);
    followed.opening = Promise.race([everything, delay(FIRST_ENTRIES_MS, this.ending.signal)]);
    this.followed.set(content, followed);
    if (this.followed.size > MOST_WINDOWS) {
      const [oldest] = this.followed.keys();
      if (oldest !== undefined && oldest !== content) this.unfollow(oldest);
    }
    return followed;
  }

  private async readBlocks(content: ContentId, followed: Followed): Promise<void> {
    followed.blocksDueAt = null;
    try {
      followed.window.hear(await this.deps.blocks.newest(content, this.deps.segments));
    } catch (thrown) {
      followed.blocksDueAt = this.now() + BLOCKS_RETRY_MS;
      this.deps.log.warn('index blocks not read', { broadcast: content, err: thrown });
    }
  }
}
