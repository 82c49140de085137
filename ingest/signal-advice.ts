// From what the doctor found to what the broadcaster is told: the health of a signal, and which setting of the encoder to change. Settings are
// named as OBS Studio names them.
import { type LatencyMode, MAX_TARGET_DURATION_S } from '../platform/contract/latency.ts';
import type { StreamSignal } from '../platform/contract/nodes.ts';
import { AUDIO_FOR_VIEWERS, VIDEO_FOR_VIEWERS } from './codec-names.ts';

/** What the doctor found. */
export type Findings = Pick<
  StreamSignal,
  'frame_rate' | 'gop_s' | 'width' | 'height' | 'video_codec' | 'audio_codec' | 'speed'
> & {
  /** Speed was measured over long enough to judge it. */
  isJudged: boolean;
  /** Nothing came for this long. Unit: ms. */
  silentMs: number;
  /** Since the first media; null before it. Unit: ms. */
  ageMs: number | null;
  /** What the encoder says it sends; null: it does not say. */
  declaredFrameRate: number | null;
  hasReordering: boolean;
  isIrregular: boolean;
};

/** Below this the encoder or its network is too slow. Media time per wall time. */
const SLOW_SPEED = 0.97;
/** Without media for this long viewers will see it stall. Unit: ms. */
const STARVING_MS = 2_000;
/** After this much media, sound that has not come will not come. Unit: ms. */
const SOUND_EXPECTED_MS = 5_000;
/** Share of the declared frames below which frames are being dropped. */
const DROPPED_SHARE = 0.9;
/** Longest useful distance of key frames; a little is left for rounding. Unit: s. */
const LONGEST_GOP_S: Record<LatencyMode, number> = { ultra: 2.1, low: 2.1, default: 2.1, standard: 4.1 };

const CODEC_NAMES: Record<string, string> = {
  hevc: 'HEVC (H.265)',
  av1: 'AV1',
  vp8: 'VP8',
  vp9: 'VP9',
  mp3: 'MP3',
  opus: 'Opus',
};

/** `starving`: viewers see it stall, or will. `unknown`: too early to say. */
export function healthOf(found: Findings): StreamSignal['health'] {
  if (found.ageMs === null) return 'unknown';
  if (found.silentMs > STARVING_MS || !isVideoUsable(found) || !isAudioUsable(found)) return 'starving';
  if (!found.isJudged) return 'unknown';
  return found.speed < SLOW_SPEED ? 'starving' : 'healthy';
}

/** Plain sentences, the most urgent first; fewer than ten. */
export function adviceFor(found: Findings, mode: LatencyMode): string[] {
  return [...urgent(found), ...encoding(found, mode)];
}

const isVideoUsable = (found: Findings): boolean =>
  found.video_codec === null || found.video_codec === VIDEO_FOR_VIEWERS;
const isAudioUsable = (found: Findings): boolean =>
  found.audio_codec === null || found.audio_codec === AUDIO_FOR_VIEWERS;
const named = (codec: string | null): string => CODEC_NAMES[codec ?? ''] ?? codec ?? '';
const rounded = (value: number): number => Math.round(value * 10) / 10;

function urgent(found: Findings): string[] {
  const advice: string[] = [];
  if (found.ageMs === null) return advice;
  if (found.silentMs > STARVING_MS)
    advice.push('The encoder is connected but sends nothing. Check that it is running and that its network is up.');
  if (!isVideoUsable(found))
    advice.push(
      `The picture is ${named(found.video_codec)}, which cannot be shown. In OBS choose an H.264 encoder under Settings > Output > Streaming > Video Encoder.`,
    );
  if (!isAudioUsable(found))
    advice.push(
      `The sound is ${named(found.audio_codec)}, which cannot be played. In OBS choose AAC under Settings > Output > Streaming > Audio Encoder.`,
    );
  if (found.isJudged && found.speed < SLOW_SPEED && found.silentMs <= STARVING_MS)
    advice.push(
      `Media arrives at ${Math.round(found.speed * 100)} % of real time: the encoder or its upload is too slow. In OBS lower Settings > Output > Streaming > Bitrate, or choose a faster CPU Usage Preset.`,
    );
  return advice;
}

function encoding(found: Findings, mode: LatencyMode): string[] {
  const advice: string[] = [];
  const { declaredFrameRate, frame_rate, gop_s } = found;
  if (found.audio_codec === null && (found.ageMs ?? 0) > SOUND_EXPECTED_MS)
    advice.push(
      'No sound arrives. In OBS check that an audio source is active in the Audio Mixer and that Settings > Output > Streaming > Audio Track is the one in use.',
    );
  if (declaredFrameRate !== null && frame_rate > 0 && frame_rate < declaredFrameRate * DROPPED_SHARE)
    advice.push(
      `Only ${rounded(frame_rate)} of ${rounded(declaredFrameRate)} frames per second arrive: the encoder drops frames. In OBS choose a faster CPU Usage Preset, or lower Settings > Video > Output (Scaled) Resolution.`,
    );
  else if (found.isIrregular)
    advice.push(
      'The timestamps are irregular. Use a constant frame rate; in OBS set Settings > Video > Common FPS Values, and check capture devices that change their rate.',
    );
  if (gop_s !== null && gop_s > LONGEST_GOP_S[mode])
    advice.push(
      `Key frames come ${rounded(gop_s)} s apart${gop_s > MAX_TARGET_DURATION_S ? ', too far for pass-through' : ''}. In OBS set Settings > Output > Streaming > Keyframe Interval to ${mode === 'ultra' ? 1 : 2} s.`,
    );
  if (found.hasReordering && mode !== 'standard')
    advice.push(
      'The encoder uses B-frames, which add to the delay. In OBS set Max B-frames to 0, or Tune to zerolatency, under Settings > Output > Streaming.',
    );
  return advice;
}
