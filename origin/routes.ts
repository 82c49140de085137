// The origin's HTTP face: viewer addresses to answers, errors to statuses. Other roles only, but for /healthz and /readyz.
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { ObjectMissing } from '../platform/adapters/storage.ts';
import { headers, PUBLIC_GRANT, parseViewerPath, routeKey, type ViewerRoute } from '../platform/contract/routes.ts';
import { formatPosition } from '../platform/contract/timeline.ts';
import { parseDirectives } from '../platform/hls/live-reload.ts';
import { AppError } from '../platform/runtime/errors.ts';
import {
  assignRequestId,
  problemHandler,
  requireInternalSecret,
  sendProblem,
} from '../platform/runtime/http-server.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { healthRoutes, type Readiness } from '../platform/runtime/private-server.ts';
import type { CatalogSource } from './catalog.ts';
import { DASH_TYPE, type Dash } from './dash.ts';
import {
  MediaPending,
  MediaUnknown,
  NotPlayable,
  OriginDraining,
  RangeUnsatisfiable,
  ReloadRefused,
  SignedUnavailable,
  StreamStale,
} from './errors.ts';
import type { Images } from './images.ts';
import type { LiveMedia } from './live-media.ts';
import type { OriginMetrics } from './metrics.ts';
import type { Objects } from './objects.ts';
import type { Owner, PlaybackDirectory, Shown } from './playback.ts';
import type { Playlists } from './playlists.ts';
import { CACHE, CORS, endOf, HLS_TYPE, JSON_TYPE, PREFLIGHT, sendObject, sendText } from './replies.ts';

export type OriginDeps = {
  internalSecret: string;
  log: Logger;
  metrics: OriginMetrics;
  readiness: Readiness;
  directory: Pick<PlaybackDirectory, 'playback' | 'content' | 'playlistOwner'>;
  playlists: Playlists;
  dash: Dash;
  images: Images;
  liveMedia: LiveMedia;
  objects: Objects;
  catalog: CatalogSource;
};

type Route<K extends ViewerRoute['kind']> = Extract<ViewerRoute, { kind: K }>;
type Handler<K extends ViewerRoute['kind']> = (route: Route<K>, req: Request, res: Response) => Promise<void>;
type Handlers = { [K in ViewerRoute['kind']]: Handler<K> };

const UNAVAILABLE_REPORT_MS = 10_000;

/** The express app of the main port. */
export function createOriginApp(deps: OriginDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(assignRequestId, measured(deps.metrics));
  healthRoutes(app, deps.readiness);
  app.use(requireInternalSecret(deps.internalSecret));
  app.use(viewerRoutes(handlersOf(deps)));
  app.use(problems(deps.log), problemHandler(deps.log, statusOf));
  return app;
}

const measured =
  (metrics: OriginMetrics): RequestHandler =>
  (_req, res, next) => {
    const startedAt = performance.now();
    res.set(CORS);
    endOf(res).addEventListener('abort', () => {
      const kind = String(res.locals['kind'] ?? 'other');
      metrics.requests.add({ kind, status: String(res.statusCode) });
      metrics.seconds.observe((performance.now() - startedAt) / 1_000, { kind });
    });
    next();
  };

const viewerRoutes =
  (handlers: Handlers): RequestHandler =>
  async (req, res) => {
    if (req.method === 'OPTIONS') {
      res.set(PREFLIGHT).status(204).end();
      return;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.set({ allow: 'GET, HEAD, OPTIONS', 'cache-control': CACHE.never });
      sendProblem(res, 405, 'Method Not Allowed', 'METHOD_NOT_ALLOWED', ['viewers read: GET or HEAD']);
      return;
    }
    const route = parseViewerPath(req.path);
    if (route === null) throw new MediaUnknown('such address');
    res.locals['kind'] = route.kind;
    await (handlers[route.kind] as Handler<ViewerRoute['kind']>)(route, req, res);
  };

function handlersOf(deps: OriginDeps): Handlers {
  const { directory, playlists, dash, images, liveMedia, objects, catalog } = deps;
  const shownAt = async (route: Route<'master' | 'mpd' | 'info' | 'image'>): Promise<Shown> => {
    const shown = await directory.playback(route.playback);
    if (shown === null) throw new MediaUnknown('such playback id');
    if (shown.policy !== 'public') throw new SignedUnavailable();
    return shown;
  };
  const opened = (owner: Owner | null, grant: string): Owner => {
    if (owner === null) throw new MediaUnknown('such content');
    if (owner.policy !== 'public' || grant !== PUBLIC_GRANT) throw new SignedUnavailable();
    return owner;
  };
  const media = async (route: Route<'init' | 'segment' | 'part'>, req: Request, res: Response): Promise<void> => {
    const owner = opened(await directory.content(route.content), route.grant);
    const isRunning = owner.kind === 'broadcast' && owner.broadcast.status !== 'ended';
    const live = isRunning ? await liveMedia.locate(owner.broadcast, route, endOf(res)) : undefined;
    const type = route.rendition.startsWith('a') ? 'audio/mp4' : 'video/mp4';
    const reply = { key: routeKey(route), type, cache: CACHE.media, policy: owner.policy };
    try {
      await sendObject(req, res, objects, live === undefined ? reply : { ...reply, live });
    } catch (thrown) {
      if (!(thrown instanceof ObjectMissing)) throw thrown;
      // A worker that went before it could store what it had named: the next one on its disk stores it.
      const mayCome =
        (live?.holder ?? null) !== null ||
        (await playlists.mayCome(owner, route.epoch, route.kind === 'init' ? 0 : route.msn));
      throw mayCome
        ? new MediaPending(`this ${route.kind}`, { cause: thrown })
        : new MediaUnknown(`such ${route.kind}`);
    }
  };
  return {
    async master(route, req, res) {
      const { text, kind, policy } = await playlists.master(await shownAt(route));
      sendText(req, res, { text, type: HLS_TYPE, cache: kind === 'live' ? CACHE.live : CACHE.videoMaster, policy });
    },
    async info(route, req, res) {
      const shown = await shownAt(route);
      const text = JSON.stringify(await playlists.info(route.playback, shown));
      sendText(req, res, { text, type: JSON_TYPE, cache: CACHE.info, policy: shown.policy });
    },
    async mpd(route, req, res) {
      const { text, kind, policy } = await dash.manifest(await shownAt(route));
      sendText(req, res, { text, type: DASH_TYPE, cache: kind === 'live' ? CACHE.live : CACHE.videoMaster, policy });
    },
    async image(route, req, res) {
      const shown = await shownAt(route);
      const { policy } = shown;
      const found = await images.find(shown, route.name);
      if ('text' in found) sendText(req, res, { ...found, policy });
      else await sendObject(req, res, objects, { ...found, policy });
    },
    async 'media-playlist'(route, req, res) {
      const query = new URL(req.originalUrl, 'http://origin').searchParams;
      const directives = parseDirectives((name) => query.get(name));
      if (directives === null) throw new ReloadRefused('_HLS_msn and _HLS_part are numbers, _HLS_skip is YES or v2');
      const owner = opened(await directory.playlistOwner(route.content), route.grant);
      const request = { rendition: route.rendition, directives, signal: endOf(res) };
      const { text, kind, policy, position } = await playlists.media(owner, request);
      const extra = position === null ? {} : { [headers.position]: formatPosition(position) };
      sendText(req, res, { text, type: HLS_TYPE, cache: MEDIA_PLAYLIST_CACHE[kind], policy, extra });
    },
    init: media,
    segment: media,
    part: media,
    async catalog(_route, req, res) {
      const text = JSON.stringify(await catalog());
      sendText(req, res, { text, type: JSON_TYPE, cache: CACHE.catalog, policy: 'public' });
    },
  };
}

const MEDIA_PLAYLIST_CACHE = { live: CACHE.live, reload: CACHE.liveReload, video: CACHE.videoMedia } as const;

function statusOf(error: AppError): number {
  if (error instanceof ReloadRefused) return 400;
  if (error instanceof MediaUnknown || error instanceof NotPlayable || error instanceof ObjectMissing) return 404;
  if (error instanceof SignedUnavailable) return 403;
  if (error instanceof RangeUnsatisfiable) return 416;
  return error.source === 'upstream' || error.retryable ? 503 : 500;
}

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  416: 'Range Not Satisfiable',
  503: 'Service Unavailable',
};

/** What may be answered to others for a moment: that there is nothing here, or that nobody may see it. */
const isBriefly = (status: number): boolean => status === 403 || status === 404;

/** Expected errors with the headers that edges and players read; the rest goes on to the problem handler, which logs it. */
function problems(log: Logger): ErrorRequestHandler {
  let unavailable = 0;
  let reportedAt = Number.NEGATIVE_INFINITY;
  return (thrown: unknown, _req, res, next) => {
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    for (const name of ['content-type', 'content-length', 'etag']) res.removeHeader(name);
    const status = thrown instanceof AppError ? statusOf(thrown) : 500;
    res.set('cache-control', isBriefly(status) ? CACHE.problem : CACHE.never);
    if (!(thrown instanceof AppError) || status === 500) {
      next(thrown);
      return;
    }
    if (thrown instanceof NotPlayable) res.set(headers.state, thrown.state);
    if (thrown instanceof SignedUnavailable) res.set(headers.policy, 'signed');
    // The listener is about to close: a connection kept alive would hold it up.
    if (thrown instanceof OriginDraining) res.set('connection', 'close');
    if (thrown instanceof RangeUnsatisfiable) res.set('content-range', `bytes */${thrown.bytes}`);
    if (status === 503) {
      res.set('retry-after', '1');
      const isOneStream = thrown instanceof MediaPending || thrown instanceof StreamStale;
      if (isOneStream) res.set(headers.scope, 'stream');
      unavailable += 1;
      if (performance.now() - reportedAt > UNAVAILABLE_REPORT_MS) {
        log.warn('requests unavailable', { requests: unavailable, err: thrown });
        reportedAt = performance.now();
        unavailable = 0;
      }
    }
    sendProblem(res, status, TITLES[status] ?? 'Error', thrown.code, [thrown.message]);
  };
}
