// Within which bounds the origins' terms hold, per kind of route; and conditions against what is held.
import { expect, test } from 'vitest';
import { headers as names } from '../platform/contract/routes.ts';
import { freshnessOf, madeMs, negativeFreshMs } from './cache-policy.ts';
import { isNotModified } from './conditions.ts';

const at = 1_000_000;
const spans = (kind: Parameters<typeof freshnessOf>[0], headers: Record<string, string>) => {
  const freshness = freshnessOf(kind, headers, at);
  return freshness === null ? null : [freshness.freshUntilMs - at, freshness.staleUntilMs - at];
};

test('an origin says how long its answers may be shown while it fails, or the kind of route does', () => {
  const live = { [names.position]: '0.7.1' };
  expect(spans('segment', { 'cache-control': 'max-age=31536000, immutable' })).toEqual([31_536e6, 31_536e6 + 60_000]);
  expect(spans('info', { 'cache-control': 'max-age=1, stale-if-error=5' })).toEqual([1_000, 6_000]);
  expect(spans('info', { 'cache-control': 'max-age=1, stale-if-error=999999999' })).toEqual([1_000, 86_401_000]);
  expect(spans('info', { 'cache-control': 'max-age=1, must-revalidate' })).toEqual([1_000, 1_000]);
  expect(spans('media-playlist', { 'cache-control': 'max-age=9', ...live })).toEqual([1_000, 6_000]);
  expect(spans('media-playlist', { 'cache-control': 'max-age=9, must-revalidate', ...live })).toEqual([1_000, 1_000]);
});

test('what an answer spent in another cache counts: its freshness, its age, the age of a live playlist', () => {
  const shielded = { 'cache-control': 'max-age=5', age: '3' };
  expect(spans('master', shielded)).toEqual([2_000, 62_000]);
  expect(madeMs(shielded, at)).toBe(at - 3_000);
  expect(spans('master', { ...shielded, age: '30' })).toEqual([0, 60_000]);
  expect(spans('media-playlist', { ...shielded, [names.position]: '0.7.1' })).toEqual([1_000, 3_000]);
  expect(negativeFreshMs('segment', { 'cache-control': 'max-age=1', age: '9' })).toBe(0);
});

test.each<[string, Record<string, string>, string | null, string | undefined, boolean]>([
  ['the tag', { 'if-none-match': '"a"' }, '"a"', undefined, true],
  ['one of several, weak', { 'if-none-match': 'W/"b", W/"a"' }, '"a"', undefined, true],
  ['another tag, though the date fits', { 'if-none-match': '"b"', 'if-modified-since': 'x' }, '"a"', 'x', false],
  [
    'the same date',
    { 'if-modified-since': 'Sun, 22 Nov 2026 10:00:00 GMT' },
    null,
    'Sun, 22 Nov 2026 10:00:00 GMT',
    true,
  ],
  [
    'a later date',
    { 'if-modified-since': 'Sun, 22 Nov 2026 10:00:01 GMT' },
    null,
    'Sun, 22 Nov 2026 10:00:00 GMT',
    true,
  ],
  [
    'an earlier date',
    { 'if-modified-since': 'Sun, 22 Nov 2026 09:59:59 GMT' },
    null,
    'Sun, 22 Nov 2026 10:00:00 GMT',
    false,
  ],
  ['no date', { 'if-modified-since': 'yesterday' }, null, 'Sun, 22 Nov 2026 10:00:00 GMT', false],
  ['the object has none', { 'if-modified-since': 'Sun, 22 Nov 2026 10:00:00 GMT' }, '"a"', undefined, false],
])('not modified: %s', (_what, given, etag, lastModified, expected) => {
  expect(isNotModified(given, etag, lastModified)).toBe(expected);
});
