// A live broadcast as origins show it, for edge tests: parts that the test makes one by one, playlists and parts held back until they exist.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bytesOf, CONTENT, type Handler } from './test-origin.ts';

const PARTS = 4;
const EPOCH = 1;
const WRITER = 'writer';

export type TestLive = {
  /** Newest part. */
  readonly msn: number;
  readonly part: number;
  /** The next part exists from now on: whoever waits for it is answered. */
  advance(): void;
  end(): void;
  /** Writer of the parts from now on. */
  takeOver(writer: string): void;
  /** How long an answer is held back. Unit: ms. */
  holdMs: number;
  /** To be plugged into TestOrigin.intercept(). */
  handler: Handler;
  /** Requests held back now. */
  readonly held: number;
};

export const playlistPath = (rendition = 'v240'): string => `/v/-/${CONTENT}/${rendition}/index.m3u8`;
export const partPath = (msn: number, part: number, rendition = 'v240', writer = WRITER): string =>
  `/v/-/${CONTENT}/${rendition}/${EPOCH}/p${msn}.${part}.${writer}.m4s`;

type State = {
  msn: number;
  part: number;
  isEnded: boolean;
  writer: string;
  writers: Map<string, string>;
  waiting: Set<() => void>;
};

const indexOf = (msn: number, part: number): number => msn * PARTS + part;

/** Begins with part 0 of segment 10. */
export function createTestLive(): TestLive {
  const state: State = {
    msn: 10,
    part: 0,
    isEnded: false,
    writer: WRITER,
    writers: new Map([['10.0', WRITER]]),
    waiting: new Set(),
  };
  const wake = () => {
    for (const go of [...state.waiting]) go();
  };
  const live: TestLive = {
    get msn() {
      return state.msn;
    },
    get part() {
      return state.part;
    },
    get held() {
      return state.waiting.size;
    },
    holdMs: 6_000,
    advance() {
      state.part += 1;
      if (state.part === PARTS) [state.msn, state.part] = [state.msn + 1, 0];
      state.writers.set(`${state.msn}.${state.part}`, state.writer);
      wake();
    },
    end() {
      state.isEnded = true;
      wake();
    },
    takeOver(writer) {
      state.writer = writer;
    },
    handler(req, res) {
      const url = new URL(req.url ?? '', 'http://origin');
      const rendition = new RegExp(`^/v/-/${CONTENT}/([^/]+)/index\\.m3u8$`).exec(url.pathname)?.[1];
      const answer =
        rendition === undefined ? part(state, live, url.pathname, req, res) : playlist(state, live, url, res);
      if (answer === null) return false;
      answer.catch(() => res.destroy());
      return true;
    },
  };
  return live;
}

/** Waits until the place exists. */
async function reached(state: State, live: TestLive, msn: number, part: number, res: ServerResponse): Promise<boolean> {
  const isThere = () => state.isEnded || indexOf(state.msn, state.part) >= indexOf(msn, part);
  let isOver = false;
  const limit = setTimeout(() => {
    isOver = true;
    go();
  }, live.holdMs);
  let go: () => void = () => undefined;
  const gone = once(res, 'close').then(() => 'gone');
  while (!isThere() && !isOver) {
    const woken = new Promise<string>((resolve) => {
      go = () => resolve('woken');
      state.waiting.add(go);
    });
    const how = await Promise.race([woken, gone]);
    state.waiting.delete(go);
    if (how === 'gone') break;
  }
  clearTimeout(limit);
  return isThere();
}

async function playlist(state: State, live: TestLive, url: URL, res: ServerResponse): Promise<void> {
  const msn = url.searchParams.get('_HLS_msn');
  const part = url.searchParams.get('_HLS_part');
  let shown = { msn: state.msn, part: state.part };
  if (msn !== null && !state.isEnded) {
    if (Number(msn) > state.msn + 2) return refuse(res, 400, {});
    const wanted = part === null ? { msn: Number(msn), part: PARTS - 1 } : { msn: Number(msn), part: Number(part) };
    if (wanted.part >= PARTS) [wanted.msn, wanted.part] = [wanted.msn + 1, 0];
    if (!(await reached(state, live, wanted.msn, wanted.part, res)))
      return refuse(res, 503, { 'headwater-scope': 'stream' });
    if (!state.isEnded) shown = wanted;
  }
  const text = textAt(state, shown.msn, shown.part);
  res
    .writeHead(200, {
      'content-type': 'application/vnd.apple.mpegurl',
      'cache-control': state.isEnded ? 'public, max-age=30' : `public, max-age=${msn === null ? 1 : 12}`,
      'content-length': text.length,
      etag: `"${shown.msn}.${shown.part}.${state.isEnded}"`,
      ...(state.isEnded ? {} : { 'headwater-position': `${EPOCH}.${shown.msn}.${shown.part}` }),
    })
    .end(text);
}

function textAt(state: State, msn: number, part: number): string {
  const lines = ['#EXTM3U', '#EXT-X-TARGETDURATION:2', `#EXT-X-MEDIA-SEQUENCE:${msn}`];
  for (let one = 0; one <= part; one += 1)
    lines.push(`#EXT-X-PART:DURATION=0.5,URI="${EPOCH}/p${msn}.${one}.${state.writers.get(`${msn}.${one}`)}.m4s"`);
  const next = part + 1 === PARTS ? `${msn + 1}.0` : `${msn}.${part + 1}`;
  if (state.isEnded) lines.push('#EXT-X-ENDLIST');
  else
    lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${EPOCH}/p${next}.${state.writers.get(next) ?? state.writer}.m4s"`);
  return `${lines.join('\n')}\n`;
}

function part(
  state: State,
  live: TestLive,
  path: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> | null {
  const match = /\/p(\d+)\.(\d+)\.([a-z0-9]+)\.m4s$/.exec(path);
  if (match === null) return null;
  const [msn, index, writer] = [Number(match[1]), Number(match[2]), match[3]];
  const isNext = indexOf(msn, index) === indexOf(state.msn, state.part) + 1;
  const send = async (): Promise<void> => {
    if (isNext && !(await reached(state, live, msn, index, res)))
      return refuse(res, 503, { 'headwater-scope': 'stream' });
    if (state.writers.get(`${msn}.${index}`) !== writer)
      return refuse(res, 404, { 'cache-control': 'public, max-age=1' });
    const body = bytesOf(path, 20_000);
    const headers = {
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'video/mp4',
      'content-length': body.length,
      etag: `"${path}"`,
    };
    res.writeHead(200, headers).end(req.method === 'HEAD' ? undefined : body);
  };
  return send();
}

function refuse(res: ServerResponse, status: number, headers: Record<string, string>): void {
  res.writeHead(status, { 'retry-after': '1', ...headers }).end();
}
