// A body that survives its origin: when it breaks off, the rest comes by Range from another origin, under the same strong ETag only.
import { BodyBroken } from './errors.ts';
import type { Headers } from './messages.ts';
import type { OriginRequest, StreamedAnswer, Upstream } from './upstream.ts';

const MAX_RESUMES = 6;
const STRONG_ETAG = /^"[\x21\x23-\x7e]*"$/;

/**
 * The bytes of a streamed answer, exactly `length` of them, or an error: never padded, never more.
 * @param answer of `request`, with a streamed body
 * @param resumed called for each continuation
 * @throws BodyBroken when no origin can go on with the same object
 */
export async function* resumingBody(
  upstream: Upstream,
  request: OriginRequest,
  answer: StreamedAnswer,
  resumed: () => void,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { length } = answer.body;
  const first = request.range?.from ?? 0;
  let got = 0;
  let source = answer.body.stream;
  let { origin } = answer;
  for (let resumes = 0; ; resumes += 1) {
    let cause: unknown = new Error(`ended after ${got} of ${length} bytes`);
    try {
      for await (const chunk of source) {
        got += chunk.length;
        if (got > length) throw new BodyBroken(`more than ${length} bytes came`);
        yield chunk;
      }
    } catch (thrown) {
      if (signal.aborted || thrown instanceof BodyBroken) throw thrown;
      cause = thrown;
    }
    if (got === length) return;
    upstream.broke(request.kind, origin, cause);
    if (resumes >= MAX_RESUMES) throw new BodyBroken(`broke off ${resumes + 1} times`, { cause });
    const next = await continueFrom(upstream, request, answer.headers, first + got, first + length - 1, signal);
    source = next.body.stream;
    origin = next.origin;
    resumed();
  }
}

async function continueFrom(
  upstream: Upstream,
  request: OriginRequest,
  firstHeaders: Headers,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<StreamedAnswer> {
  const etag = firstHeaders['etag'];
  if (etag === undefined || !STRONG_ETAG.test(etag)) throw new BodyBroken('it has no strong ETag to go on under');
  const range = new RegExp(`^bytes ${from}-${to}/(?:\\d+|\\*)$`);
  const next = await upstream.fetch(
    {
      ...request,
      ifNoneMatch: null,
      range: { from, to },
      hold: null,
      refuses: (status, headers) =>
        status === 206 && headers['etag'] === etag && range.test(headers['content-range'] ?? '') ? null : 'mismatch',
    },
    signal,
  );
  if (Buffer.isBuffer(next.body)) throw new BodyBroken('the rest came without a length');
  if (next.body.length !== to - from + 1) {
    next.body.discard();
    throw new BodyBroken('the rest has another length');
  }
  return { ...next, body: next.body };
}
