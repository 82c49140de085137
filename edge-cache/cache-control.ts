// What an origin's headers allow a shared cache, in numbers. Source: RFC 9111, sections 4.2 and 5.2; RFC 9213 (CDN-Cache-Control);
// RFC 5861 (stale-while-revalidate, stale-if-error).
import type { Headers } from './messages.ts';

/** Unit of all times: ms. */
export type CacheTerms = {
  /** Freshness left when the answer arrived; not above 0: it was stale then. */
  freshMs: number;
  /** What the answer had spent in caches before this one. */
  ageMs: number;
  /** What the origin says of stale answers; null: nothing. */
  staleWhileRevalidateMs: number | null;
  staleIfErrorMs: number | null;
  /** must-revalidate, proxy-revalidate or s-maxage: never shown stale, whatever happens (RFC 9111, 5.2.2.2, 5.2.2.8, 5.2.2.10). */
  isStrict: boolean;
};

/** Larger numbers say "for ever" (RFC 9111, 1.2.2). */
const MOST_S = 2 ** 31 - 1;

/** Directive names in lower case; of a repeated one the first (RFC 9111, 4.2.1). */
type Directives = Map<string, string | true>;

/**
 * Terms under which an answer may be kept.
 * @returns null: it must not be, or nothing says for how long; no freshness is guessed
 */
export function cacheTermsOf(headers: Headers): CacheTerms | null {
  const targeted = parseTargeted(headers['cdn-cache-control']);
  const directives = targeted ?? parseCacheControl(headers['cache-control']);
  if (directives.has('no-store') || directives.has('private') || directives.has('no-cache')) return null;
  const lifetimeS = lifetimeOf(directives, targeted === null ? headers : {});
  if (lifetimeS === null) return null;
  const ageMs = 1_000 * (secondsOf(headers['age']) ?? 0);
  return {
    freshMs: 1_000 * lifetimeS - ageMs,
    ageMs,
    staleWhileRevalidateMs: msOf(directives.get('stale-while-revalidate')),
    staleIfErrorMs: msOf(directives.get('stale-if-error')),
    isStrict: ['must-revalidate', 'proxy-revalidate', 's-maxage'].some((name) => directives.has(name)),
  };
}

/** s-maxage, max-age, or Expires against Date; a value that is no number is 0: stale at once (RFC 9111, 4.2.1). */
function lifetimeOf(directives: Directives, headers: Headers): number | null {
  const given = directives.get('s-maxage') ?? directives.get('max-age');
  if (given !== undefined) return given === true ? 0 : (secondsOf(given) ?? 0);
  const { expires, date } = headers;
  if (expires === undefined || date === undefined) return expires === undefined ? null : 0;
  const spanMs = Date.parse(expires) - Date.parse(date);
  return Number.isNaN(spanMs) ? 0 : Math.min(MOST_S, Math.max(0, Math.floor(spanMs / 1_000)));
}

const secondsOf = (text: string | undefined): number | null =>
  text !== undefined && /^\d+$/.test(text.trim()) ? Math.min(MOST_S, Number(text.trim())) : null;

function msOf(value: string | true | undefined): number | null {
  const seconds = typeof value === 'string' ? secondsOf(value) : null;
  return seconds === null ? null : 1_000 * seconds;
}

const DIRECTIVE = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?\s*(?:,|$)/y;

/** Items that are none are left out: what follows them still counts. */
function parseCacheControl(text = ''): Directives {
  const directives: Directives = new Map();
  let at = 0;
  while (at < text.length) {
    DIRECTIVE.lastIndex = at;
    const match = DIRECTIVE.exec(text);
    if (match === null) {
      const comma = text.indexOf(',', at);
      at = comma === -1 ? text.length : comma + 1;
      continue;
    }
    at = DIRECTIVE.lastIndex;
    const name = (match[1] ?? '').toLowerCase();
    if (!directives.has(name)) directives.set(name, match[2]?.replaceAll(/\\(.)/g, '$1') ?? match[3] ?? true);
  }
  return directives;
}

/** One member of a dictionary: key, then a boolean, number, token or string, then parameters that mean nothing here (RFC 8941, 3.2). */
const MEMBER =
  /^([a-z*][a-z0-9_.*-]*)(?:=(\?[01]|-?\d{1,15}(?:\.\d{1,3})?|[A-Za-z*][!#$%&'*+.^_`|~:/0-9A-Za-z-]*|"(?:[^"\\]|\\["\\])*"))?(?:;[ a-z0-9_.*=?";-]*)?$/;

/** RFC 9213, 2.1: a structured dictionary that rules alone. @returns null: absent, empty or broken; Cache-Control counts then */
function parseTargeted(text: string | undefined): Directives | null {
  if (text === undefined || text.trim() === '') return null;
  const directives: Directives = new Map();
  for (const member of text.split(',')) {
    const match = MEMBER.exec(member.trim());
    if (match === null) return null;
    const [, name = '', value] = match;
    // A dictionary keeps the last of a repeated key; `?0` says that the directive is not meant.
    if (value === '?0') directives.delete(name);
    else directives.set(name, value === undefined || value === '?1' ? true : value);
  }
  return directives;
}
