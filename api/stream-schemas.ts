// Schemas of the live stream routes: what they take and answer.
import { z } from 'zod';
import { LATENCY_MODES } from '../platform/contract/latency.ts';
import { KeyKind, Redundancy, TranscodeMode } from '../platform/contract/records.ts';
import {
  description,
  ErrorsView,
  NewAssetInput,
  NewAssetView,
  newAssetDefault,
  PlaybackIdView,
  policies,
  title,
} from './schemas.ts';

const text = z.string();
const at = z.number().int();

const latencyMode = z
  .enum(LATENCY_MODES)
  .describe('Parts of 1/5 s (`ultra`), 1/3 s (`low`), 1/2 s (`default`); `standard`: whole segments alone.');
const transcode = TranscodeMode.unwrap().describe(
  '`ladder`: encoded into renditions. `passthrough`: the encoder’s own frames; key frames at most 10 s apart.',
);
const redundancy = Redundancy.unwrap().describe(
  '`standby`: another worker takes over within seconds. `hot`: two workers encode, a failure is not seen.',
);
const record = z.boolean().describe('Whether a broadcast becomes an asset when it ends.');
const dvrWindow = z
  .number()
  .int()
  .min(20)
  .max(43_200)
  .nullable()
  .describe('How far viewers can rewind, seconds; null: the platform’s default.');
const useSlate = z.boolean().describe('A picture stands in while nobody publishes, inside the reconnect window.');
const reconnectWindow = z
  .number()
  .int()
  .min(0)
  .max(1_800)
  .describe('Seconds in which a returning publisher continues the same broadcast.');

export const StreamCreate = z.strictObject({
  title: title.default(''),
  description: description.default(''),
  latency_mode: latencyMode.default('default'),
  transcode: transcode.default('ladder'),
  redundancy: redundancy.default('standby'),
  record: record.default(true),
  dvr_window: dvrWindow.default(null),
  use_slate: useSlate.default(false),
  playback_policies: policies.default(['public']),
  new_asset_settings: NewAssetInput.default(newAssetDefault).describe('Of the recordings.'),
  reconnect_window: reconnectWindow.optional(),
});

export const StreamChange = z.strictObject({
  title: title.optional(),
  description: description.optional(),
  latency_mode: latencyMode.optional(),
  transcode: transcode.optional(),
  redundancy: redundancy.optional(),
  record: record.optional(),
  dvr_window: dvrWindow.optional(),
  use_slate: useSlate.optional(),
  new_asset_settings: NewAssetInput.optional(),
  reconnect_window: reconnectWindow.optional(),
});

export const KeyRotation = z.strictObject({
  key: KeyKind.default('primary'),
  grace_s: z
    .number()
    .int()
    .min(0)
    .max(604_800)
    .default(3_600)
    .describe('The present key is accepted for this many more seconds.'),
});
export const KeySwitch = z.strictObject({ to: KeyKind });

const HealthView = z.object({
  status: z
    .enum(['healthy', 'starving', 'unknown'])
    .describe('`starving`: viewers see or will see it stall. `unknown`: too early to say, or nobody publishes.'),
  advice: z.array(text).describe('Plain sentences: what is wrong, and what to change in the encoder.'),
  bitrate: z.number().describe('Bits per second.'),
  frame_rate: z.number(),
  gop: z.number().nullable().describe('Longest recent distance of key frames, seconds.'),
  width: z.number().int().nullable(),
  height: z.number().int().nullable(),
  video_codec: text.nullable(),
  audio_codec: text.nullable(),
  speed: z.number().describe('Media time that arrives per second; below 1 the encoder or its network is too slow.'),
});
const EncodeView = z.object({
  lag: z.number().nullable().describe('From a frame’s arrival to its part being named, seconds.'),
  renditions: z.array(text).describe('Made now; fewer than planned while the worker is overloaded.'),
  placement: z.array(
    z.object({
      node: text,
      place: z.enum(['leader', 'hot']),
      lag: z.number(),
      cost: z.number(),
      spooled: z.number().int().describe('Objects on the worker’s disk that wait for the store.'),
    }),
  ),
});

export const StreamView = z.object({
  id: text,
  status: z.enum(['idle', 'active', 'disabled']),
  phase: z
    .enum(['idle', 'active', 'recovering', 'ending'])
    .describe('`recovering`: on air, waiting for the encoder to come back.'),
  title: text,
  description: text,
  latency_mode: latencyMode,
  transcode,
  redundancy,
  record,
  dvr_window: z.number().int().describe('In force: the stream’s own, or the platform’s default. Seconds.'),
  use_slate: z.boolean(),
  has_slate: z.boolean().describe('Whether a slate picture was uploaded.'),
  reconnect_window: z.number().int(),
  playback_ids: z.array(PlaybackIdView),
  new_asset_settings: NewAssetView,
  rtmp_url: text,
  rtmps_url: text.nullable().describe('The same over TLS, where an ingest offers it.'),
  viewer_count: z.number().int(),
  /** Of the publisher, bit/s. */
  bitrate: z.number(),
  health: HealthView,
  encode: EncodeView,
  publishing_key: KeyKind.nullable().describe('Key of the encoder that is shown; null while none publishes.'),
  has_standby: z.boolean().describe('Whether the other key’s encoder is connected and standing by.'),
  fault: ErrorsView.nullable().describe('Why the running broadcast cannot be shown.'),
  active_broadcast_id: text.nullable(),
  active_asset_id: text.nullable().describe('The asset that the running broadcast becomes.'),
  current_broadcast_id: text.nullable().describe('The running broadcast, or the last one.'),
  recent_asset_ids: z.array(text).describe('Recordings, the newest last.'),
  has_backup_key: z.boolean(),
  old_keys: z.array(z.object({ key: KeyKind, until: at })).describe('Rotated keys that are still accepted.'),
  key_rotated_at: at,
  created_at: at,
  updated_at: at,
});
/** The answers that carry a stream key: creation, reset, rotation. */
export const StreamWithKey = StreamView.extend({ stream_key: text, key: KeyKind });
