// What ends one try at an origin before its answer does: the request's own end, the origin's death, a first byte that does not come.

export type Watch = {
  signal: AbortSignal;
  /** The head is here: no limit any more. */
  answered(): void;
  /** Why the try was ended though the request goes on. */
  ended(): 'late' | 'out' | null;
  /** The try is over. A body that still streams goes on to end with the request. */
  end(isStreaming: boolean): void;
};

/**
 * @param request ends the try, and its body
 * @param out aborts when health checks find the origin gone: nobody waits for a frozen process; null: it is not waited for that long
 * @param limitMs until the head. A timer of its own, because the client library's are half a second late. Unit: ms
 */
export function watchOver(request: AbortSignal, out: AbortSignal | null, limitMs: number): Watch {
  // Not AbortSignal.any: it leaves something behind in the long-lived signal for each request.
  const either = new AbortController();
  let why: 'late' | 'out' | null = null;
  const end = (reason: typeof why) => () => {
    if (either.signal.aborted) return;
    why = reason;
    either.abort();
  };
  const [onRequest, onOut] = [end(null), end('out')];
  const timer = setTimeout(end('late'), limitMs);
  if (request.aborted) onRequest();
  else request.addEventListener('abort', onRequest, { once: true });
  if (out?.aborted) onOut();
  else out?.addEventListener('abort', onOut, { once: true });
  return {
    signal: either.signal,
    answered: () => clearTimeout(timer),
    ended: () => why,
    end(isStreaming) {
      clearTimeout(timer);
      out?.removeEventListener('abort', onOut);
      if (!isStreaming) request.removeEventListener('abort', onRequest);
    },
  };
}
