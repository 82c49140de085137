// Limits of the RTMP door and the words between the door and what stands behind it.
import type { RefusalReason } from './errors.ts';
import type { FlvTag } from './flv-tag.ts';

/** Name of the one RTMP application: `rtmp://host/live`. */
export const RTMP_APP = 'live';

export const RTMP_LIMITS = {
  /** From accept to the end of the handshake. Unit: ms. */
  handshakeMs: 5_000,
  /** From the handshake to an accepted publish. Unit: ms. */
  publishMs: 10_000,
  /** Chunk streams of one connection. Encoders use three to six. */
  chunkStreams: 32,
  /** Smallest and largest chunk a peer may announce. Unit: bytes. */
  chunkBytes: { min: 128, max: 16 * 1024 * 1024 },
  /** Messages being assembled on one connection, together. Unit: bytes. */
  assemblyBytes: 16 * 1024 * 1024,
  /** The same before the publisher is let in. Unit: bytes. */
  strangerBytes: 256 * 1024,
  /** Longest command, and longest data message (metadata). Unit: bytes. */
  commandBytes: 16 * 1024,
  dataBytes: 256 * 1024,
  /** Commands of one connection. An encoder sends fewer than ten. */
  commands: 64,
  /** Answers a peer leaves unread. Unit: bytes. */
  unreadBytes: 256 * 1024,
  /** Longest stream key. Unit: characters. */
  keyLength: 256,
} as const;

/** How a publisher's connection ended. */
export type EndReason =
  | 'finished'
  | 'closed'
  | 'silent'
  | 'malformed'
  | 'bitrate'
  | 'replaced'
  | 'kicked'
  | 'completed'
  | 'key-removed'
  | 'disabled'
  | 'elsewhere'
  | 'over'
  | 'shutdown'
  | 'internal';

/**
 * What a refused publisher is told; null: nothing. OBS Studio shows the description.
 * Source: Flash Media Server, NetStream status codes.
 */
export const REFUSALS: Record<RefusalReason, { code: string; description: string } | null> = {
  key: { code: 'NetStream.Publish.Denied', description: 'The stream key is not valid.' },
  full: { code: 'NetStream.Publish.Rejected', description: 'This server takes no more publishers. Try again later.' },
  draining: { code: 'NetStream.Publish.Rejected', description: 'This server is about to stop. Connect again.' },
  app: null,
  play: null,
  'back-off': null,
};

/** What a publisher is told that is cut off; those not named here end without a word. */
export const FAREWELLS: Partial<Record<EndReason, string>> = {
  bitrate: 'More bits per second than this server takes. Lower the bitrate.',
  replaced: 'Another encoder with the same stream key took over.',
  kicked: 'The owner of the stream stopped it.',
  completed: 'The owner of the stream ended the broadcast.',
  'key-removed': 'The stream key is no longer valid.',
  disabled: 'The stream is disabled.',
  elsewhere: 'Another encoder with the same stream key took over.',
  over: 'The broadcast is over.',
  shutdown: 'This server is about to stop. Connect again.',
};

/** A publisher's connection, as the platform behind the door holds it. */
export interface PublisherConnection {
  /** Address of the peer, for logs. */
  readonly remote: string;
  /** Cuts it off with a word why; the publication's onEnd is called before this returns. Later calls do nothing. */
  close(reason: EndReason): void;
}

/** What becomes of an accepted publisher's media. */
export interface Publication {
  /** The body is valid during the call only. */
  onTag(tag: FlvTag): void;
  /** Called once. */
  onEnd(reason: EndReason): void;
}

export interface PublisherGate {
  /**
   * Decides at once, without waiting for anything: not one packet of media passes before the answer.
   * @param key as the peer sent it; never to be logged
   */
  admit(key: string, connection: PublisherConnection): Publication | RefusalReason;
  /** Counts a connection that ended before it could publish. */
  turnedAway(reason: RefusalReason | 'malformed' | 'handshake-timeout' | 'publish-timeout' | 'crowded'): void;
}

/**
 * `live`, `live/`, `/live?x=y` are the same application.
 * @returns null when the text names none
 */
export function applicationOf(app: unknown): string | null {
  if (typeof app !== 'string') return null;
  return (app.split('?')[0] ?? '').replace(/^\/+|\/+$/g, '');
}

/** The key in a publish command: what stands before the query. Null when it cannot be one. */
export function keyOf(streamName: unknown): string | null {
  if (typeof streamName !== 'string') return null;
  const key = streamName.split('?')[0] ?? '';
  return key.length > 0 && key.length <= RTMP_LIMITS.keyLength ? key : null;
}
