// Live windows: the timelines of the broadcasts that viewers ask for, followed and held in memory. A window never steps back.
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { BroadcastId, ContentId } from '../platform/contract/ids.ts';
import { LIVE_TARGET_DURATION_S, LONGEST_WAIT_TARGETS } from '../platform/contract/latency.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { RunTexts, windowSegments } from '../platform/hls/live-playlist.ts';
import { LiveTimeline } from '../platform/hls/live-timeline.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay, type Loop, repeat } from '../platform/runtime/waits.ts';
import { type BlockSource, readNewestBlocks } from './index-blocks.ts';
import type { FollowedBroadcasts } from './metrics.ts';
import { Waiting } from './waiting.ts';

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
const SWEEP_MS = 1_000;
const MOST_WINDOWS = 2_000;
const BLOCKS_RETRY_MS = 1_000;
/** The record may say `ended` before the last entries are here; ENDLIST without them would cut the end off. */
const END_SETTLE_MS = 500;
const LONG_OVER_MS = 10_000;

export type LiveWindowDeps = {
  source: TimelineSource;
  blocks: BlockSource;
  /** The broadcast's record, at most about a second old. */
  record(id: BroadcastId): Promise<BroadcastRecord | null>;
  log: Logger;
  /** Length of a window, unless the broadcast says otherwise. Unit: s. */
  windowS: number;
  /** Monotonic clock, ms. */
  now?: () => number;
};

/** Whether it is over, and for how long. Unit: ms. */
const endOf = ({ status, ended_at: at }: BroadcastRecord): [isEnded: boolean, agoMs: number] => [
  status === 'ended',
  at === null ? 0 : Date.now() - at,
];

/** One broadcast's timeline as this origin knows it. */
export class LiveWindow {
  readonly timeline: LiveTimeline;
  /** EXT-X-TARGETDURATION. Unit: s. */
  readonly targetS: number;
  /** PART-TARGET, null without parts. Unit: s. */
  readonly partTargetS: number | null;
  readonly waiting = new Waiting();
  readonly runTexts = new RunTexts();
  /** On the air as of the last request. */
  isOnAir = false;
  usedAt: number;
  private heardAt: number;
  private endSeenAt: number | null = null;
  private endTimer: NodeJS.Timeout | null = null;
  private readonly now: () => number;

  constructor(broadcast: BroadcastRecord, windowS: number, now: () => number) {
    const [epoch] = broadcast.epochs;
    this.targetS = epoch?.target_duration ?? LIVE_TARGET_DURATION_S;
    this.partTargetS = epoch?.part_target ?? null;
    this.timeline = new LiveTimeline(windowSegments(broadcast.dvr_window_s ?? windowS, this.targetS));
    this.now = now;
    this.usedAt = now();
    this.heardAt = now();
  }

  /** Longest wait for news; without word from Redis for longer, what is held is too old to show as live. Unit: ms. */
  get cutOffMs(): number {
    return LONGEST_WAIT_TARGETS * this.targetS * 1_000;
  }

  /** Takes news; whoever waits looks again. @param take answers whether the newest part is another one now */
  hear(take: (timeline: LiveTimeline) => boolean): void {
    if (!take(this.timeline)) return;
    this.heardAt = this.now();
    this.waiting.wake();
  }

  /** No new part for three target durations. */
  isQuiet(): boolean {
    return this.now() - this.heardAt > this.cutOffMs;
  }

  /**
   * What the record says, at every look at it. Half a second after an end that stays one, whoever waits looks again.
   * @param agoMs how long ago it ended, by the clock on the wall: after ten seconds there is nothing left to come
   */
  noteEnd(isEnded: boolean, agoMs = 0): void {
    if (!isEnded) this.endSeenAt = null;
    else if (agoMs > LONG_OVER_MS) this.endSeenAt = Number.NEGATIVE_INFINITY;
    else this.endSeenAt ??= this.now();
    if (!isEnded || this.endTimer !== null || this.waiting.count() === 0) return;
    this.endTimer = setTimeout(() => {
      this.endTimer = null;
      this.waiting.wake();
      this.noteEnd(this.endSeenAt !== null);
    }, END_SETTLE_MS);
  }

  /** Whether the playlist says ENDLIST: the record has said so for a while, and nothing has come since. */
  isOver(): boolean {
    if (this.endSeenAt === Number.NEGATIVE_INFINITY) return true;
    return this.endSeenAt !== null && this.now() - Math.max(this.endSeenAt, this.heardAt) >= END_SETTLE_MS;
  }

  close(): void {
    if (this.endTimer !== null) clearTimeout(this.endTimer);
    this.waiting.release();
  }
}

/** What playlists, manifests and media need of the live windows. */
export interface WindowSource {
  /** @param broadcast has an epoch that names its renditions */
  open(broadcast: BroadcastRecord): Promise<LiveWindow>;
  /** On the air, but Redis has been silent for so long that another origin must know better. */
  isCutOff(window: LiveWindow): boolean;
  /** ms since Redis last answered. */
  staleMs(): number;
}

type Followed = {
  window: LiveWindow;
  broadcast: BroadcastId;
  opening: Promise<void>;
  /** null: the blocks have been read. Else when they may be tried again, monotonic ms. */
  blocksDueAt: number | null;
  stop(): void;
};

export class LiveWindows implements Component, FollowedBroadcasts, WindowSource {
  private readonly deps: LiveWindowDeps;
  private readonly now: () => number;
  private readonly followed = new Map<ContentId, Followed>();
  private readonly ending = new AbortController();
  private isDraining = false;
  private sweeper: Loop | null = null;

  constructor(deps: LiveWindowDeps) {
    this.deps = deps;
    this.now = deps.now ?? (() => performance.now());
  }

  async start(): Promise<void> {
    const report = (thrown: unknown) => this.deps.log.error('live window sweep failed', { err: thrown });
    this.sweeper = repeat(SWEEP_MS, async () => this.sweep(), report);
  }

  /** Whoever waits is told to ask another origin. Stands before the listener's drain, which awaits open requests. */
  async drain(): Promise<void> {
    this.isDraining = true;
    for (const { window } of this.followed.values()) window.waiting.release();
  }

  async close(): Promise<void> {
    this.ending.abort();
    for (const content of [...this.followed.keys()]) this.unfollow(content);
    await this.sweeper?.close();
    this.sweeper = null;
  }

  /**
   * The window of a broadcast that has an epoch, followed from now on. The first request waits until what Redis and the store hold
   * is here, two seconds at most; it may then still be empty, or lack its older part.
   */
  async open(broadcast: BroadcastRecord): Promise<LiveWindow> {
    const content = broadcast.content_id;
    const followed = this.followed.get(content) ?? this.follow(broadcast);
    followed.window.usedAt = this.now();
    // Young windows are at the back, so that the bound takes the one unused for longest.
    this.followed.delete(content);
    this.followed.set(content, followed);
    followed.window.isOnAir = broadcast.status === 'live' && broadcast.ingest !== null;
    followed.window.noteEnd(...endOf(broadcast));
    if (followed.blocksDueAt !== null && this.now() >= followed.blocksDueAt) void this.readBlocks(content, followed);
    await followed.opening;
    return followed.window;
  }

  isCutOff(window: LiveWindow): boolean {
    return window.isOnAir && window.isQuiet() && this.deps.source.staleMs() > window.cutOffMs;
  }

  staleMs(): number {
    return this.deps.source.staleMs();
  }

  count(): number {
    return this.followed.size;
  }

  blockedRequests(): number {
    let count = 0;
    for (const { window } of this.followed.values()) count += window.waiting.count();
    return count;
  }

  oldestSegmentAgeS(): number {
    let oldest = 0;
    for (const { window } of this.followed.values()) {
      const newest = window.isOnAir ? window.timeline.newest() : null;
      if (newest === null) continue;
      oldest = Math.max(oldest, (Date.now() - newest.pdt) / 1_000 - window.targetS);
    }
    return oldest;
  }

  /** Whoever waits for the broadcast that an event names may learn that it is over. Call it when the directory has heeded the event. */
  heed(event: PlatformEvent): void {
    if (event.type !== 'broadcast') return;
    for (const followed of this.followed.values())
      if (followed.broadcast === event.id) void this.lookAtRecord(followed);
  }

  /** Lets go of windows that nobody has asked for in a minute; learns of ends whose event was lost. */
  sweep(): void {
    for (const [content, followed] of this.followed) {
      if (followed.window.waiting.count() > 0) void this.lookAtRecord(followed);
      else if (this.now() - followed.window.usedAt > IDLE_MS) this.unfollow(content);
    }
  }

  private async lookAtRecord({ window, broadcast }: Followed): Promise<void> {
    try {
      const record = await this.deps.record(broadcast);
      if (record !== null) window.noteEnd(...endOf(record));
    } catch (thrown) {
      // Waiting goes on without it; the request that waits reports what it cannot read itself.
      this.deps.log.debug('broadcast record not read', { broadcast, err: thrown });
    }
  }

  private unfollow(content: ContentId): void {
    const followed = this.followed.get(content);
    followed?.stop();
    followed?.window.close();
    this.followed.delete(content);
  }

  private follow(broadcast: BroadcastRecord): Followed {
    const content = broadcast.content_id;
    const window = new LiveWindow(broadcast, this.deps.windowS, this.now);
    if (this.isDraining) window.waiting.release();
    const hear = (entries: TimelineEntry[]) => window.hear((timeline) => timeline.accept(entries));
    const { caughtUp, stop } = this.deps.source.follow(content, hear);
    const followed: Followed = { window, broadcast: broadcast.id, opening: Promise.resolve(), blocksDueAt: null, stop };
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
    const { window } = followed;
    try {
      await readNewestBlocks(this.deps.blocks, content, window.timeline.capacity, (blocks) =>
        window.hear((timeline) => blocks.filter((block) => timeline.acceptBlock(block)).length > 0),
      );
    } catch (thrown) {
      followed.blocksDueAt = this.now() + BLOCKS_RETRY_MS;
      this.deps.log.warn('index blocks not read', { broadcast: content, err: thrown });
    }
  }
}
