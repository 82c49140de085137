// Forgetting what is kept of one content or playback id, in memory, on disk and on its way: when a video was deleted or must not be seen.
import type { Express, RequestHandler } from 'express';
import { ContentId } from '../platform/contract/ids.ts';
import { AppError, messageOf } from '../platform/runtime/errors.ts';
import { requireInternalSecret, sendProblem } from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { DiskStore } from './disk-store.ts';
import type { Fills } from './fill.ts';
import type { MemoryStore } from './memory-store.ts';

export type PurgeParts = {
  store: Pick<MemoryStore, 'purge'>;
  disk: Pick<DiskStore, 'purge'> | null;
  fills: Pick<Fills, 'disown'>;
};

/** Objects forgotten. */
export type Purged = { memory: number; disk: number };

/**
 * Forgets everything under an id. Viewers who wait for it still get what is on its way.
 * @param id of a content (media, media playlists) or a playback (master, manifest, pictures)
 * @throws PurgeIncomplete
 */
export async function purge({ store, disk, fills }: PurgeParts, id: string): Promise<Purged> {
  const isMeant = (key: string): boolean => [`/v/${id}/`, `/${id}.`, `/${id}/`].some((start) => key.startsWith(start));
  // First of all: what arrives from now on must not bring anything back.
  fills.disown(isMeant);
  return { memory: store.purge(isMeant), disk: (await disk?.purge(id)) ?? 0 };
}

/** On the private listener. POST /purge/{id} -> 200 Purged, 404 no id, 503 not everything could be removed; internal secret required. */
export function purgeRoute(app: Express, internalSecret: string, parts: PurgeParts, log: Logger): void {
  const answer: RequestHandler = async (req, res) => {
    const id = ContentId.safeParse(req.params['id']);
    if (!id.success) {
      sendProblem(res, 404, 'Not Found', 'NOT_AN_ID', ['this is no content or playback id']);
      return;
    }
    try {
      const purged = await purge(parts, id.data);
      log.info('purged', { content: id.data, ...purged });
      res.set('cache-control', 'no-store').json(purged);
    } catch (thrown) {
      log.error('purge failed', { content: id.data, err: thrown });
      const code = thrown instanceof AppError ? thrown.code : 'INTERNAL';
      sendProblem(res, 503, 'Service Unavailable', code, [messageOf(thrown)]);
    }
  };
  app.post('/purge/:id', requireInternalSecret(internalSecret), answer);
}
