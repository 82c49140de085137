// Arguments of ffmpeg for uploads. Every value is a number or a word from a table here: no text of a user or a file becomes an argument.
import { AUDIO_BITRATE_BPS, AUDIO_SAMPLE_RATE } from '../platform/contract/ladder.ts';
import { LIMITS } from './probe.ts';
import type { Container } from './sniff.ts';
import type { AudioPlan, VideoPlan } from './vod-plan.ts';

/** Name of the source inside the job's folder, where ffmpeg runs. */
export const SOURCE_FILE = 'source';
/** The muxer loses times before 0 (audio priming); the packager takes this offset off again. Unit: s. */
export const TIME_OFFSET_S = 10;

/** Largest single allocation that libav may make. Unit: bytes. */
const MAX_ALLOC_BYTES = 1024 ** 3;
const MAX_PIXELS = LIMITS.longSidePixels * LIMITS.shortSidePixels;

/** The only way a source is opened: one demuxer, local files, no scripts. */
export const inputArgs = (container: Container): string[] => [
  '-protocol_whitelist',
  'file,pipe',
  '-format_whitelist',
  container.demuxer,
  '-f',
  container.demuxer,
];

/** The source as ffmpeg names it. */
export const sourceUrl = `file:${SOURCE_FILE}`;

/** Options of ffprobe beside inputArgs: enough of the file to see late streams, not all of it. */
export const probeArgs = (container: Container): string[] => [
  '-v',
  'error',
  '-max_alloc',
  String(MAX_ALLOC_BYTES),
  '-analyzeduration',
  '20000000',
  '-probesize',
  '50000000',
  ...inputArgs(container),
];

/** Options before the input of every transcode. @param threads of the decoder */
export const transcodeInputArgs = (container: Container, threads: number, isVideo: boolean): string[] => [
  '-hide_banner',
  '-nostdin',
  '-nostats',
  '-loglevel',
  'error',
  '-max_alloc',
  String(MAX_ALLOC_BYTES),
  '-filter_threads',
  String(threads),
  '-threads',
  String(threads),
  ...(isVideo ? ['-max_pixels', String(MAX_PIXELS)] : []),
  ...inputArgs(container),
];

const muxArgs = (flags: string): string[] => [
  '-sn',
  '-dn',
  '-map_metadata',
  '-1',
  '-map_chapters',
  '-1',
  '-max_muxing_queue_size',
  '4096',
  '-output_ts_offset',
  String(TIME_OFFSET_S),
  '-t',
  String(LIMITS.durationS + 60),
  '-f',
  'mp4',
  '-movflags',
  `+cmaf+frag_discont+skip_trailer${flags}`,
];

/** Turned by ffmpeg itself (autorotate), deinterlaced, at a constant rate, with square pixels, 8-bit 4:2:0. */
function videoFilter(plan: VideoPlan): string {
  const { rung, rate, source } = plan;
  return [
    ...(source.isInterlaced ? ['bwdif=mode=send_frame:deint=interlaced'] : []),
    `fps=${rate.num}/${rate.den}`,
    `scale=${rung.width}:${rung.height}:flags=bicubic`,
    'setsar=1',
    'format=yuv420p',
  ].join(',');
}

/**
 * H.264 High at constant quality under the ladder's ceiling. Key frames stand at multiples of the GOP, counted in output
 * frames, so that every rung has them at the same times.
 * @param preset word of the settings table
 */
export const videoArgs = (plan: VideoPlan, preset: string, threads: number): string[] => [
  '-map',
  `0:${plan.source.index}`,
  '-an',
  '-vf',
  videoFilter(plan),
  '-c:v',
  'libx264',
  '-preset',
  preset,
  '-profile:v',
  'high',
  '-crf',
  '21',
  '-maxrate',
  String(plan.rung.maxrateBps),
  '-bufsize',
  String(2 * plan.rung.bitrateBps),
  '-threads',
  String(threads),
  '-g',
  String(plan.gopFrames),
  '-keyint_min',
  String(plan.gopFrames),
  '-sc_threshold',
  '0',
  '-flags',
  '+cgop',
  // One frame of reordering: some readers show the negative offsets of CMAF as a delay, so it is kept small.
  '-x264-params',
  'open-gop=0:b-pyramid=none',
  '-force_key_frames',
  `expr:eq(mod(n,${plan.gopFrames}),0)`,
  ...muxArgs('+frag_keyframe'),
];

/** AAC-LC, 48 kHz, stereo; gaps in the source's times become silence so that sound stays with its picture. */
export const audioArgs = (plan: AudioPlan): string[] => [
  '-map',
  `0:${plan.streamIndex}`,
  '-vn',
  '-af',
  `aresample=${AUDIO_SAMPLE_RATE}:async=1:min_hard_comp=0.03`,
  '-c:a',
  'aac',
  '-profile:a',
  'aac_low',
  '-b:a',
  String(AUDIO_BITRATE_BPS),
  '-ar',
  String(AUDIO_SAMPLE_RATE),
  '-ac',
  '2',
  ...muxArgs(''),
  '-frag_duration',
  '1000000',
];

/** Seeks before the input; added to transcodeInputArgs. @param atS second of the picture */
export const seekArgs = (atS: number): string[] => ['-ss', atS.toFixed(3)];

/**
 * One JPEG picture on stdout.
 * @param shortSide pixels of the shorter side, never larger than the source's
 */
export function pictureArgs(index: number, width: number, height: number): string[] {
  const filter = `scale=${width}:${height}:flags=bicubic,setsar=1,format=yuvj420p`;
  const encode = ['-c:v', 'mjpeg', '-q:v', '4', '-f', 'image2pipe'];
  return ['-map', `0:${index}`, '-an', '-sn', '-dn', '-map_metadata', '-1', '-frames:v', '1', '-vf', filter, ...encode];
}

/** Size of a picture whose shorter side is at most `shortSide`, even and never enlarged. */
export function pictureSize(width: number, height: number, shortSide: number): { width: number; height: number } {
  const factor = Math.min(1, shortSide / Math.min(width, height));
  const even = (value: number) => Math.max(2, 2 * Math.round((value * factor) / 2));
  return { width: even(width), height: even(height) };
}
