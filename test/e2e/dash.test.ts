// Must show: MPEG-DASH from the same objects, played by Shaka Player in Chromium through an edge: a running live, its recording, a clip, an upload.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { type DashPages, type DashState, playDash, serveDashPages, untilDash } from '../support/dash-page.ts';
import { publish, RABBIT } from '../support/media.ts';
import { readMpd } from '../support/mpd.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import {
  type AssetView,
  createStream,
  createUpload,
  fetchText,
  putFile,
  waitUntilLive,
  waitUntilReady,
  waitUntilRecorded,
} from '../support/story.ts';

let platform: Platform;
let browser: Browser;
let pages: DashPages;

beforeAll(async () => {
  [platform, browser, pages] = await Promise.all([
    startPlatform({
      storage: 'fs',
      env: { HEADWATER_TRANSCODERS: '1', HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast' },
    }),
    startBrowser(),
    serveDashPages(),
  ]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await pages?.close();
  await platform?.stop();
});

const manifestOf = (playback: string): string => `${platform.edges[0]}/${playback}.mpd`;

/** Plays a manifest that is a well-formed one of this type. */
async function play(playback: string, type: 'static' | 'dynamic', seconds: number): Promise<DashState> {
  const answer = await fetch(manifestOf(playback));
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/dash+xml']);
  expect(readMpd(await answer.text()).type).toBe(type);
  const page = await browser.newPage();
  await page.goto(pages.address(manifestOf(playback)));
  const state = await playDash(page, seconds, 40_000);
  await page.close();
  return state;
}

describe.runIf(await hasChromium())('DASH', () => {
  it('a running live, at its edge; a clip of it; its recording', async () => {
    const stream = await createStream(platform);
    const publisher = publish(stream.address, 'numbered', { size: '320:180' });
    await waitUntilLive(platform.edges[0] ?? '', stream.playback);
    const page = await browser.newPage();
    await page.goto(pages.address(manifestOf(stream.playback)));
    const state = await playDash(page, 8, 40_000);
    expect(state.isLive).toBe(true);
    expect(state.end - state.time).toBeLessThan(12);
    const running = readMpd(await fetchText(manifestOf(stream.playback)));
    const kinds = running.periods[0]?.sets.map(({ contentType }) => contentType);
    expect([running.type, kinds]).toEqual(['dynamic', ['video', 'audio']]);

    const made = await platform.call<{ data: AssetView }>('POST', '/video/v1/clips', {
      source: { live_stream_id: stream.id },
      start: -8,
      end: -2,
    });
    expect(made.status).toBe(201);
    const clip = await play(made.body.data.playback_ids[0]?.id ?? '', 'static', 2);
    expect(clip.end).toBeGreaterThanOrEqual(6);
    expect(clip.end).toBeLessThan(14);

    await publisher.stop();
    const { status } = await platform.call('PUT', `/video/v1/live-streams/${stream.id}/complete`);
    expect(status).toBeLessThan(300);
    const recording = await waitUntilRecorded(platform, stream.id);
    const whole = await play(recording.playback_ids[0]?.id ?? '', 'static', 3);
    expect(Math.abs(whole.end - (recording.duration ?? 0))).toBeLessThan(0.2);
    // Who watched the live sees it to its end, without an error.
    await untilDash(page, 'the end', 60_000, ({ isEnded }) => isEnded);
    await page.close();
  }, 240_000);

  it('an upload, from its start to another place', async () => {
    const upload = await createUpload(platform);
    expect(await putFile(upload.url, RABBIT)).toBeLessThan(300);
    const asset = await waitUntilReady(platform, upload.asset_id, 120_000);
    const playback = asset.playback_ids[0]?.id ?? '';
    const state = await play(playback, 'static', 3);
    expect(state.isLive).toBe(false);
    expect(Math.abs(state.end - (asset.duration ?? 0))).toBeLessThan(0.2);
    const mpd = readMpd(await fetchText(manifestOf(playback)));
    const names = mpd.periods[0]?.sets.flatMap(({ representations }) => representations.map(({ id }) => id));
    expect(names?.sort()).toEqual(asset.renditions.map(({ name }) => name).sort());
  }, 240_000);
});
