// Requests between roles: kept-alive connections, limits on connect, first byte and idle body. The one file that names undici.
import type { Readable } from 'node:stream';
import { Agent, errors } from 'undici';
import { AppError, messageOf } from './errors.ts';

/** An answer did not come: refused, reset, timed out. `kind` tells which. */
export class UpstreamFailed extends AppError {
  readonly kind: 'refused' | 'reset' | 'timeout' | 'other';
  constructor(kind: UpstreamFailed['kind'], origin: string, options?: ErrorOptions) {
    const why = options?.cause === undefined ? kind : messageOf(options.cause);
    super('UPSTREAM_FAILED', `no answer from ${origin}: ${why}`, { source: 'upstream', retryable: true, ...options });
    this.kind = kind;
  }
}

export type UpstreamRequest = {
  /** Path with query, already made of parsed ids. */
  path: string;
  method?: 'GET' | 'HEAD' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  /** Until the first byte of the answer. Unit: ms. */
  firstByteMs: number;
  /** Between two reads of the body; 0: none. Unit: ms. */
  idleMs: number;
  signal?: AbortSignal;
};
export type UpstreamResponse = {
  status: number;
  headers: Record<string, string>;
  /** Must be read to its end or destroyed. Errors while reading are UpstreamFailed. */
  body: Readable;
};

export interface HttpClient {
  /**
   * @param origin `http://host:port`
   * @throws UpstreamFailed
   */
  request(origin: string, request: UpstreamRequest): Promise<UpstreamResponse>;
  close(): Promise<void>;
}

/** @param connections most connections to one origin; @param connectMs limit of a connect */
export function createHttpClient(connections: number, connectMs: number): HttpClient {
  const agent = new Agent({ connections, connect: { timeout: connectMs }, keepAliveTimeout: 10_000, pipelining: 1 });
  return {
    async request(origin, r) {
      try {
        const answer = await agent.request({
          origin,
          path: r.path,
          method: r.method ?? 'GET',
          headers: r.headers ?? {},
          body: r.body ?? null,
          headersTimeout: r.firstByteMs,
          bodyTimeout: r.idleMs,
          signal: r.signal ?? null,
        });
        // A body that is let go reports that as an error, which nobody is left to hear; whoever reads it hears it all the same.
        answer.body.on('error', () => undefined);
        const flat: Record<string, string> = {};
        for (const [name, value] of Object.entries(answer.headers)) {
          if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
        }
        return { status: answer.statusCode, headers: flat, body: answer.body };
      } catch (thrown) {
        if (r.signal?.aborted) throw thrown;
        throw new UpstreamFailed(kindOf(thrown), origin, { cause: thrown });
      }
    },
    close: () => agent.destroy(),
  };
}

function kindOf(thrown: unknown): UpstreamFailed['kind'] {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : '';
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || thrown instanceof errors.ConnectTimeoutError) return 'refused';
  if (code === 'ECONNRESET' || code === 'EPIPE' || thrown instanceof errors.SocketError) return 'reset';
  if (thrown instanceof errors.HeadersTimeoutError || thrown instanceof errors.BodyTimeoutError) return 'timeout';
  return 'other';
}
