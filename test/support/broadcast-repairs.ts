// What the reconciler asks about streams, broadcasts and contents, with nothing there and nothing to do.
import type { BroadcastRepairsDeps } from '../../api/broadcast-repairs.ts';

export const idleBroadcasts: BroadcastRepairsDeps = {
  stream: async () => null,
  broadcast: async () => null,
  content: async () => null,
  hasRecord: async () => true,
  isCarried: async () => false,
  isIngestAlive: () => false,
  isSpooled: () => false,
  beginEnding: async () => undefined,
  enqueueClosing: async () => 'added',
  endBroadcast: async () => undefined,
  record: async () => false,
  leave: async () => undefined,
  finishContentRemoval: async () => undefined,
  removeParts: async () => true,
  finishStreamRemoval: async () => true,
  dropOldKeys: async () => undefined,
  now: Date.now,
};
