// Small JSON questions to the edges: what an id shows, the catalog, the list of edges.
import type { Catalog, EdgeList, PlaybackInfo } from '../platform/contract/playback.ts';
import { pause } from './backoff.ts';
import { requestFromEdges } from './edge-request.ts';
import type { EdgeRing } from './edges.ts';
import type { ViewerEvent } from './viewer.ts';

/** How often the list of edges is read again. Unit: ms. */
export const EDGES_EVERY_MS = 30_000;

const LIMITS = { firstByteMs: 1_500, lastFirstByteMs: 5_000, silenceMs: 3_000, rounds: 1 };

/** `text` is null unless the status is 200. */
async function ask(
  ring: EdgeRing,
  path: string,
  signal: AbortSignal,
): Promise<{ status: number; text: string | null; base: string }> {
  const { status, bytes, url } = await requestFromEdges(`${ring.bases[0] ?? ''}${path}`, ring, { ...LIMITS, signal });
  return { status, text: status === 200 ? new TextDecoder().decode(bytes) : null, base: new URL(url).origin };
}

/** What an id shows now, as an event for the page's state; never throws. */
export async function askInfo(ring: EdgeRing, path: string, signal: AbortSignal): Promise<ViewerEvent> {
  try {
    const { status, text } = await ask(ring, path, signal);
    if (status === 404 || status === 400) return { type: 'missing' };
    return text === null ? { type: 'unreachable' } : { type: 'answer', info: JSON.parse(text) as PlaybackInfo };
  } catch {
    return { type: 'unreachable' };
  }
}

/** The text at a path; null when there is none or no edge answers. */
export async function askText(ring: EdgeRing, path: string, signal: AbortSignal): Promise<string | null> {
  try {
    return (await ask(ring, path, signal)).text;
  } catch {
    return null;
  }
}

const OVER_EVERY_MS = 500;
const OVER_TRIES = 20;

/**
 * Waits until the playlists of an ended broadcast say so: for some moments an edge may still show them as they were live.
 * @param path of the master, with query
 * @returns false when there is nothing to play, or no end in sight
 */
export async function waitUntilOver(ring: EdgeRing, path: string, signal: AbortSignal): Promise<boolean> {
  for (let tries = 0; tries < OVER_TRIES && !signal.aborted; tries += 1) {
    const base = ring.bases[0] ?? '';
    const master = await askText(ring, path, signal);
    const first = master?.split('\n').find((line) => line !== '' && !line.startsWith('#'));
    if (first === undefined) return false;
    const { pathname, search } = new URL(first, `${base}${path}`);
    const media = await askText(ring, `${pathname}${search}`, signal);
    if (media?.includes('#EXT-X-ENDLIST')) return true;
    await pause(OVER_EVERY_MS, signal);
  }
  return false;
}

/** Public streams and videos; null when no edge answers. */
export async function askCatalog(ring: EdgeRing, signal: AbortSignal): Promise<Catalog | null> {
  try {
    const { text } = await ask(ring, '/catalog.json', signal);
    return text === null ? null : (JSON.parse(text) as Catalog);
  } catch {
    return null;
  }
}

/** Reads the list of edges into the ring; a failure leaves the list as it is. */
export async function refreshEdges(ring: EdgeRing, signal: AbortSignal): Promise<void> {
  try {
    const { text, base } = await ask(ring, '/edges.json', signal);
    if (text !== null) ring.update((JSON.parse(text) as EdgeList).edges, base);
  } catch {
    // The page goes on with the edges it knows; the next reading comes in half a minute.
  }
}

/** Reads the list of edges now and every half minute until the signal ends. */
export function keepEdgesFresh(ring: EdgeRing, signal: AbortSignal): void {
  void refreshEdges(ring, signal);
  const timer = setInterval(() => void refreshEdges(ring, signal), EDGES_EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}
