// What a record says to the outside.
import { describe, expect, test } from 'vitest';
import type { AssetRecord } from '../platform/contract/records.ts';
import { parseSettings } from '../platform/contract/settings.ts';
import { tokenIn } from './auth.ts';
import { pickApiConfig } from './config.ts';
import { createPresence } from './presence.ts';
import { parseContentRange } from './upload-address.ts';
import { etagHeader, requireMatch } from './versions.ts';
import { isPlayable, progressOf } from './views.ts';

const asset = (more: object) =>
  ({
    status: 'preparing',
    planned: [],
    renditions: [],
    source: { type: 'upload', complete: true },
    ...more,
  }) as unknown as AssetRecord;
const names = (...list: string[]) => list.map((name) => ({ name }));

describe('playable', () => {
  const cases: [string, object, boolean][] = [
    ['nothing yet', {}, false],
    ['ready', { status: 'ready' }, true],
    ['errored', { status: 'errored', renditions: names('v240', 'a0') }, false],
    ['picture without its sound', { planned: ['v240', 'a0'], renditions: names('v240') }, false],
    ['picture and sound', { planned: ['v720', 'v240', 'a0'], renditions: names('v240', 'a0') }, true],
    ['silent', { planned: ['v240'], renditions: names('v240') }, true],
    ['sound of a picture still to come', { planned: ['v240', 'a0'], renditions: names('a0') }, false],
    ['sound alone', { planned: ['a0'], renditions: names('a0') }, true],
  ];
  test.each(cases)('%s', (_name, more, expected) => expect(isPlayable(asset(more))).toBe(expected));
});

test('progress: the record decides, the worker fills in', () => {
  const reported = { state: 'transcoding', percent: 40 };
  expect(progressOf(asset({ source: { type: 'upload', complete: false } }), reported).state).toBe('waiting');
  expect(progressOf(asset({}), null)).toEqual({ state: 'queued', percent: 0 });
  expect(progressOf(asset({}), reported)).toEqual(reported);
  expect(progressOf(asset({ status: 'ready' }), reported)).toEqual({ state: 'completed', percent: 100 });
  expect(progressOf(asset({ status: 'errored' }), reported)).toEqual({ state: 'errored', percent: 40 });
});

describe('versions', () => {
  test.each(['abc', '"abc"', 'W/"abc"'])('%s becomes one strong ETag', (etag) => {
    expect(etagHeader(etag)).toBe('"abc"');
  });
  test.each(['"abc"', '*', '"x", "abc"', 'abc'])('If-Match %s passes', (header) => {
    expect(() => requireMatch(header, '"abc"')).not.toThrow();
  });
  test('another version does not', () => {
    expect(() => requireMatch('"x"', 'abc')).toThrow('someone else changed this');
    expect(() => requireMatch(null, 'abc')).toThrow('If-Match');
  });
});

test('tokens come out of Basic headers alone', () => {
  const basic = `Basic ${Buffer.from('id:secret').toString('base64')}`;
  expect(tokenIn(basic)).toBe('id:secret');
  for (const header of [undefined, '', 'Basic', 'Basic ???', 'Bearer id:secret']) expect(tokenIn(header)).toBe('');
});

describe('Content-Range', () => {
  test('a piece and a question', () => {
    expect(parseContentRange('bytes 0-9/100')).toEqual({ first: 0, total: 100 });
    expect(parseContentRange('bytes */100')).toEqual({ first: null, total: 100 });
    expect(parseContentRange(undefined)).toBeNull();
  });
  test.each(['bytes 9-0/100', 'bytes 0-100/100', 'bytes 0-9/*', 'items 0-9/100', 'x'])('%s is refused', (header) => {
    expect(() => parseContentRange(header)).toThrow();
  });
});

test('links lead to the first healthy edge and prefer the public id', () => {
  const edge = (url: string, state: string) => ({ role: 'edge', state, url, public_url: url }) as never;
  const source = {
    nodes: () => [edge('http://b', 'healthy'), edge('http://a', 'draining'), edge('http://c', 'healthy')],
  };
  const ids = [
    { id: 'S'.repeat(22), policy: 'signed' },
    { id: 'P'.repeat(22), policy: 'public' },
  ] as never;
  expect(createPresence(source, []).links(ids)).toMatchObject({ watch_url: `http://b/watch/${'P'.repeat(22)}` });
  expect(createPresence(source, ['http://set']).links(ids).embed_url).toBe(`http://set/embed/${'P'.repeat(22)}`);
  expect(createPresence({ nodes: () => [] }, []).links(ids)).toMatchObject({ watch_url: null });
});

test('links avoid an edge that is drained, also among those that are set', () => {
  const edge = (url: string, isDrained: boolean) =>
    ({ role: 'edge', state: isDrained ? 'draining' : 'healthy', url, public_url: url, is_drained: isDrained }) as never;
  const ids = [{ id: 'P'.repeat(22), policy: 'public' }] as never;
  const set = ['http://a', 'http://b'];
  const linked = (nodes: never[]) => createPresence({ nodes: () => nodes }, set).links(ids).watch_url;
  expect(linked([edge('http://a', true), edge('http://b', false)])).toMatch(/^http:\/\/b\//);
  expect(linked([edge('http://a', true), edge('http://b', true)])).toMatch(/^http:\/\/a\//);
});

describe('settings', () => {
  const pick = (env: Record<string, string>) => {
    const parsed = parseSettings(env);
    if ('faults' in parsed) throw new Error('bad test settings');
    return pickApiConfig(parsed.settings);
  };
  const token = { HEADWATER_ADMIN_TOKEN: 'admin:0123456789abcdef' };

  test('there is no default token', () => {
    expect(() => pick({})).toThrow('HEADWATER_ADMIN_TOKEN');
  });
  test('addresses follow the ports unless they are set', () => {
    expect(pick(token)).toMatchObject({ publicUrl: 'http://localhost:8000', rtmpUrl: 'rtmp://localhost:1935/live' });
    const set = {
      HEADWATER_PUBLIC_URL: 'https://video.example/',
      HEADWATER_PORT: '9000',
      HEADWATER_UPLOAD_EXPIRY_S: '60',
    };
    expect(pick({ ...token, ...set })).toMatchObject({
      publicUrl: 'https://video.example',
      port: 9_000,
      uploadExpiryMs: 60_000,
    });
  });
});
