// Simulated viewers. What each asks and when is fixed before the run: an answer that comes late does not make the next one due later.
import { delay } from '../../platform/runtime/waits.ts';
import {
  classic,
  classicPlaylist,
  lowLatency,
  lowLatencyPlaylist,
  newestListed,
  newestPart,
  onDemand,
  partAtMs,
  placeOf,
  type Rung,
} from './live-texts.ts';
import {
  bytesOf,
  contents,
  initPath,
  MASTER_PATH,
  partPath,
  playlistPath,
  segmentPath,
  sha256Of,
  titleContent,
} from './objects.ts';
import { seededRandom, zipf } from './rounds.ts';
import type { Tally, What } from './tally.ts';
import { type Received, ViewerConnection, type Wish } from './viewer-connection.ts';

/** One run that viewers take part in. Times are of the wall clock. Unit: ms. */
export type Run = {
  base: string;
  zeroMs: number;
  endMs: number;
  tally: Tally;
  /** Open ones, closed at the end. */
  connections: Set<ViewerConnection>;
  /** The end: what breaks from now on has been cut by the bench. */
  isOver: boolean;
  /** Of what each viewer draws for itself: every server meets the same viewers, however fast it answers. */
  seed: number;
};

const KEEP: Wish = { body: 'keep', bps: null };
const DROP: Wish = { body: 'drop', bps: null };
const HASH: Wish = { body: 'hash', bps: null };
/** One media body in so many is hashed: all of them would make the client the slowest. */
const HASH_ONE_IN = 500;
/** A player waits this long after an error. Unit: ms. */
const AGAIN_MS = 500;
/** A playlist that is out this long at the end of the run was not answered. Unit: ms. */
const UNANSWERED_MS = 2_000;
/** A playlist may miss a segment that came this short before: it is cached for a second, and a stale one is shown while it is fetched anew. Unit: ms. */
const BEHIND_MS = 2_500;

/** Nobody sleeps beyond the end of the run. */
const sleepUntil = (run: Run, atMs: number): Promise<void> =>
  delay(Math.max(0, Math.min(atMs, run.endMs) - Date.now()));

type Ask = { what: What; path: string; dueMs: number; wish: Wish; lateAfterMs: number | null };

/** @returns null when it failed; noted */
async function ask(run: Run, connection: ViewerConnection, { what, path, dueMs, wish, lateAfterMs }: Ask) {
  try {
    const received = await connection.get(path, wish);
    if (received.status === 200) {
      run.tally.got(what, dueMs, received.bytes, lateAfterMs);
      if (received.sha256 !== null && received.sha256 !== sha256Of(bytesOf(path, received.bytes)))
        run.tally.failed(dueMs, 'other bytes');
      return received;
    }
    run.tally.failed(dueMs, `${what}: status ${received.status}`);
  } catch (thrown) {
    // Cut at the end of the run: a failure only if it should have been answered by then.
    const reason = run.isOver ? 'not answered' : thrown instanceof Error ? thrown.message : 'unknown';
    if (!run.isOver || Date.now() - dueMs > (lateAfterMs ?? UNANSWERED_MS))
      run.tally.failed(dueMs, `${what}: ${reason}`);
  }
  return null;
}

const mediaWish = (): Wish => (Math.random() * HASH_ONE_IN < 1 ? HASH : DROP);

/** Keeps a connection for the length of `work`. */
async function connected(run: Run, viewer: number, work: (connection: ViewerConnection) => Promise<void>) {
  const connection = new ViewerConnection(run.base, viewer);
  run.connections.add(connection);
  try {
    await work(connection);
  } finally {
    run.connections.delete(connection);
    connection.close();
  }
}

/**
 * Classic live: a playlist and a segment every four seconds.
 * @param joinMs first request
 * @param isNew a viewer who has just come asks for master and init too, and for three segments at once
 */
export const watchClassic = (run: Run, viewer: number, rung: Rung, joinMs: number, isNew: boolean): Promise<void> =>
  connected(run, viewer, async (connection) => {
    await sleepUntil(run, joinMs);
    const fetchOf = (what: What, path: string, dueMs: number, wish: Wish) =>
      ask(run, connection, { what, path, dueMs, wish, lateAfterMs: what === 'media' ? classic.segmentMs / 2 : null });
    if (isNew) {
      await fetchOf('playlist', MASTER_PATH, joinMs, DROP);
      await fetchOf('media', initPath(contents.classic, rung), joinMs, DROP);
    }
    let seen: number | null = null;
    for (let dueMs = joinMs; dueMs < run.endMs; dueMs += classic.segmentMs) {
      await sleepUntil(run, dueMs);
      if (run.isOver) return;
      const answer = await fetchOf('playlist', playlistPath(contents.classic, rung), dueMs, KEEP);
      const newest = listed(run, rung, answer, dueMs);
      if (newest === null) continue;
      const from: number = seen === null ? newest - (isNew ? 2 : 0) : seen + 1;
      for (let msn = from; msn <= newest; msn += 1)
        await fetchOf('media', segmentPath(contents.classic, msn, classic.rungs[rung], rung), dueMs, mediaWish());
      seen = newest;
    }
  });

/** The newest segment of an answer; notes one that is too old, or no playlist of the stream. */
function listed(run: Run, rung: Rung, answer: Received | null, dueMs: number): number | null {
  const body = answer?.body ?? null;
  if (body === null) return null;
  const newest = newestListed(body);
  if (newest === null || body.toString('latin1') !== classicPlaylist(rung, newest)) {
    run.tally.failed(dueMs, 'playlist: other bytes');
    return null;
  }
  if ((newest + 2) * classic.segmentMs < dueMs - run.zeroMs - BEHIND_MS) run.tally.sawBehind(dueMs);
  return newest;
}

/** Low latency: all the time one playlist and one part that are still to come. Both are due when the origin has them. */
export async function watchLowLatency(run: Run, viewer: number): Promise<void> {
  const playlist = playlistPath(contents.lowLatency);
  await connected(run, viewer, (list) =>
    connected(run, viewer, async (media) => {
      let next = newestPart(Date.now() - run.zeroMs) + 1;
      while (Date.now() < run.endMs) {
        const { msn, part } = placeOf(next);
        const dueMs = run.zeroMs + partAtMs(next);
        const address = partPath(contents.lowLatency, msn, part, lowLatency.partBytes);
        const shared = async (connection: ViewerConnection, what: What, path: string, wish: Wish) => {
          const received = await ask(run, connection, { what, path, dueMs, wish, lateAfterMs: lowLatency.partMs });
          if (received !== null) run.tally.gotShared(what, next, dueMs);
          return received;
        };
        const [text, bytes] = await Promise.all([
          shared(list, 'playlist', `${playlist}?_HLS_msn=${msn}&_HLS_part=${part}`, KEEP),
          shared(media, 'media', address, mediaWish()),
        ]);
        if (run.isOver) return;
        if (text?.body && !text.body.equals(lowLatencyText(next))) run.tally.failed(dueMs, 'playlist: other bytes');
        if (text === null || bytes === null) await delay(AGAIN_MS);
        // Parts that came while a player waited after an error are in the past.
        next = Math.max(next + 1, newestPart(Date.now() - run.zeroMs));
      }
    }),
  );
}

const texts = new Map<number, Buffer>();

/** Written once for all viewers; the few newest are enough. */
function lowLatencyText(index: number): Buffer {
  const known = texts.get(index);
  if (known !== undefined) return known;
  if (texts.size > 50) texts.clear();
  const made = Buffer.from(lowLatencyPlaylist(index));
  texts.set(index, made);
  return made;
}

/**
 * On demand: titles drawn by popularity, begun anywhere, watched for a while.
 * @param titles how many there are, and the exponent of their popularity
 */
export const watchOnDemand = (
  run: Run,
  viewer: number,
  titles: { count: number; alpha: number },
  joinMs: number,
): Promise<void> =>
  connected(run, viewer, async (connection) => {
    const random = seededRandom(run.seed * 65_537 + viewer);
    const draw = zipf(titles.count, titles.alpha, random);
    const lateAfterMs = onDemand.segmentMs / 2;
    let content = '';
    let [msn, left] = [0, 0];
    for (let dueMs = joinMs; dueMs < run.endMs; dueMs += onDemand.segmentMs) {
      await sleepUntil(run, dueMs);
      if (run.isOver) return;
      if (left === 0) {
        content = titleContent(draw());
        msn = Math.floor(random() * onDemand.segments);
        left = 1 + Math.floor(random() * onDemand.segments);
        await ask(run, connection, {
          what: 'playlist',
          path: playlistPath(content),
          dueMs,
          wish: DROP,
          lateAfterMs: null,
        });
      }
      const path = segmentPath(content, msn, onDemand.segmentBytes);
      await ask(run, connection, { what: 'media', path, dueMs, wish: mediaWish(), lateAfterMs });
      msn = (msn + 1) % onDemand.segments;
      left -= 1;
    }
  });

/** A slow line: one large segment after another, no faster than `bps`. Late: more than a second later than the line allows. */
export const readSlowly = (run: Run, viewer: number, bytes: number, bps: number, joinMs: number): Promise<void> =>
  connected(run, viewer, async (connection) => {
    const nominalMs = (bytes * 8_000) / bps;
    let msn = viewer % onDemand.segments;
    for (let dueMs = joinMs; dueMs < run.endMs; dueMs += nominalMs) {
      await sleepUntil(run, dueMs);
      if (run.isOver) return;
      const path = segmentPath(titleContent(0), msn, bytes);
      await ask(run, connection, {
        what: 'media',
        path,
        dueMs,
        wish: { body: 'drop', bps },
        lateAfterMs: nominalMs + 1_000,
      });
      msn = (msn + 1) % onDemand.segments;
    }
  });
