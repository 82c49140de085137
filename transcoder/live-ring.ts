// Reads a broadcast's ring from whichever ingest node has the publisher: one unbroken run of frames over reconnects and moves.
import type { BroadcastId, SessionId } from '../platform/contract/ids.ts';
import { RING_KINDS, RingDecoder, type RingFrame } from '../platform/contract/ring.ts';
import { headers } from '../platform/contract/routes.ts';
import type { HttpClient, UpstreamResponse } from '../platform/runtime/http-client.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { backoffMs, delay } from '../platform/runtime/waits.ts';

/** Where to begin (contract/ring.ts). `ts` in ms of the FLV clock. */
export type RingPlace =
  | { from: 'start' | 'live' }
  | { session: SessionId; tag: number }
  | { session: SessionId; ts: number };

/** Base address of an ingest node; `away`: none is known at the moment; `over`: the broadcast needs no worker any more. */
export type RingHome = { url: string } | 'away' | 'over';

export type RingDeps = {
  broadcast: BroadcastId;
  secret: string;
  http: HttpClient;
  /** Looked up before each connection. `failures`: tries in a row that found no ring. */
  locate(failures: number): Promise<RingHome>;
  log: Logger;
};

const FIRST_BYTE_MS = 3_000;
/** A silent ring is asked again this often: a host that died without a word is noticed. */
const IDLE_MS = 5_000;

const queryOf = (place: RingPlace): string => {
  if ('from' in place) return `from=${place.from}`;
  return 'tag' in place
    ? `session=${place.session}&tag=${place.tag}`
    : `session=${place.session}&ts=${Math.max(0, Math.floor(place.ts))}`;
};

/**
 * Frames from `start` on, until the broadcast is over (then it returns) or `signal` aborts. Yields `lost` when the ring no longer holds
 * the place; what follows begins at the oldest key frame that it holds.
 */
export async function* readRing(
  start: RingPlace,
  deps: RingDeps,
  signal: AbortSignal,
): AsyncGenerator<RingFrame | 'lost', void, undefined> {
  let place = start;
  let failures = 0;
  while (!signal.aborted) {
    const home = await deps.locate(failures);
    if (home === 'over') return;
    const answer = home === 'away' ? null : await ask(home.url, place, deps, signal);
    if (answer?.status === 410 && !('from' in place)) {
      answer.body.destroy();
      yield 'lost';
      place = { from: 'start' };
      continue;
    }
    if (answer?.status === 200) {
      failures = 0;
      for await (const frame of framesOf(answer, deps.log, signal)) {
        if (frame.kind === RING_KINDS.end) return;
        place = placeAfter(place, frame);
        yield frame;
      }
    } else {
      answer?.body.destroy();
      if (home !== 'away') failures += 1;
    }
    await delay(backoffMs(home === 'away' ? 2 : failures, 100, 1_000), signal);
  }
}

/** Where to go on after this frame. Headers that the ring repeats carry old numbers: the place never moves back inside a session. */
function placeAfter(place: RingPlace, frame: RingFrame): RingPlace {
  if (frame.kind === RING_KINDS.session) {
    const session = Buffer.from(frame.payload).toString('utf8') as SessionId;
    return 'session' in place && place.session === session ? place : { session, tag: 0 };
  }
  if (!('session' in place)) return place;
  const next = frame.tag + 1;
  return { session: place.session, tag: 'tag' in place ? Math.max(place.tag, next) : next };
}

async function ask(
  url: string,
  place: RingPlace,
  deps: RingDeps,
  signal: AbortSignal,
): Promise<UpstreamResponse | null> {
  try {
    return await deps.http.request(url, {
      path: `/ring/${deps.broadcast}?${queryOf(place)}`,
      headers: { [headers.internal]: deps.secret },
      firstByteMs: FIRST_BYTE_MS,
      idleMs: IDLE_MS,
      signal,
    });
  } catch (thrown) {
    if (!signal.aborted) deps.log.debug('ring does not answer', { err: thrown });
    return null;
  }
}

/** Frames of one answer; a broken body ends it, the caller asks again. */
async function* framesOf(answer: UpstreamResponse, log: Logger, signal: AbortSignal): AsyncGenerator<RingFrame> {
  const decoder = new RingDecoder();
  // A silent ring would keep an aborted reader waiting.
  const leave = () => answer.body.destroy();
  signal.addEventListener('abort', leave, { once: true });
  try {
    for await (const chunk of answer.body) yield* decoder.push(chunk as Uint8Array);
  } catch (thrown) {
    if (!signal.aborted) log.debug('ring connection broke', { err: thrown });
  } finally {
    signal.removeEventListener('abort', leave);
    answer.body.destroy();
  }
}
