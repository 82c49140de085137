// Viewer addresses: parsed into ids at the door of edge and origin, never turned into a path. What does not parse is 404.
import { ContentId, PlaybackId, RenditionName, WriterTag } from './ids.ts';
import { initKey, type ObjectKey, partKey, segmentKey } from './object-keys.ts';

export type ViewerRoute =
  | { kind: 'master'; playback: PlaybackId }
  /** MPEG-DASH manifest over the same objects. */
  | { kind: 'mpd'; playback: PlaybackId }
  /** What the player page asks first: PlaybackInfo as JSON. */
  | { kind: 'info'; playback: PlaybackId }
  /** `thumbnail.jpg`, `poster.jpg`, `storyboard.vtt` or `storyboard-{n}.jpg` of an asset or stream. */
  | { kind: 'image'; playback: PlaybackId; name: string }
  | { kind: 'media-playlist'; grant: string; content: ContentId; rendition: RenditionName }
  | { kind: 'init'; grant: string; content: ContentId; rendition: RenditionName; epoch: number }
  | {
      kind: 'segment';
      grant: string;
      content: ContentId;
      rendition: RenditionName;
      epoch: number;
      msn: number;
      writer: WriterTag;
    }
  | {
      kind: 'part';
      grant: string;
      content: ContentId;
      rendition: RenditionName;
      epoch: number;
      msn: number;
      part: number;
      writer: WriterTag;
    }
  /** Public live streams and videos, for the home page: Catalog as JSON. */
  | { kind: 'catalog' };

/** Address of the catalog on edges and origins. */
export const CATALOG_PATH = '/catalog.json';
/** Grant of public content. */
export const PUBLIC_GRANT = '-';

const PLAYBACK =
  /^\/([A-Za-z0-9]{16,40})(?:\.(m3u8|mpd|json)|\/(thumbnail\.jpg|poster\.jpg|storyboard\.vtt|storyboard-\d{1,5}\.jpg))$/;
const MEDIA = /^\/v\/(-|[A-Za-z0-9_-]{16,200})\/([A-Za-z0-9]{16,40})\/([vat][0-9]{1,5})\/(.{1,80})$/;
const TAIL =
  /^(\d{1,9})\/(?:(init)\.mp4|s(\d{1,12})\.([a-z0-9]{4,16})\.m4s|p(\d{1,12})\.(\d{1,6})\.([a-z0-9]{4,16})\.m4s)$/;

/**
 * Parses the path of a viewer's request (no query) into ids.
 * @returns null when it is no viewer address: answer 404. Percent signs, `..` and the like never parse.
 */
export function parseViewerPath(path: string): ViewerRoute | null {
  if (path === CATALOG_PATH) return { kind: 'catalog' };
  const playback = PLAYBACK.exec(path);
  if (playback) return playbackRoute(playback);
  const media = MEDIA.exec(path);
  if (!media) return null;
  const [, grant = '', content, rendition, tail = ''] = media;
  const name = RenditionName.safeParse(rendition);
  if (!name.success) return null;
  const base = { grant, content: ContentId.parse(content), rendition: name.data };
  if (tail === 'index.m3u8') return { kind: 'media-playlist', ...base };
  return mediaRoute(base, TAIL.exec(tail));
}

function playbackRoute(match: RegExpExecArray): ViewerRoute {
  const playback = PlaybackId.parse(match[1]);
  if (match[2] === 'm3u8') return { kind: 'master', playback };
  if (match[2] === 'mpd') return { kind: 'mpd', playback };
  if (match[2] === 'json') return { kind: 'info', playback };
  return { kind: 'image', playback, name: match[3] ?? 'thumbnail.jpg' };
}

type MediaBase = { grant: string; content: ContentId; rendition: RenditionName };

function mediaRoute(base: MediaBase, tail: RegExpExecArray | null): ViewerRoute | null {
  if (!tail) return null;
  const epoch = Number(tail[1]);
  if (tail[2]) return { kind: 'init', ...base, epoch };
  if (tail[3]) return { kind: 'segment', ...base, epoch, msn: Number(tail[3]), writer: WriterTag.parse(tail[4]) };
  return {
    kind: 'part',
    ...base,
    epoch,
    msn: Number(tail[5]),
    part: Number(tail[6]),
    writer: WriterTag.parse(tail[7]),
  };
}

/** Key of the immutable object behind a media route. */
export function routeKey(route: Extract<ViewerRoute, { kind: 'init' | 'segment' | 'part' }>): ObjectKey {
  if (route.kind === 'init') return initKey(route);
  return route.kind === 'segment' ? segmentKey(route) : partKey(route);
}

/** On a transcoder's private listener, internal secret required: an object that could not be stored yet. */
export const workerObjectPath = (key: ObjectKey): string => `/spool/${key}`;

export const watchPath = (playback: string): string => `/watch/${playback}`;
export const embedPath = (playback: string): string => `/embed/${playback}`;
export const mediaPlaylistPath = (content: string, rendition: string, grant: string = PUBLIC_GRANT): string =>
  `/v/${grant}/${content}/${rendition}/index.m3u8`;

/**
 * Stands in for the writer in the address of media that does not exist: gaps, and the hint after one. Nobody shall wait for it.
 */
export const NO_WRITER = 'none';

/** Relative to a media playlist. */
export const initUri = (epoch: number): string => `${epoch}/init.mp4`;
export const segmentUri = (epoch: number, msn: number, writer: string): string => `${epoch}/s${msn}.${writer}.m4s`;
export const partUri = (epoch: number, msn: number, part: number, writer: string): string =>
  `${epoch}/p${msn}.${part}.${writer}.m4s`;

/** Response headers between origin, edge and player. */
export const headers = {
  /** `public` or `signed`: kept by the edge with the object. */
  policy: 'headwater-policy',
  /** Position of a live playlist: an edge treats one behind what it served as a failed origin. */
  position: 'headwater-position',
  /** `stream` on a 503 that concerns one stream only: never counts against the origin's health. */
  scope: 'headwater-scope',
  /** On a 404 of a known playback id: `waiting`, `ended`, `preparing`, `errored`. */
  state: 'headwater-state',
  /** Secret of internal routes: ring, worker and origin ports. */
  internal: 'headwater-internal',
  requestId: 'x-request-id',
} as const;
