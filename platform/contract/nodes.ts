// What a node says of itself in the registry: who it is, where it answers, how loaded it is.
import { z } from 'zod';
import { NodeId } from './ids.ts';

export const ROLES = ['api', 'ingest', 'transcoder', 'origin', 'edge'] as const;
export type Role = (typeof ROLES)[number];

export const NodeInfo = z.object({
  id: NodeId,
  role: z.enum(ROLES),
  /** Base address for other roles, `http://host:port`; a worker's is its private listener. */
  url: z.string(),
  /** Address for viewers (edges) or publishers (ingest, `rtmp://host:port/live`), where they differ. */
  public_url: z.string().nullable(),
  /** Private listener: /metrics, /healthz, /readyz. */
  private_url: z.string(),
  state: z.enum(['healthy', 'draining']),
  started_at: z.number().int(),
  pid: z.number().int(),
  version: z.string(),
  /** Small gauges by name, for the status page and balancing: `jobs`, `connections`, `publishers`, ... */
  load: z.record(z.string(), z.number()),
  /** Edges: viewers by playback id. Ingest: publishers' bitrate (bit/s) by stream id. */
  viewers: z.record(z.string(), z.number()).optional(),
  bitrates: z.record(z.string(), z.number()).optional(),
});
export type NodeInfo = z.infer<typeof NodeInfo>;

/** Version that every node reports; the same as in package.json. */
export const VERSION = '0.1.0';

/** A node is gone this long after its last heartbeat. Unit: ms. */
export const NODE_TTL_MS = 5_000;
export const HEARTBEAT_MS = 1_000;
