// `npm run bench:latency`: glass to glass. A clock burnt into the picture at capture, pushed over RTMP, transcoded to two rungs, read back from
// decoded pictures in Chromium through edge and origin; nginx-rtmp gets the same stream and is read the same way in the same run.
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { LATENCY_MODES, type LatencyMode } from '../platform/contract/latency.ts';
import { delay } from '../platform/runtime/waits.ts';
import { findChromium, play, playerState, startBrowser } from '../test/support/browser.ts';
import { BUNNY } from '../test/support/media.ts';
import { type Platform, startPlatform, until } from '../test/support/platform.ts';
import { createStream, waitUntilLive } from '../test/support/story.ts';
import { CLOCK_READER } from './support/clock-code.ts';
import { startClockSource } from './support/clock-source.ts';
import { type NginxRtmp, startNginxRtmp } from './support/nginx-rtmp.ts';
import { ground, keepResult, percentile } from './support/report.ts';

type Figures = {
  p50: number | null;
  p95: number | null;
  least: number | null;
  most: number | null;
  pictures: number;
  faults: number;
  rebuffers: number;
};
type ModeResult = { mode: LatencyMode; headwater: Figures; 'nginx-rtmp': Figures | null; late_pictures: number };

const PICTURE = { width: 640, height: 360, fps: 30 };
/** Time for start-up, catching up and the encoder's first key frames before anything counts. Unit: ms. */
const SETTLE_MS = 15_000;
const HELP = 'options: --modes ultra,low,default  --seconds 60  --catchup 1.2  --no-peer  --json  --keep';

/** @param args command line without the program */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      modes: { type: 'string', default: 'ultra,low,default' },
      seconds: { type: 'string', default: '60' },
      catchup: { type: 'string', default: '1.2' },
      'no-peer': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || findChromium() === null) {
    process.stderr.write(`${values.help ? HELP : 'chromium is missing: apt-get install chromium'}\n`);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  const modes = LATENCY_MODES.filter((mode) => values.modes.split(',').includes(mode));
  const seconds = Number(values.seconds);
  const say = (line: string) => (values.json ? process.stderr : process.stdout).write(`${line}\n`);
  const peer = values['no-peer'] ? null : await startNginxRtmp();
  const platform = await startPlatform({ storage: 'fs', env: { HEADWATER_TRANSCODERS: '1' } });
  const browser = await startBrowser();
  const results: ModeResult[] = [];
  try {
    for (const mode of modes) {
      results.push(await measure(mode, { platform, browser, peer, seconds, catchup: values.catchup }));
      say(lineOf(results.at(-1)));
    }
  } finally {
    await browser.close();
    await platform.stop();
    await peer?.stop();
  }
  const command = `npm run bench:latency -- ${args.filter((arg) => arg !== '--json').join(' ')}`.trim();
  const result = {
    bench: 'latency',
    at: new Date().toISOString(),
    command,
    ...ground(),
    unit: 's',
    seconds,
    catchup: Number(values.catchup),
    results,
  };
  if (values.keep) say(`kept in ${await keepResult('latency', result)}`);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

type Setting = { platform: Platform; browser: Browser; peer: NginxRtmp | null; seconds: number; catchup: string };

async function measure(mode: LatencyMode, setting: Setting): Promise<ModeResult> {
  const { platform, browser, peer, seconds, catchup } = setting;
  const stream = await createStream(platform, mode);
  const targets = [stream.address, ...(peer === null ? [] : [peer.publish])];
  const source = await startClockSource({ clip: BUNNY, ...PICTURE, targets });
  const edge = platform.edges[0] ?? '';
  const pages: Page[] = [];
  try {
    await waitUntilLive(edge, stream.playback);
    const ours = await open(browser, `${edge}/watch/${stream.playback}?catchup=${catchup}`);
    pages.push(ours);
    const theirs = peer === null ? null : await openPeer(browser, peer, pages);
    await delay(SETTLE_MS);
    await ours.evaluate(CLOCK_READER);
    await theirs?.evaluate(CLOCK_READER);
    const before = await rebuffers(ours);
    const beforeTheirs = theirs === null ? 0 : await theirs.evaluate<number>('window.stalls');
    await delay(seconds * 1_000);
    return {
      mode,
      headwater: await figures(ours, (await rebuffers(ours)) - before),
      'nginx-rtmp':
        theirs === null ? null : await figures(theirs, (await theirs.evaluate<number>('window.stalls')) - beforeTheirs),
      late_pictures: source.late(),
    };
  } finally {
    for (const page of pages) await page.close();
    await source.stop();
    await platform.call('PUT', `/video/v1/live-streams/${stream.id}/complete`);
  }
}

async function open(browser: Browser, address: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
  await page.goto(address);
  await play(page, 0);
  return page;
}

/** Opened when its playlist is as long as it gets: a viewer who comes to a stream that runs. */
async function openPeer(browser: Browser, peer: NginxRtmp, pages: Page[]): Promise<Page> {
  const playlist = new URL('/hls/clock.m3u8', peer.page).href;
  await until(
    'the playlist of nginx-rtmp',
    40_000,
    async () => {
      const answer = await fetch(playlist);
      return answer.ok && (await answer.text()).split('#EXTINF').length > 5;
    },
    200,
  );
  const page = await open(browser, peer.page);
  pages.push(page);
  return page;
}

const rebuffers = async (page: Page): Promise<number> => Number((await playerState(page))?.['stalls'] ?? 0);

async function figures(page: Page, count: number): Promise<Figures> {
  const samples = await page.evaluate<{ latency: number }[]>('window.clockSamples');
  const faults = await page.evaluate<number>('window.clockFaults');
  const seconds = samples.map((sample) => sample.latency / 1_000);
  return {
    p50: percentile(seconds, 0.5),
    p95: percentile(seconds, 0.95),
    least: percentile(seconds, 0),
    most: percentile(seconds, 1),
    pictures: seconds.length,
    faults,
    rebuffers: count,
  };
}

function lineOf(result: ModeResult | undefined): string {
  if (result === undefined) return '';
  const said = (name: string, f: Figures | null) =>
    f === null ? '' : `${name} p50 ${f.p50} s, p95 ${f.p95} s, rebuffers ${f.rebuffers} (${f.pictures} pictures)`;
  return `${result.mode}: ${said('Headwater', result.headwater)}; ${said('nginx-rtmp', result['nginx-rtmp'])}`;
}
