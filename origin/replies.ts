// How an origin's answers look on the wire: validators, CORS, cache times, ranges, and a status for each error.
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import type { PlaybackPolicy } from '../platform/contract/records.ts';
import { headers } from '../platform/contract/routes.ts';
import { keyETag, type LiveObject, type Objects } from './objects.ts';

/** Cache-Control of each kind of answer. */
export const CACHE = {
  live: 'public, max-age=1',
  /** A live playlist as of the place that was asked for: it never changes, and nobody asks for long. */
  liveReload: 'public, max-age=12',
  videoMaster: 'public, max-age=5',
  videoMedia: 'public, max-age=30',
  info: 'public, max-age=1',
  catalog: 'public, max-age=2',
  image: 'public, max-age=60',
  media: 'public, max-age=31536000, immutable',
  problem: 'public, max-age=1',
  never: 'no-store',
} as const;

export const HLS_TYPE = 'application/vnd.apple.mpegurl';
export const JSON_TYPE = 'application/json; charset=utf-8';

export const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Age, Headwater-Position, X-Cache, Content-Length, Content-Range, ETag',
} as const;
export const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, OPTIONS',
  'access-control-allow-headers': 'Range, If-None-Match, If-Range, X-Request-Id',
  'access-control-max-age': '86400',
} as const;

/** A text ready to be sent, however often; the ETag is made from it, so equal texts agree over origins. */
export type PreparedText = { body: Buffer; etag: string };

export function prepareText(text: string): PreparedText {
  const body = Buffer.from(text, 'utf8');
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 24)}"` };
}

export type TextReply = {
  text: string | PreparedText;
  type: string;
  cache: string;
  policy: PlaybackPolicy;
  /** Further headers. */
  extra?: Record<string, string>;
};

/** Answers a text with its ETag; 304 when the caller holds it. */
export function sendText(req: Request, res: Response, reply: TextReply): void {
  const { body, etag } = typeof reply.text === 'string' ? prepareText(reply.text) : reply.text;
  res.set({ 'cache-control': reply.cache, [headers.policy]: reply.policy, etag, ...reply.extra });
  if (matches(req.get('if-none-match'), etag)) {
    res.status(304).end();
    return;
  }
  res.set({ 'content-type': reply.type, 'content-length': String(body.byteLength) });
  res.status(200).end(req.method === 'HEAD' ? undefined : body);
}

const left = new WeakMap<Response, AbortSignal>();

/** Aborts when the answer is finished or the caller has left: one signal for each answer, for all who want to know. */
export function endOf(res: Response): AbortSignal {
  const known = left.get(res);
  if (known !== undefined) return known;
  const ending = new AbortController();
  res.once('close', () => ending.abort());
  left.set(res, ending.signal);
  return ending.signal;
}

export type ObjectReply = {
  key: ObjectKey;
  type: string;
  cache: string;
  policy: PlaybackPolicy;
  /** Where else it may be, for media of a running broadcast. */
  live?: LiveObject;
};

/**
 * Streams an immutable object: whole, or the one range asked for. The body's own failure cuts the connection, so that the
 * caller sees it is short.
 * @throws what Objects.open throws, before anything is sent
 */
export async function sendObject(req: Request, res: Response, objects: Objects, reply: ObjectReply): Promise<void> {
  const etag = keyETag(reply.key);
  const common = { etag, 'cache-control': reply.cache, [headers.policy]: reply.policy, 'accept-ranges': 'bytes' };
  if (matches(req.get('if-none-match'), etag)) {
    res.set(common).status(304).end();
    return;
  }
  const signal = endOf(res);
  const ifRange = req.get('if-range');
  const answer = await objects.open({
    key: reply.key,
    isHead: req.method === 'HEAD',
    range: ifRange === undefined || ifRange === etag ? req.get('range') : undefined,
    signal,
    ...(reply.live === undefined ? {} : { live: reply.live }),
  });
  const { range } = answer;
  res.set({
    ...common,
    'content-type': reply.type,
    'content-length': String(range === null ? answer.bytes : range.last - range.first + 1),
  });
  if (range !== null) res.set('content-range', `bytes ${range.first}-${range.last}/${answer.bytes}`);
  res.status(range === null ? 200 : 206);
  if (answer.body === null) res.end();
  else if (signal.aborted) answer.body.destroy();
  else await pipeline(answer.body, res);
}

/** Weak comparison of If-None-Match (RFC 9110, 13.1.2). */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const given = ifNoneMatch.split(',').map((item) => item.trim().replace(/^W\//, ''));
  return given.includes('*') || given.includes(etag);
}
