// Many low-latency viewers behind a plain round robin: every request of a viewer goes to the next edge, nothing is sticky.
import { delay } from '../../platform/runtime/waits.ts';
import { publish } from './media.ts';
import { type Platform, startPlatform } from './platform.ts';
import { createRawClient, type RawClient } from './raw-http.ts';
import { type RequestCounter, startRequestCounter } from './request-counter.ts';
import { createStream, fetchMaster, waitUntilLive } from './story.ts';

export type BlockedViewersResult = {
  viewers: number;
  seconds: number;
  playlists: number;
  parts: number;
  bytes: number;
  /** Viewers' requests that got no 200, with their address. */
  failures: string[];
  /** Least and most parts that one rendition of one viewer got. */
  fewestParts: number;
  mostParts: number;
  /** Keys that an edge asked its origins for more than once: `edge 0: 2 x /v/...`. */
  askedAgain: string[];
  /** Addresses that two viewers asked for together and got different texts from. */
  differing: string[];
  /** Upstream requests that got no 2xx or 3xx, with status and key. */
  upstreamFailures: string[];
  /** Upstream requests of both edges, and different keys among them. */
  upstream: number;
  keys: number;
  /** From the first viewer's answer to the last one's, for one place of the stream and one way to ask. Unit: ms. */
  fanOutP50Ms: number;
  fanOutP99Ms: number;
};

export type BlockedWorld = { platform: Platform; counters: RequestCounter[]; playback: string; stop(): Promise<void> };

/** A platform on air with one small stream of the profile `default`, and a counter before each origin. */
export async function startBlockedWorld(): Promise<BlockedWorld> {
  const counters = [await startRequestCounter(), await startRequestCounter()];
  const platform = await startPlatform({
    storage: 'fs',
    env: {
      HEADWATER_ORIGINS: counters.map((counter) => counter.url).join(','),
      HEADWATER_TRANSCODERS: '1',
      HEADWATER_TRANSCODER_LIVE_MAX_RUNGS: '1',
      HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
    },
  });
  const origins = platform.state().processes.filter((item) => item.role === 'origin');
  counters.forEach((counter, index) => {
    counter.target = origins[index]?.url ?? '';
  });
  const stream = await createStream(platform);
  const publisher = publish(stream.address, 'numbered', { size: '320:180' });
  const stop = async () => {
    await publisher.stop();
    await platform.stop();
    for (const counter of counters) await counter.close();
  };
  // What is not on air would run on with nobody to stop it.
  await waitUntilLive(platform.edges[0] ?? '', stream.playback).catch(async (thrown) => {
    await stop();
    throw thrown;
  });
  return { platform, counters, playback: stream.playback, stop };
}

type Run = {
  clients: RawClient[];
  next: number;
  endMs: number;
  result: BlockedViewersResult;
  /** By address with query. */
  answered: Map<string, Parsed>;
};

/** Who is answered this long after the first one did not wait together with it. Unit: ms. */
const TOGETHER_MS = 2_000;
const PART = /#EXT-X-PART:[^\n]*?URI="(\d+\/p(\d+)\.(\d+)\.[a-z0-9]+\.m4s)"[^\n]*/g;
const HINT = /#EXT-X-PRELOAD-HINT:TYPE=PART,URI="\d+\/p(\d+)\.(\d+)\./;

/** Watches for a while: blocking reloads of one video and the audio rendition per viewer, each new part fetched; every second viewer asks for deltas. */
export async function watchBlocked(
  { platform: { edges }, counters, playback }: BlockedWorld,
  options: { viewers: number; seconds: number },
): Promise<BlockedViewersResult> {
  const master = await fetchMaster(edges[0] ?? '', playback);
  const pathOf = (url: string): string => new URL(url).pathname;
  const videos = master.variants.map(({ uri }) => pathOf(uri));
  for (const counter of counters) counter.seen.length = 0;
  const run = newRun(edges, options);
  const watching = Array.from({ length: options.viewers }, (_, viewer) => {
    const skip = viewer % 2 === 1 ? '&_HLS_skip=YES' : '';
    const renditions = [videos[viewer % videos.length] ?? '', ...(master.audio === null ? [] : [pathOf(master.audio)])];
    return renditions.map((playlist) => watchRendition(run, playlist, skip));
  });
  const parts = await Promise.all(watching.flat());
  for (const client of run.clients) client.close();
  const { result } = run;
  [result.fewestParts, result.mostParts] = [Math.min(...parts), Math.max(...parts)];
  countUpstream(result, counters);
  const blocked = [...run.answered].filter(([key]) => key.includes('_HLS_msn=')).map(([, parsed]) => parsed);
  const spread = blocked.map(({ firstMs, lastMs }) => lastMs - firstMs).sort((a, b) => a - b);
  result.fanOutP50Ms = Math.round(spread[Math.floor(spread.length * 0.5)] ?? 0);
  result.fanOutP99Ms = Math.round(spread[Math.floor(spread.length * 0.99)] ?? 0);
  return result;
}

function newRun(edges: string[], { viewers, seconds }: { viewers: number; seconds: number }): Run {
  return {
    clients: edges.map(createRawClient),
    next: 0,
    endMs: performance.now() + seconds * 1_000,
    answered: new Map(),
    result: {
      viewers,
      seconds,
      playlists: 0,
      parts: 0,
      bytes: 0,
      failures: [],
      fewestParts: 0,
      mostParts: 0,
      askedAgain: [],
      upstreamFailures: [],
      differing: [],
      upstream: 0,
      keys: 0,
      fanOutP50Ms: 0,
      fanOutP99Ms: 0,
    },
  };
}

/** @returns null when there was no 200; noted */
async function get(run: Run, path: string): Promise<Buffer | null> {
  const turn = run.next;
  run.next += 1;
  const edge = turn % run.clients.length;
  try {
    const answer = await run.clients[edge]?.get(path, `edge${edge}-${String(turn).padStart(8, '0')}`);
    if (answer?.status === 200) return answer.body;
    run.result.failures.push(`${answer?.status} edge ${edge} ${path}`);
  } catch (thrown) {
    run.result.failures.push(`${String(thrown)} edge ${edge} ${path}`);
  }
  return null;
}

type Place = { msn: number; part: number };
type Listed = Place & { uri: string; isGap: boolean };
type Parsed = { body: Buffer; parts: Listed[]; next: Place | null; firstMs: number; lastMs: number };

const isAfter = (a: Place, b: Place): boolean => a.msn > b.msn || (a.msn === b.msn && a.part > b.part);

/** What a playlist says; one reading for all viewers who were given the same text, as they should be. */
function parse(run: Run, key: string, body: Buffer): Parsed {
  const nowMs = performance.now();
  const known = run.answered.get(key);
  if (known !== undefined) {
    // Whoever comes seconds later was not waiting, and may be shown another state.
    const isTogether = nowMs - known.firstMs < TOGETHER_MS;
    if (isTogether) known.lastMs = nowMs;
    if (known.body.equals(body)) return known;
    if (isTogether && key.includes('_HLS_msn=')) run.result.differing.push(key);
  }
  const text = body.toString('latin1');
  const parts = [...text.matchAll(PART)].map(([line, uri = '', msn, part]) => {
    return { uri, msn: Number(msn), part: Number(part), isGap: line.includes('GAP=YES') };
  });
  const hint = HINT.exec(text);
  const next = hint === null ? null : { msn: Number(hint[1]), part: Number(hint[2]) };
  const parsed = { body, parts, next, firstMs: nowMs, lastMs: nowMs };
  run.answered.set(key, parsed);
  return parsed;
}

/** @returns parts fetched */
async function watchRendition(run: Run, playlist: string, skip: string): Promise<number> {
  const folder = playlist.slice(0, playlist.lastIndexOf('/') + 1);
  const { result } = run;
  let fetched = 0;
  let seen: Place | null = null;
  let query = '';
  while (performance.now() < run.endMs) {
    const body = await get(run, playlist + query);
    // A player waits a moment before it tries again.
    if (body === null) {
      await delay(500);
      continue;
    }
    result.playlists += 1;
    const { parts, next } = parse(run, playlist + query, body);
    // A viewer begins after the newest part.
    const from: Place | undefined = seen ?? parts.at(-1);
    const fresh = from === undefined ? [] : parts.filter((part) => isAfter(part, from));
    seen = parts.at(-1) ?? seen;
    const wanted = fresh.filter((part) => !part.isGap).map(({ uri }) => get(run, folder + uri));
    for (const bytes of await Promise.all(wanted)) {
      if (bytes === null) continue;
      fetched += 1;
      result.bytes += bytes.length;
    }
    result.parts += wanted.length;
    query = next === null ? '' : `?_HLS_msn=${next.msn}&_HLS_part=${next.part}${skip}`;
  }
  return fetched;
}

/** Plain playlists are asked for again each second; everything else has one answer for good. */
function countUpstream(result: BlockedViewersResult, counters: RequestCounter[]): void {
  const counts = new Map<string, number>();
  const seen = counters.flatMap((counter) => counter.seen);
  result.upstream = seen.length;
  for (const { path, id, status } of seen) {
    const edge = /^edge(\d+)-/.exec(id)?.[1] ?? 'unknown';
    const key = `edge ${edge}: ${path}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (status !== 0 && (status < 200 || status >= 400)) result.upstreamFailures.push(`${status} ${key}`);
  }
  result.keys = counts.size;
  for (const [key, count] of counts) {
    const isOnce = key.includes('_HLS_msn=') || /\.(?:m4s|mp4)$/.test(key);
    if (key.startsWith('edge unknown') && !/\.(?:m3u8|json)$/.test(key)) result.askedAgain.push(`of no viewer: ${key}`);
    if (count > (isOnce ? 1 : result.seconds + 2)) result.askedAgain.push(`${count} x ${key}`);
  }
}
