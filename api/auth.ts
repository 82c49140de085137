// Who may call the API: Basic token auth, compared in constant time.
import type { RequestHandler } from 'express';
import { secretsEqual } from '../platform/runtime/http-server.ts';
import { TokenRefused } from './errors.ts';

/** `id:secret` from an Authorization header; empty when it is none. */
export function tokenIn(header: string | undefined): string {
  const encoded = /^Basic ([A-Za-z0-9+/=_-]{1,512})$/i.exec(header ?? '')?.[1];
  return encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
}

/**
 * Lets the administrator pass.
 * Pages call with fetch (`Sec-Fetch-Dest: empty`): for them the challenge is not named Basic, or the browser would open its own dialog.
 */
export const requireToken =
  (adminToken: string): RequestHandler =>
  (req, res, next) => {
    if (secretsEqual(tokenIn(req.get('authorization')), adminToken)) {
      next();
      return;
    }
    const scheme = req.get('sec-fetch-dest') === 'empty' ? 'Token' : 'Basic';
    res.set('www-authenticate', `${scheme} realm="headwater", charset="UTF-8"`);
    next(new TokenRefused());
  };
