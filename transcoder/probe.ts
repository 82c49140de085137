// What ffprobe says of a source, parsed and judged: which streams are used, how the picture is shown, what is refused (bombs, no media).
import { z } from 'zod';
import { MediaRefused } from './errors.ts';

/** ffprobe prints `N/A`, or leaves fields out, where it does not know. */
const number = z.preprocess(
  (value) => (value === undefined || value === 'N/A' || value === 'unknown' ? null : value),
  z.coerce.number().nullable().catch(null),
);
const text = z.string().catch('');
const ratio = z.preprocess((value) => (typeof value === 'string' ? value : '0/0'), z.string());

const ProbedStream = z.object({
  index: z.coerce.number().int().min(0).max(10_000),
  codec_type: text,
  codec_name: text,
  width: number,
  height: number,
  sample_aspect_ratio: ratio,
  avg_frame_rate: ratio,
  r_frame_rate: ratio,
  field_order: text,
  rotation: number,
  start_time: number,
  duration: number,
  sample_rate: number,
  channels: number,
  disposition: z.object({ attached_pic: number, default: number }).partial().catch({}),
});
type ProbedStream = z.infer<typeof ProbedStream>;

/** Output of ffprobe's -show_streams and -show_format, after fluent-ffmpeg's reading. */
export const ProbeOutput = z.object({
  streams: z.array(ProbedStream),
  format: z.object({ start_time: number, duration: number }).catch({ start_time: null, duration: null }),
});
export type ProbeOutput = z.infer<typeof ProbeOutput>;

export type VideoSource = {
  /** Absolute stream number for -map. */
  index: number;
  codec: string;
  /** As displayed: turned, with square pixels. Unit: pixels. */
  width: number;
  height: number;
  /** Frames per second; null when unknown. */
  fps: number | null;
  isInterlaced: boolean;
  /** Start relative to the file's first stream. Unit: s. */
  startS: number;
  /** Null when the container does not say. Unit: s. */
  durationS: number | null;
};
export type AudioSource = {
  index: number;
  codec: string;
  sampleRate: number;
  channels: number;
  startS: number;
  durationS: number | null;
};
export type SourceInfo = {
  /** Longest stream; 0 when the container does not say. Unit: s. */
  durationS: number;
  video: VideoSource | null;
  audio: AudioSource | null;
};

/** What is refused before any transcode. */
export const LIMITS = {
  longSidePixels: 8_192,
  shortSidePixels: 4_320,
  durationS: 12 * 3_600,
  streams: 32,
  fps: 300,
  /** A long file with fewer bytes than this per second holds no media, it makes some. */
  bytesPerSecond: 64,
} as const;

/** `30000/1001`, `16:9` -> number; null for 0/0 and nonsense. */
function parseRatio(value: string): number | null {
  const match = /^(\d{1,10})[/:](\d{1,10})$/.exec(value);
  const quotient = match ? Number(match[1]) / Number(match[2]) : Number.NaN;
  return Number.isFinite(quotient) && quotient > 0 ? quotient : null;
}

const preferDefault = (streams: ProbedStream[]): ProbedStream | null =>
  streams.find((stream) => stream.disposition.default === 1) ?? streams[0] ?? null;

/**
 * Average rate, or the rate of the fast parts where frames come unevenly: a clip that rests at times still moves smoothly.
 * Null when unknown.
 */
function frameRateOf(stream: ProbedStream, isInterlaced: boolean): number | null {
  const average = parseRatio(stream.avg_frame_rate);
  const finest = parseRatio(stream.r_frame_rate);
  if (average === null || finest === null) return average ?? finest;
  // Of interlaced pictures r_frame_rate counts fields; of uneven ones it may be the clock itself.
  return !isInterlaced && finest > average && finest <= 1.6 * average && finest <= 61 ? finest : average;
}

function readVideo(stream: ProbedStream, fileStartS: number): VideoSource {
  const { width, height } = stream;
  if (width === null || height === null || width < 1 || height < 1) {
    throw new MediaRefused('MALFORMED', 'the video stream does not say how large its picture is');
  }
  const aspect = parseRatio(stream.sample_aspect_ratio) ?? 1;
  // Absurd pixel shapes are a fault of the file, not a wish.
  const shown = aspect > 1 / 16 && aspect < 16 ? width * aspect : width;
  const isTurned = Math.abs(Math.round((stream.rotation ?? 0) / 90)) % 2 === 1;
  const isInterlaced = ['tt', 'bb', 'tb', 'bt'].includes(stream.field_order);
  return {
    index: stream.index,
    codec: stream.codec_name,
    width: Math.max(1, Math.round(isTurned ? height : shown)),
    height: Math.max(1, Math.round(isTurned ? shown : height)),
    fps: frameRateOf(stream, isInterlaced),
    isInterlaced,
    startS: Math.max(0, (stream.start_time ?? fileStartS) - fileStartS),
    durationS: stream.duration,
  };
}

const readAudio = (stream: ProbedStream, fileStartS: number): AudioSource => ({
  index: stream.index,
  codec: stream.codec_name,
  sampleRate: stream.sample_rate ?? 0,
  channels: stream.channels ?? 0,
  startS: Math.max(0, (stream.start_time ?? fileStartS) - fileStartS),
  durationS: stream.duration,
});

/**
 * Chooses the streams to use.
 * @param bytes size of the file
 * @throws MediaRefused when the file holds no video or audio that can be used, or lies beyond LIMITS
 */
export function readSource(output: ProbeOutput, bytes: number): SourceInfo {
  const { streams, format } = output;
  if (streams.length > LIMITS.streams) {
    throw new MediaRefused('TOO_MANY_STREAMS', `the file has ${streams.length} streams; ${LIMITS.streams} are allowed`);
  }
  const fileStartS = format.start_time ?? 0;
  const pictures = streams.filter((stream) => stream.codec_type === 'video' && stream.disposition.attached_pic !== 1);
  const sounds = streams.filter((stream) => stream.codec_type === 'audio' && (stream.channels ?? 0) > 0);
  const picture = preferDefault(pictures);
  const sound = preferDefault(sounds);
  if (picture === null && sound === null) throw new MediaRefused('NON_VIDEO', 'the file holds neither video nor audio');
  if (picture !== null && ['', 'unknown', 'none'].includes(picture.codec_name)) {
    throw new MediaRefused('UNSUPPORTED_VIDEO', 'the codec of the video stream is not known');
  }
  if (sound !== null && ['', 'unknown', 'none'].includes(sound.codec_name)) {
    throw new MediaRefused('UNSUPPORTED_AUDIO', 'the codec of the audio stream is not known');
  }
  const video = picture === null ? null : readVideo(picture, fileStartS);
  const audio = sound === null ? null : readAudio(sound, fileStartS);
  const durations = [format.duration, video?.durationS ?? null, audio?.durationS ?? null];
  const durationS = Math.max(0, ...durations.map((value) => value ?? 0));
  checkLimits({ durationS, video, audio }, picture, bytes);
  return { durationS, video, audio };
}

function checkLimits({ durationS, video }: SourceInfo, picture: ProbedStream | null, bytes: number): void {
  const sides = [picture?.width ?? 0, picture?.height ?? 0];
  const { longSidePixels, shortSidePixels } = LIMITS;
  const shown = [video?.width ?? 0, video?.height ?? 0];
  if (Math.max(...sides, ...shown) > longSidePixels || Math.min(...sides) > shortSidePixels) {
    throw new MediaRefused(
      'PICTURE_TOO_LARGE',
      `the picture of ${sides.join('x')} pixels is larger than ${longSidePixels}x${shortSidePixels}`,
    );
  }
  if ((video?.fps ?? 0) > LIMITS.fps) {
    throw new MediaRefused('FRAME_RATE_TOO_HIGH', `${Math.round(video?.fps ?? 0)} frames per second are too many`);
  }
  if (durationS > LIMITS.durationS) {
    throw new MediaRefused('DURATION_TOO_LONG', `${Math.round(durationS)} s is longer than ${LIMITS.durationS} s`);
  }
  if (durationS > 600 && bytes / durationS < LIMITS.bytesPerSecond) {
    throw new MediaRefused('DURATION_IMPLAUSIBLE', `${bytes} bytes cannot hold ${Math.round(durationS)} s of media`);
  }
}
