// Looks at the first second of a source: picture, frame rate, audio, clock. Reads the feed and puts everything back.
import type { SessionId } from '../platform/contract/ids.ts';
import { AUDIO_BITRATE_BPS } from '../platform/contract/ladder.ts';
import { type FrameRate, snapFrameRate } from '../platform/contract/latency.ts';
import { type AvcConfig, readAvcConfig } from '../platform/hls/avc-config.ts';
import { type AacConfig, isCopyableAac, readAacConfig } from './flv-codecs.ts';
import { FLV_AAC, readAudioTag, readVideoTag } from './flv-tags.ts';
import type { FeedMedia, LiveFeed } from './live-feed.ts';

export type SourceAudio = {
  /** Copied as it is, else encoded to AAC-LC 48 kHz stereo. */
  isCopied: boolean;
  config: AacConfig | null;
  bitrateBps: number;
};
export type SourceInfo = {
  /** Displayed picture, with square pixels; null: sound alone. */
  video: { width: number; height: number } | null;
  /** Of a picture that is not there: AUDIO_GRID_FPS. */
  fps: FrameRate;
  audio: SourceAudio | null;
  /** Presentation time (ms, FLV clock) of the first frame and the ingest's wall clock (ms) at it. */
  ts0: number;
  pdt0: number;
};
/** How far a session was shown: media before `ts` (presentation time, ms of the FLV clock) only feeds the decoder. */
export type Shown = { session: SessionId; ts: number };

export type ProbeOptions = {
  shown: Shown | null;
  /** Longest wait for media before the source counts as away. Unit: ms. */
  limitMs: number;
  /** Called with the arrival (ms since the epoch) of the first media not shown yet. */
  onFirst(arrivalMs: number): void;
};

/** Frame rates are told apart over this much video, or this much where the publisher's own words agree. Unit: ms. */
const RATE_WINDOW_MS = 1_000;
const CLAIM_WINDOW_MS = 400;
/** Audio has this long to appear beside video, and video beside audio. Unit: ms. */
const AUDIO_WINDOW_MS = 1_500;
const VIDEO_WINDOW_MS = 2_000;
/** Grid of a broadcast without a picture. */
const AUDIO_GRID_FPS: FrameRate = { num: 30, den: 1 };

/** What counts as known of a source, out of the media since the last break. */
export interface Look<T> {
  /** Called with each frame that comes. */
  isEnough(seen: FeedMedia[], newest: FeedMedia): boolean;
  /** Null when nothing new is there. */
  describe(seen: FeedMedia[]): T | null;
}

/**
 * Reads the feed until enough is known, and puts everything back.
 * @param limitMs longest wait for media before the source counts as away
 * @returns `over` when the broadcast ended, `away` when nobody publishes, before anything new came; ask again after `away`
 */
export async function lookAt<T>(feed: LiveFeed, limitMs: number, look: Look<T>): Promise<T | 'over' | 'away'> {
  let seen: FeedMedia[] = [];
  for (;;) {
    const item = await feed.next(limitMs);
    if (item.type === 'break') {
      seen = [];
      continue;
    }
    if (item.type === 'video' || item.type === 'audio') {
      seen.push(item);
      const known = look.isEnough(seen, item) ? look.describe(seen) : null;
      if (known === null) continue;
      feed.unread(seen);
      return known;
    }
    const isSilent = item.type === 'away' && item.reason === 'silent';
    const known = isSilent ? null : look.describe(seen);
    if (isSilent) feed.unread(seen);
    else if (known !== null) feed.unread([...seen, item]);
    return known ?? (item.type === 'end' ? 'over' : 'away');
  }
}

/** Waits until the source is known; see lookAt(). */
export function probeSource(feed: LiveFeed, options: ProbeOptions): Promise<SourceInfo | 'over' | 'away'> {
  return lookAt(feed, options.limitMs, {
    isEnough(seen, newest) {
      const from = shownIn(feed, options.shown);
      if (newest.pts >= from) options.onFirst(newest.arrival);
      return isEnough(seen, from, feed);
    },
    describe: (seen) => describe(seen, shownIn(feed, options.shown), feed),
  });
}

/** Presentation time (ms) up to which viewers were shown the feed's session. */
export const shownIn = (feed: LiveFeed, shown: Shown | null): number =>
  shown !== null && shown.session === feed.session ? shown.ts : Number.NEGATIVE_INFINITY;

/** Leading frames that are new; what comes before them is there for the decoder alone. */
const leaders = (seen: readonly FeedMedia[], from: number, feed: LiveFeed): FeedMedia[] => {
  const kind = feed.headers.video === null || feed.kind === 'audio' ? 'audio' : 'video';
  return seen.filter((item) => item.type === kind && item.pts >= from);
};

function isEnough(seen: readonly FeedMedia[], from: number, feed: LiveFeed): boolean {
  const leading = leaders(seen, from, feed);
  const first = leading[0];
  const last = leading.at(-1);
  if (first === undefined || last === undefined) return false;
  const span = last.dts - first.dts;
  if (first.type === 'audio') return span >= (feed.kind === 'audio' ? CLAIM_WINDOW_MS : VIDEO_WINDOW_MS);
  if (span >= AUDIO_WINDOW_MS) return true;
  const isSure = span >= CLAIM_WINDOW_MS && claimedRate(leading, feed) !== null;
  return (span >= RATE_WINDOW_MS || isSure) && seen.some((item) => item.type === 'audio');
}

/** Null when nothing new is there. */
function describe(seen: readonly FeedMedia[], from: number, feed: LiveFeed): SourceInfo | null {
  const leading = leaders(seen, from, feed);
  const start = leading[0];
  if (start === undefined) return null;
  // A source begins with its key frame; inside a group a later frame may be shown before the first one that is new.
  const first = from === Number.NEGATIVE_INFINITY ? start : leading.reduce((a, b) => (b.pts < a.pts ? b : a), start);
  const hasVideo = start.type === 'video';
  const clock = { ts0: first.pts, pdt0: first.dts + medianDelay(leading) };
  if (!hasVideo) return { video: null, fps: AUDIO_GRID_FPS, audio: describeAudio(seen, feed), ...clock };
  const fps = frameRateOf(timesOf(leading), ...claimsOf(feed));
  return { video: displayed(feed), fps, audio: describeAudio(seen, feed), ...clock };
}

/** Decoder configuration of the video in force; null: none, or one that makes no sense. */
export function avcOf(feed: LiveFeed): { config: Uint8Array; picture: AvcConfig } | null {
  const config = feed.headers.video === null ? undefined : readVideoTag(feed.headers.video)?.data;
  const picture = config === undefined ? null : readAvcConfig(config);
  return config === undefined || picture === null ? null : { config, picture };
}

/** The same of the audio; AAC alone has one. */
export function aacOf(feed: LiveFeed): { config: Uint8Array; shape: AacConfig } | null {
  const config = feed.headers.audio === null ? undefined : readAudioTag(feed.headers.audio)?.data;
  const shape = config === undefined ? null : readAacConfig(config);
  return config === undefined || shape === null ? null : { config, shape };
}

function displayed(feed: LiveFeed): { width: number; height: number } {
  const picture = avcOf(feed)?.picture;
  return {
    width: Math.round((picture?.width ?? 1280) * (picture?.pixelAspect ?? 1)),
    height: picture?.height ?? 720,
  };
}

const timesOf = (frames: readonly FeedMedia[]): number[] => frames.map((item) => item.dts);

/** Frame rates that the publisher names. */
export const claimsOf = (feed: LiveFeed): (number | null)[] => [feed.claimedFps, avcOf(feed)?.picture.fps ?? null];

const claimedRate = (leading: readonly FeedMedia[], feed: LiveFeed): FrameRate | null =>
  agreedRate(measuredRate(timesOf(leading)), claimsOf(feed));

/** Frames per second by decode timestamps (ms); null: they do not tell. */
export const measuredRate = (timestamps: readonly number[]): number | null => {
  const first = timestamps[0] ?? 0;
  const span = (timestamps.at(-1) ?? first) - first;
  return span > 0 ? (1_000 * (timestamps.length - 1)) / span : null;
};

/** The first claim that agrees with what arrives; null when none does. */
export function agreedRate(measured: number | null, claims: readonly (number | null)[]): FrameRate | null {
  for (const claim of claims) {
    if (claim === null || claim <= 0) continue;
    if (measured === null || Math.abs(claim - measured) / measured < 0.03) return snapFrameRate(claim);
  }
  return null;
}

/**
 * Frame rate from decode timestamps (ms). They are whole milliseconds, so a second of them cannot tell 29.97 from 30: the publisher's own
 * words decide where they agree with what arrives.
 */
export function frameRateOf(timestamps: readonly number[], ...claims: (number | null)[]): FrameRate {
  const measured = measuredRate(timestamps);
  return agreedRate(measured, claims) ?? snapFrameRate(measured ?? 30);
}

/** Arrival against decode time, of all frames: a burst makes the first one look late or early against the rest. Unit: ms. */
export function medianDelay(frames: readonly FeedMedia[]): number {
  const delays = frames.map((item) => item.arrival - item.dts).sort((a, b) => a - b);
  return Math.round(delays[Math.floor(delays.length / 2)] ?? 0);
}

function describeAudio(seen: readonly FeedMedia[], feed: LiveFeed): SourceAudio | null {
  const audio = seen.filter((item) => item.type === 'audio');
  const first = audio[0];
  if (first === undefined) return null;
  const span = (audio.at(-1) ?? first).dts - first.dts;
  const bits = 8 * audio.slice(1).reduce((sum, item) => sum + item.payload.length, 0);
  const copied = copiedConfig(first.payload, feed);
  const measured = span > 0 ? Math.ceil((bits * 1_000) / span) : 0;
  return {
    isCopied: copied !== null,
    config: copied,
    bitrateBps: copied === null ? AUDIO_BITRATE_BPS : Math.max(AUDIO_BITRATE_BPS, measured),
  };
}

function copiedConfig(payload: Uint8Array, feed: LiveFeed): AacConfig | null {
  if (readAudioTag(payload)?.codec !== FLV_AAC) return null;
  const shape = aacOf(feed)?.shape;
  return shape !== undefined && isCopyableAac(shape) ? shape : null;
}

/** How a resumed epoch takes the source's audio: as it does in the record, whatever else the source could do. */
export function audioForResume(feed: LiveFeed, timescale: number): { isCopied: boolean } | null {
  const shape = aacOf(feed)?.shape;
  return shape === undefined ? null : { isCopied: isCopyableAac(shape) && shape.sampleRate === timescale };
}
