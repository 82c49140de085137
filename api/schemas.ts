// What goes in and comes out of the REST API: one schema each, for the parser, the answers and the OpenAPI document.
import { z } from 'zod';
import { JOB_STATES } from '../platform/contract/jobs.ts';
import { ROLES } from '../platform/contract/nodes.ts';
import { KeyKind } from '../platform/contract/records.ts';

const text = z.string();
/** ms since the epoch, as in all records. */
const at = z.number().int();
export const policies = z
  .array(z.enum(['public', 'signed']))
  .min(1)
  .max(2);
export const title = z.string().max(512);
export const description = z.string().max(5_000);

export const NewAssetInput = z.strictObject({
  playback_policies: policies.default(['public']),
  title: title.default(''),
  description: description.default(''),
});
export const newAssetDefault = { playback_policies: ['public' as const], title: '', description: '' };

export const UploadCreate = z.strictObject({
  /** Origin of the page that sends the bytes; `*` for any; empty: same origin and non-browsers only. */
  cors_origin: z
    .union([z.literal(['', '*']), z.url({ protocol: /^https?$/ }).regex(/^[^/]+\/\/[^/]+$/, 'must be an origin')])
    .default(''),
  new_asset_settings: NewAssetInput.default(newAssetDefault),
  /** Seconds until an unfinished upload is timed out. */
  timeout: z.number().int().min(60).max(2_592_000).nullable().default(null),
  /** Length of the file, where known. Bytes. */
  length: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).nullable().default(null),
  filename: z.string().max(1_024).default(''),
});

export const AssetChange = z.strictObject({ title: title.optional(), description: description.optional() });

const instant = z
  .union([z.number().min(-1e7).max(1e12), z.iso.datetime({ offset: true })])
  .describe(
    'Assets: seconds from the start. Live streams: seconds before the live edge as a negative number (0 is the edge), or a wall clock time (ISO 8601).',
  );
export const ClipCreate = z.strictObject({
  source: z
    .strictObject({
      playback_id: text.max(64).optional(),
      asset_id: text.max(64).optional(),
      live_stream_id: text.max(64).optional(),
    })
    .refine((source) => Object.values(source).filter((id) => id !== undefined).length === 1, {
      message: 'name exactly one of playback_id, asset_id, live_stream_id',
    })
    .describe('Exactly one of the three. A live stream may be on air, or off air with its last broadcast.'),
  start: instant,
  end: instant,
  title: title.optional().describe('Default: "Clip of" and the title of the source.'),
  playback_policies: policies.optional().describe('Default: those of the source.'),
});

export const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(25),
  cursor: z.string().min(1).max(512).optional(),
});

export const PlaybackIdView = z.object({ id: text, policy: z.enum(['public', 'signed']) });
export const ErrorsView = z.object({ type: text, messages: z.array(text) });
export const NewAssetView = z.object({ playback_policies: policies, title: text, description: text });

export const UploadView = z.object({
  id: text,
  status: z.enum(['waiting', 'asset_created', 'errored', 'cancelled', 'timed_out']),
  asset_id: text,
  cors_origin: text,
  new_asset_settings: NewAssetView,
  filename: text,
  /** Bytes stored so far, and announced. */
  offset: z.number().int(),
  length: z.number().int().nullable(),
  created_at: at,
  expires_at: at,
});
/** The one answer that carries the one-time address. */
export const UploadCreated = UploadView.extend({ url: text });

const span = z.object({ start: z.union([z.number(), text]), end: z.union([z.number(), text]) });
export const ClipView = z.object({
  source: z.object({
    playback_id: text.nullable(),
    asset_id: text.nullable(),
    broadcast_id: text.nullable(),
  }),
  requested: span.describe('As asked: seconds of the source asset, or wall clock times of a broadcast.'),
  actual: span.describe('After widening to the boundaries of segments.'),
});

export const AssetView = z.object({
  id: text,
  status: z.enum(['preparing', 'ready', 'errored']),
  /** True once the first rendition can be watched. */
  playable: z.boolean(),
  progress: z.object({ state: text, percent: z.number().min(0).max(100) }),
  errors: ErrorsView.nullable(),
  title: text,
  description: text,
  playback_ids: z.array(PlaybackIdView),
  duration: z.number().nullable(),
  /** In storage, all renditions. */
  size_bytes: z.number().int().nullable(),
  renditions: z.array(
    z.object({
      name: text,
      kind: z.enum(['video', 'audio']),
      codecs: text,
      width: z.number().nullable(),
      height: z.number().nullable(),
      frame_rate: z.number().nullable(),
      bandwidth: z.number(),
      segments: z.number().int(),
      duration: z.number(),
      size_bytes: z.number().int(),
    }),
  ),
  input_info: z
    .object({
      container: text,
      size_bytes: z.number(),
      duration: z.number(),
      video: z.object({ codec: text, width: z.number(), height: z.number(), frame_rate: z.number() }).nullable(),
      audio: z.object({ codec: text, sample_rate: z.number(), channels: z.number() }).nullable(),
    })
    .nullable(),
  upload_id: text.nullable(),
  live_stream_id: text.nullable(),
  source_type: z.enum(['upload', 'live', 'clip']),
  clip: ClipView.nullable(),
  created_at: at,
  updated_at: at,
});

export const WhoamiView = z.object({ token_id: text, scopes: z.array(text) });

const linked = { playback_id: text.nullable(), watch_url: text.nullable(), embed_url: text.nullable(), created_at: at };
export const OverviewView = z.object({
  rtmp_url: text,
  storage: text,
  nodes: z.array(
    z.object({
      id: text,
      role: z.enum(ROLES),
      url: text,
      public_url: text.nullable(),
      state: z.enum(['healthy', 'draining']),
      is_drained: z.boolean(),
      started_at: at,
      pid: z.number().int(),
      version: text,
      load: z.record(text, z.number()),
    }),
  ),
  streams: z.array(
    z.object({
      id: text,
      title: text,
      status: z.enum(['idle', 'active', 'disabled']),
      latency_mode: text,
      transcode: text,
      redundancy: text,
      record: z.boolean(),
      has_backup_key: z.boolean(),
      publishing_key: KeyKind.nullable(),
      has_standby: z.boolean(),
      is_away: z.boolean(),
      viewer_count: z.number().int(),
      bitrate: z.number(),
      health: z.enum(['healthy', 'starving', 'unknown']),
      advice: z.array(text),
      renditions: z.array(text),
      lag_s: z.number().nullable(),
      fault: text.nullable(),
      broadcast_id: text.nullable(),
      ...linked,
    }),
  ),
  jobs: z.array(
    z.object({
      queue: z.enum(['vod', 'live']),
      id: text,
      state: z.enum(JOB_STATES),
      step: text,
      percent: z.number().nullable(),
      attempts: z.number().int(),
      asset_id: text.nullable(),
      broadcast_id: text.nullable(),
      error: text.nullable(),
      created_at: at,
    }),
  ),
  assets: z.array(
    z.object({
      id: text,
      title: text,
      status: z.enum(['preparing', 'ready', 'errored']),
      playable: z.boolean(),
      progress: z.object({ state: text, percent: z.number() }),
      errors: ErrorsView.nullable(),
      duration_s: z.number().nullable(),
      size_bytes: z.number().nullable(),
      source_type: z.enum(['upload', 'live', 'clip']),
      source_title: text.nullable(),
      ...linked,
    }),
  ),
});

/** Every error of the API (RFC 9457). */
export const ProblemView = z.object({
  type: text,
  title: text,
  status: z.number().int(),
  code: text,
  messages: z.array(text),
  request_id: text,
});
