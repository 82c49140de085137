// Security headers of the viewers' pages: scripts from this edge alone, media from the edges alone.
import type { Headers } from './messages.ts';

/**
 * @param edges public base addresses of all edges; what is no http(s) address is left out
 * @param mayBeFramed embed pages may stand in any site, all others in none
 */
export function pageHeaders(edges: readonly string[], mayBeFramed: boolean): Headers {
  const sources = ["'self'", ...new Set(edges.flatMap(originOf))].join(' ');
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    `img-src ${sources} data:`,
    `connect-src ${sources}`,
    `media-src ${sources} blob:`,
    "font-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${mayBeFramed ? '*' : "'none'"}`,
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'strict-origin-when-cross-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=()',
    ...(mayBeFramed ? {} : { 'x-frame-options': 'DENY' }),
  };
}

function originOf(url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { protocol, origin } = new URL(url);
  return protocol === 'http:' || protocol === 'https:' ? [origin] : [];
}
