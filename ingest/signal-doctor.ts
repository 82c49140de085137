// Listens to one publisher and tells what its signal is like: rates by timestamps, key frames, codecs, picture size, speed against the clock.
import type { LatencyMode } from '../platform/contract/latency.ts';
import type { StreamSignal } from '../platform/contract/nodes.ts';
import { RING_KEYFRAME, RING_KINDS, RING_SEQUENCE_HEADER } from '../platform/contract/ring.ts';
import { type AvcConfig, readAvcConfig } from '../platform/hls/avc-config.ts';
import { readAmf0 } from './amf0.ts';
import { audioCodecOf, videoCodecOf } from './codec-names.ts';
import { type ClassifiedTag, EXTENDED_VIDEO } from './flv-tag.ts';
import { adviceFor, type Findings, healthOf } from './signal-advice.ts';

/** Speed is taken over this long, and judged when measured over at least the second. Unit: ms. */
const SPEED_WINDOW_MS = 10_000;
const SPEED_JUDGED_MS = 9_000;
const SPEED_LEAST_MS = 3_000;
const SAMPLE_EVERY_MS = 500;
/** A gap in arrivals up to here is jitter: speed counts to the last arrival. Unit: ms. */
const JITTER_MS = 2_000;
const FRAMES_MS = 5_000;
const GOPS_KEPT = 5;
/** A timestamp that goes back, or on by more than this, is irregular; the report lasts a while. Unit: ms. */
const JUMP_MS = 1_000;
const IRREGULAR_MS = 60_000;
/** Share of frames whose distance is far from the mean, from which on it is irregular. */
const UNEVEN_SHARE = 0.1;
const UNEVEN_FRAMES = 30;

/** Enhanced RTMP: the packet that carries a composition time. */
const CODED_FRAMES = 1;
/** Bytes before the decoder configuration in a video tag, of either form: four of codec and packet type, one of frame type. */
const AVC_CONFIG_AT = 5;

type Sample = { at: number; timestamp: number };

export class SignalDoctor {
  private firstAt: number | null = null;
  private lastAt: number;
  private samples: Sample[] = [];
  private frames: number[] = [];
  private gops: number[] = [];
  private lastKey: number | null = null;
  private lastVideo: number | null = null;
  private lastAudio: number | null = null;
  private irregularAt = Number.NEGATIVE_INFINITY;
  private videoCodec: string | null = null;
  private audioCodec: string | null = null;
  private size: Pick<AvcConfig, 'width' | 'height'> | null = null;
  private declaredFrameRate: number | null = null;
  private compositions = new Set<number>();

  /** @param now steady clock, ms, as everywhere here */
  constructor(now: number) {
    this.lastAt = now;
  }

  add(tag: ClassifiedTag, now: number): void {
    if (tag.isMetadata) this.declaredFrameRate = frameRateIn(tag.body);
    if (tag.kind !== RING_KINDS.video && tag.kind !== RING_KINDS.audio) return;
    this.firstAt ??= now;
    this.lastAt = now;
    const isHeader = (tag.flags & RING_SEQUENCE_HEADER) !== 0;
    if (tag.kind === RING_KINDS.video) this.addVideo(tag, isHeader, now);
    else this.addAudio(tag, isHeader, now);
  }

  /** @param mode of the broadcast: low latency asks more of the encoder */
  report(now: number, mode: LatencyMode): Omit<StreamSignal, 'key' | 'has_standby' | 'bitrate_bps'> {
    const findings = this.findings(now);
    const { frame_rate, gop_s, width, height, video_codec, audio_codec, speed } = findings;
    const found = { frame_rate, gop_s, width, height, video_codec, audio_codec, speed };
    return { ...found, health: healthOf(findings), advice: adviceFor(findings, mode) };
  }

  private addVideo(tag: ClassifiedTag, isHeader: boolean, now: number): void {
    if (this.videoCodec === null) this.samples = [];
    this.videoCodec = videoCodecOf(tag.body);
    if (isHeader) {
      if (this.videoCodec === 'h264') this.size = readAvcConfig(tag.body.subarray(AVC_CONFIG_AT));
      return;
    }
    if (this.isJump(this.lastVideo, tag.timestamp)) this.startOver(now);
    this.lastVideo = tag.timestamp;
    if (this.videoCodec === 'h264' && this.compositions.size < 2) this.compositions.add(compositionOf(tag.body));
    this.frames.push(tag.timestamp);
    while ((this.frames[0] ?? tag.timestamp) < tag.timestamp - FRAMES_MS) this.frames.shift();
    if ((tag.flags & RING_KEYFRAME) !== 0) {
      if (this.lastKey !== null) this.gops = [...this.gops, tag.timestamp - this.lastKey].slice(-GOPS_KEPT);
      this.lastKey = tag.timestamp;
    }
    this.sample(tag.timestamp, now);
  }

  private addAudio(tag: ClassifiedTag, isHeader: boolean, now: number): void {
    this.audioCodec = audioCodecOf(tag.body);
    if (isHeader) return;
    if (this.isJump(this.lastAudio, tag.timestamp)) this.startOver(now);
    this.lastAudio = tag.timestamp;
    if (this.videoCodec === null) this.sample(tag.timestamp, now);
  }

  private isJump(before: number | null, timestamp: number): boolean {
    return before !== null && (timestamp < before || timestamp > before + JUMP_MS);
  }

  private startOver(now: number): void {
    this.irregularAt = now;
    this.samples = [];
    this.frames = [];
    this.lastKey = null;
    this.lastVideo = null;
    this.lastAudio = null;
  }

  private sample(timestamp: number, now: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && now - last.at < SAMPLE_EVERY_MS) return;
    this.samples.push({ at: now, timestamp });
    while ((this.samples[1]?.at ?? now) <= now - SPEED_WINDOW_MS) this.samples.shift();
  }

  private findings(now: number): Findings {
    return {
      ...this.speedAt(now),
      frame_rate: rateOf(this.frames),
      gop_s: this.gops.length === 0 ? null : Math.max(...this.gops) / 1_000,
      width: this.size?.width ?? null,
      height: this.size?.height ?? null,
      video_codec: this.videoCodec,
      audio_codec: this.audioCodec,
      silentMs: now - this.lastAt,
      ageMs: this.firstAt === null ? null : now - this.firstAt,
      declaredFrameRate: this.declaredFrameRate,
      hasReordering: this.compositions.size > 1,
      isIrregular: now - this.irregularAt < IRREGULAR_MS || isUneven(this.frames),
    };
  }

  private speedAt(now: number): { speed: number; isJudged: boolean } {
    const first = this.samples[0];
    const newest = this.videoCodec === null ? this.lastAudio : this.lastVideo;
    if (first === undefined || newest === null) return { speed: 1, isJudged: false };
    const until = now - this.lastAt > JITTER_MS ? now : this.lastAt;
    const wallMs = until - first.at;
    if (wallMs < SPEED_LEAST_MS) return { speed: 1, isJudged: false };
    const speed = Math.round(((newest - first.timestamp) / wallMs) * 1_000) / 1_000;
    return { speed, isJudged: wallMs >= SPEED_JUDGED_MS };
  }
}

/** Frames per second by timestamps; 0 before the second frame. */
function rateOf(frames: number[]): number {
  const span = (frames.at(-1) ?? 0) - (frames[0] ?? 0);
  return span <= 0 ? 0 : Math.round(((frames.length - 1) * 100_000) / span) / 100;
}

function isUneven(frames: number[]): boolean {
  if (frames.length < UNEVEN_FRAMES) return false;
  const mean = ((frames.at(-1) ?? 0) - (frames[0] ?? 0)) / (frames.length - 1);
  const far = frames.filter((timestamp, i) => {
    const distance = timestamp - (frames[i - 1] ?? timestamp - mean);
    return distance > mean * 1.75 || distance < mean * 0.25;
  });
  return far.length > frames.length * UNEVEN_SHARE;
}

/** Presentation minus decoding time of a frame: varies where frames are sent out of their order. Source: Adobe FLV 10.1, annex E.4.3.2. */
function compositionOf(body: Buffer): number {
  const first = body[0] ?? 0;
  if ((first & EXTENDED_VIDEO) === 0) return body.readIntBE(2, 3);
  return (first & 0x0f) === CODED_FRAMES && body.length >= 8 ? body.readIntBE(5, 3) : 0;
}

function frameRateIn(metadata: Buffer): number | null {
  const fields = readAmf0(metadata)[1];
  const said = typeof fields === 'object' && fields !== null && 'framerate' in fields ? fields['framerate'] : null;
  return typeof said === 'number' && said > 0 && said < 1_000 ? said : null;
}
