// Redis keys and channels: the one place that spells them. All of Redis may vanish at any time; records in the store rebuild it.
import type { ContentId } from './ids.ts';
import type { Role } from './nodes.ts';
import type { RecordKind } from './object-keys.ts';

/** String: `built`, or `building:{token}` during a rebuild. Anything but `built`: any role starts the rebuild under the lease `rebuild`. */
export const indexMarkerKey = 'hw:index';
/** Sorted set id -> created_at (ms since epoch). Written by the records adapter and the rebuild, read for lists. */
export const recordIndexKey = (kind: RecordKind) => `hw:records:${kind}` as const;
/** Hash playback id -> JSON PlaybackTarget. Read by origins. */
export const playbackIndexKey = 'hw:playback';
/** Hash SHA-256 (hex) of a stream key -> StreamKeyEntry (stream-keys.ts). Read by ingest into memory. */
export const streamKeyIndexKey = 'hw:stream-keys';
/** Hash broadcast id -> stream id, of broadcasts whose record says `live`. Read by api, origin and reconciler. */
export const liveBroadcastsKey = 'hw:live-broadcasts';
/** String: holder's token, with expiry. `name` as in LEASES below. */
export const leaseKey = (name: string) => `hw:lease:${name}` as const;
/** Stream of timeline entries {e: JSON TimelineEntry}. Written through the fenced script only. TTL 24 h after the last entry. */
export const timelineKey = (content: ContentId) => `hw:timeline:${content}` as const;
/** Hash {term, epoch, msn, part}: the fence of the append script. Written together with the timeline. */
export const timelineHeadKey = (content: ContentId) => `hw:timeline-head:${content}` as const;
/** Hash {state, percent, rendition, updated_at}: progress of an on-demand job. TTL 1 h after the last write. */
export const progressKey = (asset: string) => `hw:progress:${asset}` as const;
/** Hash node id -> JSON NodeInfo, and sorted set node id -> expiry (ms, Redis clock). Heartbeat each second, TTL 5 s. */
export const nodesKey = (role: Role) => `hw:nodes:${role}` as const;
export const nodeExpiryKey = (role: Role) => `hw:node-expiry:${role}` as const;

/** Sorted set public address of an edge -> when it last said that it is there (ms, Redis clock). Written by edges each second, read by origins. */
export const edgesSeenKey = 'hw:edges-seen';
/** Hash public address of an edge -> EdgeOrder (contract/steering.ts). Written by the api, put back by the edge that it concerns. */
export const edgeOrdersKey = 'hw:edge-orders';

/** Pub/sub channel of platform events (contract/events.ts). A hint only: every reader also polls. */
export const eventsChannel = 'hw:events';
/** Bull's own keys live under this prefix. */
export const queuePrefix = 'hw:queue';

/** Names of leases (pessimistic locks). */
export const leases = {
  rebuild: 'rebuild',
  reconciler: 'reconciler',
  live: (broadcast: string) => `live:${broadcast}` as const,
  /** Held by the second worker of a broadcast with hot redundancy. */
  liveHot: (broadcast: string) => `live-hot:${broadcast}` as const,
  vod: (asset: string) => `vod:${asset}` as const,
  upload: (upload: string) => `upload:${upload}` as const,
} as const;
