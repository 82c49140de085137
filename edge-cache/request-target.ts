// Steps "parse" and "key": a request target becomes ids and a cache key, or is refused. No path is ever built from what a viewer sent.
import {
  initUri,
  PUBLIC_GRANT,
  parseViewerPath,
  partUri,
  segmentUri,
  type ViewerRoute,
} from '../platform/contract/routes.ts';
import { dropOldest } from '../platform/runtime/bounded-map.ts';
import type { Asked } from './live-edges.ts';

const MAX_TARGET_CHARACTERS = 2_048;

/** Delivery directives of rfc8216bis, section 6.2.5, as text that has been checked. */
export type Directives = { msn: string | null; part: string | null; skip: string | null };

export const NO_DIRECTIVES: Directives = { msn: null, part: null, skip: null };

export type ParsedTarget =
  | {
      path: string;
      route: ViewerRoute | null;
      /** Cache key; empty without a route. */
      key: string;
      directives: Directives;
      viewer: string | null;
    }
  | { refused: 400 };

const DIRECTIVES = {
  _HLS_msn: { name: 'msn', pattern: /^(?:0|[1-9]\d{0,11})$/ },
  _HLS_part: { name: 'part', pattern: /^(?:0|[1-9]\d{0,5})$/ },
  _HLS_skip: { name: 'skip', pattern: /^(?:YES|v2)$/ },
} as const;
const VIEWER = /^[A-Za-z0-9_-]{1,40}$/;

/** An address of something that can be kept, and its key without directives. */
type Place = { route: ViewerRoute; key: string };

/** Addresses remembered by one parser, and the longest of them. Unit of the latter: characters. */
const MAX_REMEMBERED = 8_192;
const LONGEST_REMEMBERED = 512;

/** Splits and checks request targets. One per engine: it remembers the addresses that parsed, because viewers ask for few in turn. */
export function createTargetParser(): (target: string) => ParsedTarget {
  const places = new Map<string, Place>();
  const placeOf = (path: string): Place | null => {
    const known = places.get(path);
    if (known !== undefined) return known;
    const route = parseViewerPath(path);
    // Leading zeros parse but are another spelling of the same object: one object, one address.
    if (route === null || pathOf(route) !== path) return null;
    const place = { route, key: cacheKeyOf(route, NO_DIRECTIVES) };
    if (path.length > LONGEST_REMEMBERED) return place;
    places.set(path, place);
    dropOldest(places, MAX_REMEMBERED);
    return place;
  };
  return (target) => parseTarget(target, placeOf);
}

/** @returns route null: no viewer address (404, or a page); refused: not origin-form, or a directive that makes no sense */
function parseTarget(target: string, placeOf: (path: string) => Place | null): ParsedTarget {
  if (target.length > MAX_TARGET_CHARACTERS || !/^\/[\x21-\x7e]*$/.test(target) || target.includes('#'))
    return { refused: 400 };
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const place = placeOf(path);
  const query = mark === -1 ? NO_QUERY : parseQuery(target.slice(mark + 1));
  if (query === null) return { refused: 400 };
  const { viewer } = query;
  if (place === null) return { path, route: null, key: '', directives: NO_DIRECTIVES, viewer };
  const { route } = place;
  const directives = route.kind === 'media-playlist' ? query.directives : NO_DIRECTIVES;
  return { path, route, key: place.key + queryOf(directives), directives, viewer };
}

type Query = { directives: Directives; viewer: string | null };
const NO_QUERY: Query = { directives: NO_DIRECTIVES, viewer: null };

function parseQuery(query: string): Query | null {
  const directives: Directives = { msn: null, part: null, skip: null };
  let viewer: string | null = null;
  for (const item of query.split('&')) {
    const equals = item.indexOf('=');
    const name = equals === -1 ? item : item.slice(0, equals);
    const value = equals === -1 ? '' : item.slice(equals + 1);
    if (name === 'viewer' && VIEWER.test(value)) viewer = value;
    if (!Object.hasOwn(DIRECTIVES, name)) continue;
    const directive = DIRECTIVES[name as keyof typeof DIRECTIVES];
    if (directives[directive.name] !== null || !directive.pattern.test(value)) return null;
    directives[directive.name] = value;
  }
  return directives.part !== null && directives.msn === null ? null : { directives, viewer };
}

/** The one address of a route. Inverse of parseViewerPath. */
export function pathOf(route: ViewerRoute): string {
  if (route.kind === 'catalog') return '/catalog.json';
  if (route.kind === 'master') return `/${route.playback}.m3u8`;
  if (route.kind === 'mpd') return `/${route.playback}.mpd`;
  if (route.kind === 'info') return `/${route.playback}.json`;
  if (route.kind === 'image') return `/${route.playback}/${route.name}`;
  return `/v/${route.grant}/${route.content}/${route.rendition}/${tailOf(route)}`;
}

function tailOf(route: Extract<ViewerRoute, { grant: string }>): string {
  if (route.kind === 'media-playlist') return 'index.m3u8';
  if (route.kind === 'init') return initUri(route.epoch);
  return route.kind === 'segment'
    ? segmentUri(route.epoch, route.msn, route.writer)
    : partUri(route.epoch, route.msn, route.part, route.writer);
}

/** `?_HLS_msn=..&_HLS_part=..&_HLS_skip=..` in this order, or nothing. */
export function queryOf(directives: Directives): string {
  const items: string[] = [];
  if (directives.msn !== null) items.push(`_HLS_msn=${directives.msn}`);
  if (directives.part !== null) items.push(`_HLS_part=${directives.part}`);
  if (directives.skip !== null) items.push(`_HLS_skip=${directives.skip}`);
  return items.length === 0 ? '' : `?${items.join('&')}`;
}

/** Address at the origin: the grant is the edge's business, origins see public addresses. */
export const originPathOf = (route: ViewerRoute, directives: Directives): string =>
  pathOf('grant' in route ? { ...route, grant: PUBLIC_GRANT } : route) + queryOf(directives);

/** The place in the stream that a playlist request asks for; null: as it is now. `_HLS_skip` alone asks for no place. */
export const askedOf = ({ msn, part }: Directives): Asked | null =>
  msn === null ? null : { msn: Number(msn), part: part === null ? null : Number(part) };

/** Cache key: the path without its grant, and the directives in fixed order. */
export const cacheKeyOf = (route: ViewerRoute, directives: Directives): string =>
  ('grant' in route ? `/v/${route.content}/${route.rendition}/${tailOf(route)}` : pathOf(route)) + queryOf(directives);
