// The status page in Chromium over the api's routes, by keyboard: a stream on air with trouble, its commands, a clip, the backup key.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId, type SessionId } from '../../platform/contract/ids.ts';
import { timelineKey } from '../../platform/contract/redis-keys.ts';
import { type ApiTestParts, createApiParts, TEST_TOKEN } from '../support/api-parts.ts';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { recordedBroadcast } from '../support/recorded-broadcast.ts';
import { tempDir } from '../support/temp.ts';
import { entriesOf } from '../support/timelines.ts';
import { waitUntil } from '../support/wait-until.ts';

const canRun = await hasChromium();
const NODE = 'N'.repeat(22);
const ADVICE = 'Key frames come every 9 s: set the key frame interval of the encoder to 2 s.';

let browser: Browser;
let folder: string;
let server: Server;
let parts: ApiTestParts;
let page: Page;
let failures: string[];

beforeAll(async () => {
  if (!canRun) return;
  folder = await tempDir('status-page');
  const outDir = folder;
  await build({ configFile: 'dashboard/vite.config.ts', logLevel: 'error', build: { outDir, emptyOutDir: true } });
  browser = await startBrowser();
});
beforeEach(async () => {
  if (!canRun) return;
  parts = createApiParts({ pageFolder: folder });
  server?.closeAllConnections();
  server?.close();
  server = createServer(parts.app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  failures = [];
  page = await browser.newPage();
  page.on('pageerror', (error) => failures.push(String(error)));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.getByLabel('Admin token').fill(TEST_TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Live streams' }).waitFor();
});
afterAll(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

/** On air with 20 segments, a starving signal, and a second encoder that stands by. */
async function onAir() {
  const ingest = { node: NODE as never, session: newId<SessionId>(), since: 1, key: 'primary' } as const;
  const made = await recordedBroadcast(parts, {
    segments: 20,
    inBlocks: 10,
    broadcast: { status: 'live', ended_at: null, ingest },
    stream: { backup_key_hash: 'b'.repeat(64), redundancy: 'hot', latency_mode: 'ultra' },
  });
  parts.timelines.held.set(timelineKey(made.broadcast.content_id), entriesOf(1, 8, 19));
  const node = {
    id: NODE,
    url: 'http://in',
    public_url: null,
    private_url: '',
    state: 'healthy',
    pid: 1,
    version: '1',
  };
  const signal = {
    health: 'starving',
    advice: [ADVICE],
    key: 'primary',
    has_standby: true,
    bitrate_bps: 2.5e6,
    frame_rate: 30,
    gop_s: 9,
    width: 1280,
    height: 720,
    video_codec: 'avc1',
    audio_codec: 'mp4a',
    speed: 1,
  } as const;
  const encode = { place: 'leader', lag_s: 0.42, renditions: ['v720', 'v240', 'a0'], cost: 0.4, spooled: 0 } as const;
  const common = { ...node, started_at: Date.now(), load: {} };
  parts.nodes.push(
    {
      ...common,
      role: 'ingest',
      bitrates: { [made.stream.id]: 2.5e6 },
      signals: { [made.stream.id]: signal },
    } as never,
    { ...common, id: 'worker', role: 'transcoder', encodes: { [made.broadcast.id]: encode } } as never,
    { ...common, id: 'edge', role: 'edge', public_url: 'http://127.0.0.1:9', viewers: {} } as never,
  );
  return made;
}
const row = () => page.locator('#streams > li');
const said = async (text: RegExp) => expect(await row().textContent()).toMatch(text);

test.runIf(canRun)('a stream with trouble says what to do, in words', async () => {
  await onAir();
  await row().getByText(ADVICE).waitFor();
  await said(/Live.*Starving.*Concert/);
  await said(/2\.5 Mbit\/s · 720p, 240p, audio · 0\.4 s in encoding · ultra latency · two workers · recorded/);
  await said(/second encoder stands by/);
  expect(failures).toEqual([]);
});

test.runIf(canRun)('commands by keyboard; each asks first, and Escape means no', async () => {
  const { stream, broadcast } = await onAir();
  const more = row().getByText('More', { exact: true });
  await more.waitFor();
  await more.focus();
  await page.keyboard.press('Enter');
  const swap = row().getByRole('button', { name: 'Switch Concert to its other encoder' });
  await swap.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByText('its backup encoder').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  expect(parts.events).toEqual([]);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Switch' }).press('Enter');
  await waitUntil('the switch is published', () => parts.events.some(({ type }) => type === 'switch'));

  await row().getByRole('button', { name: 'Kick the encoder of Concert' }).press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Cut off' }).press('Enter');
  await waitUntil('the kick is published', () => parts.events.some(({ type }) => type === 'kick'));

  await row().getByRole('button', { name: 'End broadcast of Concert' }).press('Enter');
  await page.getByRole('dialog').getByText('the recording appears').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'End broadcast' }).press('Enter');
  await waitUntil('the broadcast ends', async () => {
    return (await parts.records.get('broadcast', broadcast.id))?.value.status === 'ending';
  });
  await parts.records.update('broadcast', broadcast.id, (b) => ({ ...b, status: 'ended', ended_at: Date.now() }));
  const ended = await parts.records.get('broadcast', broadcast.id);
  if (ended !== null) await parts.recordings.record(ended.value);
  await page
    .locator('#assets > li')
    .getByText(/Recording of Concert/)
    .waitFor();
  await page.locator('#announcer').getByText('Concert is off air').waitFor({ state: 'attached' });
  expect(stream.id).not.toBe('');
  expect(failures).toEqual([]);
});

test.runIf(canRun)('a clip of what is on air, then a clip of that clip', async () => {
  await onAir();
  const clip = row().getByRole('button', { name: 'Clip Concert' });
  await clip.press('Enter');
  const form = page.getByRole('form', { name: 'Clip of Concert' });
  await form.getByLabel('Last seconds').fill('soon');
  await page.keyboard.press('Enter');
  await form.getByRole('alert').getByText('how many seconds').waitFor();
  await form.getByLabel('Last seconds').fill('10');
  await form.getByLabel('Name of the clip').fill('Goal');
  await page.keyboard.press('Enter');
  // The list may show the clip before the form hears that it is made.
  await form.waitFor({ state: 'detached' });
  const made = page.locator('#assets > li', { hasText: 'Goal' });
  await made.getByText(/Clip of Concert · 0:10/).waitFor();
  expect(await page.evaluate("document.activeElement?.getAttribute('aria-label')")).toBe('Clip Concert');

  await made.getByRole('button', { name: 'Clip Goal' }).press('Enter');
  const second = page.getByRole('form', { name: 'Clip of Goal' });
  await second.getByLabel('From').fill('0:09');
  await second.getByLabel('To').fill('0:11');
  await page.keyboard.press('Enter');
  await page.locator('.toast-fault').getByText('the source is 10 s long').waitFor();
  await page.keyboard.press('Escape');
  await second.waitFor({ state: 'detached' });
  expect(failures).toEqual([]);
});

test.runIf(canRun)('settings at creation, and the backup key, shown once', async () => {
  await page.getByLabel('Title', { exact: true }).first().fill('Choir');
  await page.getByLabel('If a worker fails').selectOption('hot');
  await page.getByLabel('Encoding').selectOption('passthrough');
  await page.getByLabel('Record broadcasts as videos').uncheck();
  await page.getByRole('button', { name: 'Create live stream' }).press('Enter');
  await page.getByRole('textbox', { name: 'Stream key', exact: true }).waitFor();
  await row().getByText('pass-through · two workers · not recorded').waitFor();
  await row().getByText('More', { exact: true }).press('Enter');
  await row().getByRole('button', { name: 'Make backup key of Choir' }).press('Enter');
  const key = await page.getByRole('textbox', { name: 'Backup stream key' }).inputValue();
  expect(key).toMatch(/^[A-Za-z0-9]{32}$/);
  await page.getByRole('button', { name: 'I have kept the key' }).press('Enter');
  expect(await page.content()).not.toContain(key);
  await row().getByRole('button', { name: 'Record Choir', exact: true }).press('Enter');
  await row().getByText('pass-through · two workers · recorded').waitFor();
  expect(failures).toEqual([]);
});

test.runIf(canRun)('an edge is drained after a question, says so, and is given back', async () => {
  const edge = (id: string, address: string) => ({
    id,
    role: 'edge',
    url: address,
    public_url: address,
    private_url: '',
    state: 'healthy',
    started_at: Date.now(),
    pid: 1,
    version: '1',
    load: { connections: 3 },
  });
  const [one, two] = [edge('E'.repeat(22), 'http://one.test'), edge('F'.repeat(22), 'http://two.test')];
  parts.nodes.push(one as never, two as never);
  const drain = page.getByRole('button', { name: 'Drain the edge one.test', exact: true });
  await drain.focus();
  await page.keyboard.press('Enter');
  await page
    .getByRole('dialog')
    .getByText(/It stays drained, also when it restarts/)
    .waitFor();
  await page.keyboard.press('Escape');
  expect([...parts.edgeOrders]).toEqual([]);
  await drain.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drain', exact: true }).click();
  await waitUntil('the order', () => parts.edgeOrders.get('http://one.test') === 'drained');
  Object.assign(one, { state: 'draining', is_drained: true });
  await page.locator('.node', { hasText: 'one.test' }).getByText('drained', { exact: true }).waitFor();
  await drain.waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Undrain the edge one.test' }).click();
  await waitUntil('the order', () => parts.edgeOrders.get('http://one.test') === 'open');
  expect(await page.getByRole('button', { name: 'Undrain the edge two.test' }).isVisible()).toBe(false);
  expect(failures).toEqual([]);
});
