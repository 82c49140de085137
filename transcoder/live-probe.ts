// Looks at the first second of a source: picture, frame rate, audio, clock. Reads the feed and puts everything back.
import type { SessionId } from '../platform/contract/ids.ts';
import { AUDIO_BITRATE_BPS } from '../platform/contract/ladder.ts';
import { type FrameRate, snapFrameRate } from '../platform/contract/latency.ts';
import { readAvcConfig } from '../platform/hls/avc-config.ts';
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

/**
 * Waits until the source is known.
 * @returns `over` when the broadcast ended, `away` when nobody publishes, before anything new came; ask again after `away`
 */
export async function probeSource(feed: LiveFeed, options: ProbeOptions): Promise<SourceInfo | 'over' | 'away'> {
  let seen: FeedMedia[] = [];
  for (;;) {
    const item = await feed.next(options.limitMs);
    if (item.type === 'break') {
      seen = [];
      continue;
    }
    const from = shownIn(feed, options.shown);
    if (item.type === 'video' || item.type === 'audio') {
      seen.push(item);
      if (item.pts >= from) options.onFirst(item.arrival);
      if (!isEnough(seen, from, feed)) continue;
      const source = describe(seen, from, feed);
      if (source === null) continue;
      feed.unread(seen);
      return source;
    }
    const source = describe(seen, from, feed);
    const isSilent = item.type === 'away' && item.reason === 'silent';
    if (isSilent) feed.unread(seen);
    else if (source !== null) feed.unread([...seen, item]);
    if (source !== null && !isSilent) return source;
    return item.type === 'end' ? 'over' : 'away';
  }
}

const shownIn = (feed: LiveFeed, shown: Shown | null): number =>
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
  const clock = { ts0: first.pts, pdt0: start.arrival + first.dts - start.dts + medianLead(leading, start) };
  if (!hasVideo) return { video: null, fps: AUDIO_GRID_FPS, audio: describeAudio(seen, feed), ...clock };
  const timestamps = leading.map((item) => item.dts);
  const fps = claimedRate(leading, feed) ?? frameRateOf(timestamps);
  return { video: displayed(feed), fps, audio: describeAudio(seen, feed), ...clock };
}

function pictureOf(feed: LiveFeed) {
  return feed.headers.video === null
    ? null
    : readAvcConfig(readVideoTag(feed.headers.video)?.data ?? new Uint8Array(0));
}

function displayed(feed: LiveFeed): { width: number; height: number } {
  const picture = pictureOf(feed);
  return {
    width: Math.round((picture?.width ?? 1280) * (picture?.pixelAspect ?? 1)),
    height: picture?.height ?? 720,
  };
}

function claimedRate(leading: readonly FeedMedia[], feed: LiveFeed): FrameRate | null {
  return agreedRate(
    leading.map((item) => item.dts),
    [feed.claimedFps, pictureOf(feed)?.fps ?? null],
  );
}

const measuredRate = (timestamps: readonly number[]): number | null => {
  const first = timestamps[0] ?? 0;
  const span = (timestamps.at(-1) ?? first) - first;
  return span > 0 ? (1_000 * (timestamps.length - 1)) / span : null;
};

/** The first claim that agrees with what arrives; null when none does. */
function agreedRate(timestamps: readonly number[], claims: readonly (number | null)[]): FrameRate | null {
  const measured = measuredRate(timestamps);
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
  return agreedRate(timestamps, claims) ?? snapFrameRate(measuredRate(timestamps) ?? 30);
}

/** A burst makes the first frame look late or early against the rest: the wall clock is taken from all of them. Unit: ms. */
function medianLead(leading: readonly FeedMedia[], first: FeedMedia): number {
  const leads = leading.map((item) => item.arrival - first.arrival - (item.dts - first.dts)).sort((a, b) => a - b);
  return Math.round(leads[Math.floor(leads.length / 2)] ?? 0);
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
  if (readAudioTag(payload)?.codec !== FLV_AAC || feed.headers.audio === null) return null;
  const config = readAacConfig(readAudioTag(feed.headers.audio)?.data ?? new Uint8Array(0));
  return config !== null && isCopyableAac(config) ? config : null;
}

/** How a resumed epoch takes the source's audio: as it does in the record, whatever else the source could do. */
export function audioForResume(feed: LiveFeed, timescale: number): { isCopied: boolean } | null {
  if (feed.headers.audio === null) return null;
  const config = readAacConfig(readAudioTag(feed.headers.audio)?.data ?? new Uint8Array(0));
  if (config === null) return null;
  return { isCopied: isCopyableAac(config) && config.sampleRate === timescale };
}
