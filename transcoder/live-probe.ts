// Looks at the first second of a source: picture, frame rate, audio, clock. Reads the feed and puts everything back.
import { AUDIO_BITRATE_BPS } from '../platform/contract/ladder.ts';
import { type FrameRate, snapFrameRate } from '../platform/contract/latency.ts';
import { type AacConfig, isCopyableAac, readAacConfig, readAvcConfig } from './flv-codecs.ts';
import { FLV_AAC, readAudioTag, readVideoTag } from './flv-tags.ts';
import type { FeedItem, FeedMedia, LiveFeed } from './live-feed.ts';

export type SourceAudio = {
  /** Copied as it is, else encoded to AAC-LC 48 kHz stereo. */
  isCopied: boolean;
  config: AacConfig | null;
  bitrateBps: number;
};
export type SourceInfo = {
  /** Displayed picture, with square pixels. */
  width: number;
  height: number;
  fps: FrameRate;
  audio: SourceAudio | null;
  /** Presentation time (ms, FLV clock) of the first frame and the ingest's wall clock (ms) at it. */
  ts0: number;
  pdt0: number;
};

/** Frame rates are told apart over this much video; audio has this long to appear. Unit: ms. */
const RATE_WINDOW_MS = 1_000;
const AUDIO_WINDOW_MS = 1_500;

/**
 * Waits until the source is known.
 * @returns null when the broadcast ended before one picture came
 */
export async function probeSource(feed: LiveFeed): Promise<SourceInfo | null> {
  let seen: FeedMedia[] = [];
  for (;;) {
    const item = await feed.next();
    if (item.type === 'break') {
      seen = [];
      continue;
    }
    if (item.type !== 'end') seen.push(item);
    if (item.type !== 'end' && !isEnough(seen)) continue;
    const source = describe(seen, feed);
    const back: FeedItem[] = item.type === 'end' ? [...seen, item] : seen;
    feed.unread(back);
    return source;
  }
}

function isEnough(seen: readonly FeedMedia[]): boolean {
  const first = seen[0];
  const last = seen.at(-1);
  if (first === undefined || last === undefined) return false;
  const span = last.dts - first.dts;
  return span >= AUDIO_WINDOW_MS || (span >= RATE_WINDOW_MS && seen.some((item) => item.type === 'audio'));
}

function describe(seen: readonly FeedMedia[], feed: LiveFeed): SourceInfo | null {
  const video = seen.filter((item) => item.type === 'video');
  const first = video[0];
  if (first === undefined || feed.headers.video === null) return null;
  const picture = readAvcConfig(readVideoTag(feed.headers.video)?.data ?? new Uint8Array(0));
  return {
    width: Math.round((picture?.width ?? 1280) * (picture?.pixelAspect ?? 1)),
    height: picture?.height ?? 720,
    fps: frameRateOf(
      video.map((item) => item.dts),
      feed.claimedFps,
      picture?.fps ?? null,
    ),
    audio: describeAudio(seen, feed),
    ts0: first.pts,
    pdt0: first.arrival + medianLead(video, first),
  };
}

/**
 * Frame rate from decode timestamps (ms). They are whole milliseconds, so a second of them cannot tell 29.97 from 30: the publisher's own
 * words decide where they agree with what arrives.
 */
export function frameRateOf(timestamps: readonly number[], ...claims: (number | null)[]): FrameRate {
  const first = timestamps[0] ?? 0;
  const span = (timestamps.at(-1) ?? first) - first;
  const measured = span > 0 ? (1_000 * (timestamps.length - 1)) / span : null;
  for (const claim of claims) {
    if (claim === null || claim <= 0) continue;
    if (measured === null || Math.abs(claim - measured) / measured < 0.03) return snapFrameRate(claim);
  }
  return snapFrameRate(measured ?? 30);
}

/** A burst makes the first frame look late or early against the rest: the wall clock is taken from all of them. Unit: ms. */
function medianLead(video: readonly FeedMedia[], first: FeedMedia): number {
  const leads = video.map((item) => item.arrival - first.arrival - (item.dts - first.dts)).sort((a, b) => a - b);
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
