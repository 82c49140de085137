// Decides how a source is passed through: reads its first two GOPs (later epochs: its first half second), and puts everything back.
import { audioRendition, type RenditionName, videoRendition } from '../platform/contract/ids.ts';
import { type FrameRate, snapFrameRate } from '../platform/contract/latency.ts';
import type { BroadcastRecord, EpochInfo, RenditionInfo } from '../platform/contract/records.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import type { AvcConfig } from '../platform/hls/avc-config.ts';
import { readInit } from '../platform/hls/cmaf.ts';
import { writeAudioInit, writeVideoInit } from '../platform/hls/cmaf-init.ts';
import { silentAacFrame } from './flv-codecs.ts';
import { FLV_AAC, readAudioTag } from './flv-tags.ts';
import { GOP_LIMIT_S, partTargetOf, targetDurationOf } from './live-copy-limits.ts';
import { LiveSourceUnsupported } from './live-errors.ts';
import type { FeedMedia, LiveFeed } from './live-feed.ts';
import { TICKS_PER_MS, VIDEO_TIMESCALE } from './live-grid.ts';
import {
  aacOf,
  agreedRate,
  avcOf,
  claimsOf,
  lookAt,
  measuredRate,
  medianDelay,
  type ProbeOptions,
  shownIn,
} from './live-probe.ts';

/** Where a new epoch stands; it begins at a key frame after what was shown. */
export type CopyStart = ProbeOptions & {
  record: BroadcastRecord;
  epoch: number;
  msn0: number;
  /** Wall clock before which it does not begin. Unit: ms since the epoch. */
  pdtFloor: number;
};

/** `silence`: one AAC frame of it; null when the shape of the audio is an unusual one. */
export type CopyAudio = {
  config: Uint8Array;
  sampleRate: number;
  channels: number;
  silence: Uint8Array | null;
  /** The broadcast has audio and this source sends none. */
  isSilent: boolean;
};
export type CopyPlan = {
  info: EpochInfo;
  /** Segment with which this run begins, and its first frame's decode time (VIDEO_TIMESCALE): frames before it are passed over. */
  firstMsn: number;
  startsAt: number;
  /** Where the audio of the segment before ended, in its timescale; null in a new epoch. */
  audioContinuesAt: number | null;
  video: { name: RenditionName; init: Uint8Array; info: RenditionInfo };
  audio: (CopyAudio & { name: RenditionName; init: Uint8Array; info: RenditionInfo }) | null;
};

const AUDIO = audioRendition(0);
/** AAC-LC, 48 kHz, stereo. */
const SILENT_CONFIG = Uint8Array.from([0x11, 0x90]);
/** Later epochs keep target durations: they only look whether there is audio. Unit: ms. */
const AUDIO_WINDOW_MS = 1_500;
const SHORT_WINDOW_MS = 500;

/** What was read of a source; `video` begins at the key frame with which the epoch will begin. */
type Seen = { all: FeedMedia[]; video: FeedMedia[]; hasAudio: boolean };

/**
 * Plan of a new epoch; see lookAt().
 * @throws LiveGopOutOfRange LiveSourceUnsupported
 */
export function planCopy(feed: LiveFeed, start: CopyStart): Promise<CopyPlan | 'over' | 'away'> {
  const isFirst = start.record.epochs.length === 0;
  return lookAt(feed, start.limitMs, {
    isEnough(all, newest) {
      // Looked at whole only where something can have changed.
      if (newest.type === 'audio' && all.length % 8 !== 0) return false;
      const seen = newOf(all, shownIn(feed, start.shown));
      const first = seen.video[0];
      if (first !== undefined) start.onFirst(first.arrival);
      return isEnough(seen, isFirst);
    },
    describe(all) {
      const seen = newOf(all, shownIn(feed, start.shown));
      return seen.video.length > 1 ? describe(feed, start, seen) : null;
    },
  });
}

function newOf(all: FeedMedia[], from: number): Seen {
  const video = all.filter((item) => item.type === 'video');
  const start = video.findIndex((item) => item.isKey && item.pts >= from);
  return {
    all,
    video: start < 0 ? [] : video.slice(start),
    hasAudio: all.some((item) => item.type === 'audio' && readAudioTag(item.payload)?.codec === FLV_AAC),
  };
}

const spanMs = (video: readonly FeedMedia[]): number => (video.at(-1)?.dts ?? 0) - (video[0]?.dts ?? 0);

/** Distances of key frames, s; the last one open when there is but one. */
function gopsOf(video: readonly FeedMedia[]): number[] {
  const keys = video.filter((item) => item.isKey).map((item) => item.dts);
  if (keys.length < 2) return [spanMs(video) / 1_000];
  return keys.slice(1, 3).map((dts, i) => (dts - (keys[i] ?? dts)) / 1_000);
}

function isEnough({ all, video, hasAudio }: Seen, isFirst: boolean): boolean {
  const span = spanMs(video);
  if (video.length === 0) {
    const waited = (all.at(-1)?.dts ?? 0) - (all[0]?.dts ?? 0);
    // Sound alone: said at once, for nothing can be copied.
    if (waited > GOP_LIMIT_S * 1_000 && !all.some((item) => item.type === 'video')) {
      throw new LiveSourceUnsupported('sound alone, which pass-through does not take');
    }
    return false;
  }
  if (!isFirst) return span >= AUDIO_WINDOW_MS || (span >= SHORT_WINDOW_MS && hasAudio);
  const gops = gopsOf(video);
  return gops.length === 2 || (gops.length === 1 && (gops[0] ?? 0) > GOP_LIMIT_S) || span > 2_000 * GOP_LIMIT_S;
}

function describe(feed: LiveFeed, start: CopyStart, seen: Seen): CopyPlan {
  const { video: frames } = seen;
  const before = start.record.epochs.at(-1);
  const { config, picture } = videoConfigOf(feed);
  const fps = rateOf(frames, claimsOf(feed));
  const bits = 8 * frames.reduce((sum, item) => sum + item.payload.length, 0);
  const video = videoTrack(config, picture, fps, Math.max(1, Math.round((1_000 * bits) / Math.max(1, spanMs(frames)))));
  const audio = newAudio(feed, before, seen.hasAudio);
  const rate = audio?.sampleRate ?? 0;
  const { latency_mode: mode } = start.record;
  const target = mode === 'standard' ? null : partTargetOf(mode, fps.den / fps.num, rate);
  const ts0 = frames[0]?.dts ?? 0;
  const info: EpochInfo = {
    epoch: start.epoch,
    session: feed.session ?? ('' as EpochInfo['session']),
    started_at: Date.now(),
    ts0,
    msn0: start.msn0,
    pdt0: Math.max(start.pdtFloor, ts0 + medianDelay(frames)),
    fps,
    part_frames: 0,
    gop_frames: 0,
    segment_frames: 0,
    part_target: before === undefined ? target : before.part_target,
    target_duration: before?.target_duration ?? targetDurationOf(gopsOf(frames)),
    renditions: [video.info, ...(audio === null ? [] : [audio.info])],
    grid: 'copy',
    source: 'publisher',
  };
  return { info, firstMsn: start.msn0, startsAt: ts0 * TICKS_PER_MS, audioContinuesAt: null, video, audio };
}

/** A usual rate where the source's words or timestamps agree with one, else what was measured. */
function rateOf(frames: readonly FeedMedia[], claims: readonly (number | null)[]): FrameRate {
  const measured = measuredRate(frames.map((item) => item.dts)) ?? 30;
  const snapped = agreedRate(measured, claims) ?? snapFrameRate(measured);
  if (Math.abs(snapped.num / snapped.den - measured) / measured < 0.02) return snapped;
  return { num: Math.max(1, Math.round(measured * 1_000)), den: 1_000 };
}

/** @throws LiveSourceUnsupported */
function videoConfigOf(feed: LiveFeed): { config: Uint8Array; picture: AvcConfig } {
  const avc = avcOf(feed);
  if (avc === null) throw new LiveSourceUnsupported('H.264 without a sound sequence header');
  return avc;
}

function videoTrack(config: Uint8Array, picture: AvcConfig, fps: FrameRate, bitrateBps: number): CopyPlan['video'] {
  const init = writeVideoInit({ timescale: VIDEO_TIMESCALE, config, ...picture });
  const name = videoRendition(picture.height);
  const info: RenditionInfo = {
    name,
    kind: 'video',
    codecs: readInit(init).codecs,
    width: Math.round(picture.width * picture.pixelAspect),
    height: picture.height,
    frame_rate: fps.num / fps.den,
    channels: null,
    // A copied source has no ceiling that is known: room for its peaks.
    bandwidth: Math.ceil(bitrateBps * 1.5),
    average_bandwidth: bitrateBps,
    timescale: VIDEO_TIMESCALE,
  };
  return { name, init, info };
}

/** The first epoch decides whether there is audio; later ones keep to it. */
function newAudio(feed: LiveFeed, before: EpochInfo | undefined, hasAudio: boolean): CopyPlan['audio'] {
  const isKnown = before?.renditions.some((rendition) => rendition.kind === 'audio') ?? false;
  if (before !== undefined && !isKnown) return null;
  const source = hasAudio ? sourceAudio(feed) : null;
  if (source !== null) return audioTrack(source);
  return isKnown ? audioTrack(silentAudio()) : null;
}

const silentAudio = (): CopyAudio => ({
  config: SILENT_CONFIG,
  sampleRate: 48_000,
  channels: 2,
  silence: silentAacFrame(2),
  isSilent: true,
});

/** Null when the source's audio is not AAC, or its header makes no sense. */
function sourceAudio(feed: LiveFeed): CopyAudio | null {
  const aac = aacOf(feed);
  if (aac === null) return null;
  const { objectType, sampleRate } = aac.shape;
  const channels = aac.shape.channels === 0 ? 2 : aac.shape.channels;
  const silence = objectType === 2 && channels <= 2 ? silentAacFrame(channels) : null;
  return { config: aac.config, sampleRate, channels, silence, isSilent: false };
}

function audioTrack(audio: CopyAudio): NonNullable<CopyPlan['audio']> {
  const { config, sampleRate, channels } = audio;
  const init = writeAudioInit({ timescale: sampleRate, channels, config });
  const info: RenditionInfo = {
    name: AUDIO,
    kind: 'audio',
    codecs: readInit(init).codecs,
    width: null,
    height: null,
    frame_rate: null,
    channels,
    bandwidth: 192_000,
    average_bandwidth: 128_000,
    timescale: sampleRate,
  };
  return { ...audio, name: AUDIO, init, info };
}

/** Segment that is not complete in the timeline, and the decode time at which it begins: FLV ms to ask the ring for. */
export function copyPlace(info: EpochInfo, entries: readonly TimelineEntry[]): { msn: number; ts: number } {
  const { msn, startsAt } = resumePoint(info, entries);
  return { msn, ts: startsAt / TICKS_PER_MS };
}

function resumePoint(info: EpochInfo, entries: readonly TimelineEntry[]): { msn: number; startsAt: number } {
  const name = info.renditions.find((rendition) => rendition.kind === 'video')?.name;
  const own = name === undefined ? [] : entries.filter((entry) => entry.epoch === info.epoch);
  const last = own.findLast((entry) => name !== undefined && entry.renditions[name] !== undefined);
  const first = own.find((entry) => entry.msn === last?.msn);
  const [lastPart, firstPart] = name === undefined ? [] : [last?.renditions[name], first?.renditions[name]];
  if (last === undefined || lastPart === undefined) return { msn: info.msn0, startsAt: info.ts0 * TICKS_PER_MS };
  if (last.last) return { msn: last.msn + 1, startsAt: lastPart.tfdt + lastPart.duration };
  return { msn: last.msn, startsAt: firstPart?.tfdt ?? lastPart.tfdt };
}

/**
 * Plan that goes on in an epoch: with the very frame at which its open segment begins.
 * @param entries of the epoch, from the history
 * @returns null when the ring begins after it, or with another session
 */
export async function planCopyResume(
  feed: LiveFeed,
  info: EpochInfo,
  entries: readonly TimelineEntry[],
): Promise<CopyPlan | null> {
  if (entries.at(-1)?.gap === true) return null;
  const { msn, startsAt } = resumePoint(info, entries);
  const read: FeedMedia[] = [];
  for (;;) {
    const item = await feed.next();
    if (item.type !== 'video' && item.type !== 'audio') {
      feed.unread([...read, item]);
      return null;
    }
    read.push(item);
    if (item.type === 'audio' || item.dts * TICKS_PER_MS < startsAt) continue;
    feed.unread(read);
    if (item.dts * TICKS_PER_MS !== startsAt || feed.session !== info.session) return null;
    return resumed(feed, info, entries, { msn, startsAt });
  }
}

function resumed(
  feed: LiveFeed,
  info: EpochInfo,
  entries: readonly TimelineEntry[],
  at: { msn: number; startsAt: number },
): CopyPlan {
  const { config, picture } = videoConfigOf(feed);
  const known = info.renditions.find((rendition) => rendition.kind === 'audio');
  const video = videoTrack(config, picture, info.fps, 1);
  const track = known === undefined ? null : audioTrack(sourceAudio(feed) ?? silentAudio());
  const audio = track === null || known === undefined ? null : { ...track, info: known };
  const before = entries.findLast((entry) => entry.epoch === info.epoch && entry.msn < at.msn);
  const part = before?.renditions[AUDIO];
  return {
    info,
    firstMsn: at.msn,
    startsAt: at.startsAt,
    audioContinuesAt: part === undefined ? null : part.tfdt + part.duration,
    video: { ...video, info: info.renditions.find((rendition) => rendition.name === video.name) ?? video.info },
    audio,
  };
}
