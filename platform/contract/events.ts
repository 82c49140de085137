// Platform events on pub/sub: hints that make reactions quick. Each has a slower poll behind it, so a lost event costs time, never truth.
import { z } from 'zod';
import { AssetId, BroadcastId, StreamId, UploadId } from './ids.ts';
import { KeyKind } from './records.ts';

export const PlatformEvent = z.discriminatedUnion('type', [
  /** Stream keys were added, changed or removed: ingest reads them anew. */
  z.object({ type: z.literal('stream-keys') }),
  z.object({ type: z.literal('asset'), id: AssetId }),
  /** A worker on this asset shall stop. */
  z.object({ type: z.literal('cancel-vod'), id: AssetId }),
  /** Another request wants this upload: the api process that receives its bytes ends that request and lets go. */
  z.object({ type: z.literal('release-upload'), id: UploadId }),
  z.object({ type: z.literal('stream'), id: StreamId }),
  /** Ingest shall end this stream's publishers (key reset, delete, disable, kick); the broadcast waits for the next one. */
  z.object({ type: z.literal('kick'), id: StreamId }),
  /** Ingest shall end the broadcast now: publishers are cut off, no window is waited for. */
  z.object({ type: z.literal('complete'), id: StreamId }),
  /** Ingest shall go over to this key's publisher at its next key frame. */
  z.object({ type: z.literal('switch'), id: StreamId, to: KeyKind }),
  z.object({ type: z.literal('broadcast'), id: BroadcastId }),
]);
export type PlatformEvent = z.infer<typeof PlatformEvent>;
