// Pages: what each address shows, with which policy, and that no file outside the table can be named.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, PLAYBACK_ID, requestOf } from '../test/support/edge-world.ts';
import { healthAnswer } from './health.ts';
import { Pages } from './pages.ts';

const EDGES = ['https://one.example', 'http://localhost:8081', "bad'; script-src *"];
let folder: string;
let pages: Pages;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pages-'));
  await mkdir(join(folder, 'player', 'assets'), { recursive: true });
  await writeFile(join(folder, 'secret.html'), 'secret');
  for (const name of ['index.html', 'watch.html', 'embed.html']) await writeFile(join(folder, 'player', name), name);
  await writeFile(join(folder, 'player', 'assets', 'app-x1.js'), 'script');
  await writeFile(join(folder, 'player', 'assets', 'favicon-x2.svg'), '<svg/>');
  await writeFile(join(folder, 'player', 'assets', 'unknown.exe'), 'x');
  pages = new Pages(join(folder, 'player'), () => EDGES);
  await pages.load();
});
afterAll(() => rm(folder, { recursive: true }));

const answer = (path: string, headers = {}) => pages.answer(requestOf(path, headers), path);

async function textOf(path: string): Promise<string | null> {
  const found = answer(path);
  return found === null ? null : (await bodyOf(found)).toString();
}

describe('pages', () => {
  it.each([
    ['/', 'index.html'],
    [`/watch/${PLAYBACK_ID}`, 'watch.html'],
    [`/embed/${PLAYBACK_ID}`, 'embed.html'],
    ['/assets/app-x1.js', 'script'],
    ['/favicon.svg', '<svg/>'],
  ])('%s shows %s', async (path, text) => {
    expect(await textOf(path)).toBe(text);
  });

  it.each([
    '/watch/short',
    `/watch/${PLAYBACK_ID}/`,
    '/watch.html',
    '/index.html',
    '/assets/',
    '/assets/../index.html',
    '/../secret.html',
    '/assets/unknown.exe',
    '/assets/__proto__',
  ])('%s shows nothing', (path) => {
    expect(answer(path)).toBeNull();
  });

  it('keeps hashed files for ever, pages never', () => {
    expect(answer('/assets/app-x1.js')?.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/javascript; charset=utf-8',
    });
    const page = answer('/');
    expect(page?.headers['cache-control']).toBe('public, max-age=0, must-revalidate');
    expect(answer('/', { 'if-none-match': page?.headers['etag'] ?? '' })?.status).toBe(304);
  });

  it('lets pages run their own scripts and talk to the edges alone', () => {
    const policy = answer(`/watch/${PLAYBACK_ID}`)?.headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'; script-src 'self';");
    expect(policy).toContain("connect-src 'self' https://one.example http://localhost:8081;");
    expect(policy).toContain("worker-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('*');
  });

  it('lets other sites frame the embed page only', () => {
    const embed = answer(`/embed/${PLAYBACK_ID}`)?.headers;
    expect(embed?.['content-security-policy']).toContain('frame-ancestors *');
    expect(embed?.['x-frame-options']).toBeUndefined();
    expect(answer('/')?.headers['x-frame-options']).toBe('DENY');
  });

  it('lists the edges as JSON for any site', async () => {
    expect(JSON.parse((await textOf('/edges.json')) ?? '')).toEqual({ edges: EDGES });
    expect(answer('/edges.json')?.headers['access-control-allow-origin']).toBe('*');
  });

  it('lets pages load from a drained edge, which comes back while they are open, and lists it to none', async () => {
    const loadable = () => ['https://drained.example', ...EDGES];
    const some = new Pages(join(folder, 'player'), () => EDGES, loadable);
    await some.load();
    const policy = some.answer(requestOf('/'), '/')?.headers['content-security-policy'] ?? '';
    expect(policy).toMatch(/connect-src [^;]*https:\/\/drained\.example/);
    expect(policy.match(/connect-src [^;]*/)?.[0].match(/one\.example/g)).toHaveLength(1);
    const list = some.answer(requestOf('/edges.json'), '/edges.json');
    expect(list === null ? '' : (await bodyOf(list)).toString()).not.toContain('drained');
  });

  it('says what to do when they were not built', async () => {
    const unbuilt = new Pages(join(folder, 'nowhere'), () => EDGES);
    await unbuilt.load();
    const found = unbuilt.answer(requestOf('/'), '/');
    expect(found?.status).toBe(503);
    expect(found === null ? '' : (await bodyOf(found)).toString()).toContain('npm run build');
  });
});

describe('health', () => {
  it('tells living from ready', async () => {
    const ask = (path: string, reasons: string[]) => healthAnswer(requestOf(path), path, () => reasons);
    expect(ask('/healthz', ['no origin answers'])?.status).toBe(200);
    expect(ask('/readyz', [])?.status).toBe(200);
    const unready = ask('/readyz', ['no origin answers']);
    expect(unready?.status).toBe(503);
    expect(unready === null ? '' : (await bodyOf(unready)).toString()).toBe('no origin answers\n');
    expect(ask('/other', [])).toBeNull();
  });
});
