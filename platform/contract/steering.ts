// HLS Content Steering: the names that master playlists (origins), steering manifests (edges) and the player must agree on. Pure.

/** Of every edge and relative to every master: the steering manifest. */
export const STEERING_FILE = 'steering.json';

/** The pathway that a viewer begins with: relative addresses, so the edge that answered the master. */
export const HOME_PATHWAY = '.';

/** Parameter by which clients say which pathway they are on (rfc8216bis, section 7). */
export const PATHWAY_PARAMETER = '_HLS_pathway';

/** What an operator has said of an edge: viewers may use it, or shall leave it. */
export const EDGE_ORDERS = ['open', 'drained'] as const;
export type EdgeOrder = (typeof EDGE_ORDERS)[number];

/** Body of the steering manifest (rfc8216bis, section 7.1). TTL in s. */
export type SteeringManifest = {
  VERSION: 1;
  TTL: number;
  'RELOAD-URI': string;
  /** Pathway ids, the one to use first. */
  'PATHWAY-PRIORITY': string[];
};

/**
 * Pathway id of an edge: its public address without the scheme, in the letters that ids may have: `edge-1.example`, `localhost-8080`.
 * @param address public base address of an edge
 */
export const pathwayIdOf = (address: string): string =>
  address
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/[^A-Za-z0-9._-]/g, '-');

/** Most edges that one master playlist names beside the one that answers it: enough to stand in, few enough to parse. */
export const MOST_PATHWAYS = 4;

/**
 * The edges that a content's master names: all, or a run of the sorted list that begins at a place of its own, so that a
 * drained edge's viewers spread over many. The same for the same list, whoever asks.
 * @param addresses public addresses in any order
 * @returns none unless there are two edges or more: then there is nothing to steer
 */
export function pathwaysOf(addresses: readonly string[], content: string): string[] {
  const byId = new Map<string, string>();
  for (const address of [...addresses].sort())
    if (!byId.has(pathwayIdOf(address))) byId.set(pathwayIdOf(address), address);
  const sorted = [...byId.values()];
  if (sorted.length < 2) return [];
  if (sorted.length <= MOST_PATHWAYS) return sorted;
  const from = placeOf(content) % sorted.length;
  return [...sorted, ...sorted].slice(from, from + MOST_PATHWAYS);
}

/** FNV-1a over the letters. */
function placeOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const letter of text) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash;
}
