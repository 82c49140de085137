// What a node says of itself in the registry: who it is, where it answers, how loaded it is.
import { z } from 'zod';
import { NodeId } from './ids.ts';
import { KeyKind } from './records.ts';

export const ROLES = ['api', 'ingest', 'transcoder', 'origin', 'edge'] as const;
export type Role = (typeof ROLES)[number];

/** What an ingest sees of a publisher, over the last seconds. */
export const StreamSignal = z.object({
  /** `unknown`: too early to say, or nobody publishes. `starving`: viewers see or will see it stall. */
  health: z.enum(['healthy', 'starving', 'unknown']),
  /** Plain sentences: what is wrong and what to change in the encoder. Empty when healthy. */
  advice: z.array(z.string()).max(10),
  key: KeyKind,
  /** Whether the other key's publisher is connected and standing by. */
  has_standby: z.boolean(),
  bitrate_bps: z.number(),
  /** Frames per second by timestamps; 0 without video. */
  frame_rate: z.number(),
  /** Longest recent distance of key frames; null before the second one. Unit: s. */
  gop_s: z.number().nullable(),
  width: z.number().int().nullable(),
  height: z.number().int().nullable(),
  video_codec: z.string().nullable(),
  audio_codec: z.string().nullable(),
  /** Media time that arrived per wall clock time: below 1 the encoder or its network is too slow. */
  speed: z.number(),
});
export type StreamSignal = z.infer<typeof StreamSignal>;

/** What a worker says of one live broadcast. */
export const LiveEncode = z.object({
  place: z.enum(['leader', 'hot']),
  /** From a frame's arrival at the ingest to its part being named. Unit: s. */
  lag_s: z.number(),
  /** Names of the renditions made now; fewer than the ladder while the worker is overloaded. */
  renditions: z.array(z.string()),
  /** Capacity taken: 1 is the whole node. */
  cost: z.number(),
  /** Objects waiting on the worker's disk for the store. */
  spooled: z.number().int(),
});
export type LiveEncode = z.infer<typeof LiveEncode>;

export const NodeInfo = z.object({
  id: NodeId,
  role: z.enum(ROLES),
  /** Base address for other roles, `http://host:port`; a worker's is its private listener. */
  url: z.string(),
  /** Address for viewers (edges) or publishers (ingest, `rtmp://host:port/live`), where they differ. */
  public_url: z.string().nullable(),
  /** Edges: address of the TLS port, `https://host:port`; absent without one. */
  tls_url: z.string().optional(),
  /** Private listener: /metrics, /healthz, /readyz. */
  private_url: z.string(),
  state: z.enum(['healthy', 'draining']),
  /** Edges: an operator has ordered it out of use; its state is `draining`, and it answers on. */
  is_drained: z.boolean().optional(),
  started_at: z.number().int(),
  pid: z.number().int(),
  version: z.string(),
  /** Small gauges by name, for the status page and balancing: `jobs`, `connections`, `publishers`, ... */
  load: z.record(z.string(), z.number()),
  /** Edges: viewers by playback id. Ingest: publishers' bitrate (bit/s) by stream id. */
  viewers: z.record(z.string(), z.number()).optional(),
  bitrates: z.record(z.string(), z.number()).optional(),
  /** Ingest: what the doctor says of each publisher's signal, by stream id. */
  signals: z.record(z.string(), StreamSignal).optional(),
  /** Transcoder: the live broadcasts it carries, by broadcast id. */
  encodes: z.record(z.string(), LiveEncode).optional(),
  /** Transcoder: the pool it works for. */
  pool: z.enum(['both', 'live', 'vod']).optional(),
});
export type NodeInfo = z.infer<typeof NodeInfo>;

/** Version that every node reports; the same as in package.json. */
export const VERSION = '0.1.0';

/** A node is gone this long after its last heartbeat. Unit: ms. */
export const NODE_TTL_MS = 5_000;
export const HEARTBEAT_MS = 1_000;
