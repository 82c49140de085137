// A page with Shaka Player, on a port of its own, that plays an MPEG-DASH manifest from anywhere; and what the player says of itself.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { until } from './platform.ts';

const SHAKA = fileURLToPath(new URL('../../node_modules/shaka-player/dist/shaka-player.compiled.js', import.meta.url));

export type DashPages = {
  /** Address of a page that plays this manifest. */
  address(manifest: string): string;
  close(): Promise<void>;
};

/** What the player says. Times in seconds. */
export type DashState = {
  time: number;
  /** Of what can be seeked to. */
  end: number;
  isLive: boolean;
  isEnded: boolean;
  errors: string[];
  height: number;
};

const PAGE = `<!doctype html><meta charset="utf-8"><title>DASH</title>
<video muted autoplay width="320" height="180"></video><script src="/shaka.js"></script><script>
const video = document.querySelector('video');
const errors = [];
const failed = (what, error) => errors.push([what, error.code, error.message, error.data].join(' '));
const player = new shaka.Player();
player.addEventListener('error', (event) => failed('playing', event.detail));
window.state = () => ({ time: video.currentTime, end: player.seekRange().end, isLive: player.isLive(),
  isEnded: video.ended, errors, height: video.videoHeight });
player.attach(video)
  .then(() => player.load(new URLSearchParams(location.search).get('manifest')))
  .catch((error) => failed('load', error));
</script>`;

/** Serves the page on a free port. */
export async function serveDashPages(): Promise<DashPages> {
  const shaka = await readFile(SHAKA);
  const server = createServer((req, res) => {
    const isScript = req.url === '/shaka.js';
    res.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' }).end(isScript ? shaka : PAGE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: (manifest) => `http://127.0.0.1:${port}/?manifest=${encodeURIComponent(manifest)}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const stateOf = (page: Page): Promise<DashState | null> => page.evaluate('window.state ? window.state() : null');

/** Waits until the player says so. @throws Error with what it says, when it does not in time, or has failed */
export async function untilDash(
  page: Page,
  what: string,
  limitMs: number,
  isSo: (state: DashState) => boolean,
): Promise<DashState> {
  let last: DashState | null = null;
  const probe = async () => {
    last = await stateOf(page);
    if (last !== null && last.errors.length > 0) throw new Error('the player failed');
    return last !== null && isSo(last) ? last : null;
  };
  try {
    return await until(what, limitMs, probe);
  } catch (thrown) {
    throw new Error(`${String(thrown)}: ${JSON.stringify(last)}`);
  }
}

/** Waits until the play head, once it moves, has moved on by `seconds`. */
export async function playDash(page: Page, seconds: number, limitMs = 20_000): Promise<DashState> {
  const before = (await stateOf(page))?.time ?? 0;
  const { time } = await untilDash(page, 'playing', limitMs, (state) => state.height > 0 && state.time > before);
  return await untilDash(page, `${seconds} s more`, limitMs, (state) => state.time > time + seconds);
}
