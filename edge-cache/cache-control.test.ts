// What an origin's headers allow a shared cache, one row per rule.
import { describe, expect, test } from 'vitest';
import { cacheTermsOf } from './cache-control.ts';

const date = 'Sun, 22 Nov 2026 10:00:00 GMT';
const later = 'Sun, 22 Nov 2026 10:01:00 GMT';
const freshS = (headers: Record<string, string>): number | null => {
  const terms = cacheTermsOf(headers);
  return terms === null ? null : terms.freshMs / 1_000;
};

describe('freshness', () => {
  test.each<[string, Record<string, string>, number | null]>([
    ['nothing said: not kept', {}, null],
    ['no-store', { 'cache-control': 'max-age=60, no-store' }, null],
    ['private, also for some fields', { 'cache-control': 'max-age=60, private="set-cookie"' }, null],
    ['no-cache', { 'cache-control': 'no-cache, max-age=60' }, null],
    ['max-age', { 'cache-control': 'public, max-age=60' }, 60],
    ['names in any case, spaces, quotes', { 'cache-control': ' Public ,  MAX-AGE="60"' }, 60],
    ['s-maxage before max-age', { 'cache-control': 'max-age=1, s-maxage=60' }, 60],
    ['the first of two', { 'cache-control': 'max-age=60, max-age=5' }, 60],
    ['no number: stale', { 'cache-control': 'max-age=abc' }, 0],
    ['negative: stale', { 'cache-control': 'max-age=-5' }, 0],
    ['no value: stale', { 'cache-control': 'max-age' }, 0],
    ['more than fits', { 'cache-control': 'max-age=99999999999999' }, 2 ** 31 - 1],
    ['a name inside quotes is no directive', { 'cache-control': 'x="no-store, max-age=1", max-age=60' }, 60],
    ['what is no directive is left out', { 'cache-control': '=3, ;, max-age=60' }, 60],
    ['Expires against Date', { expires: later, date }, 60],
    ['max-age before Expires', { 'cache-control': 'max-age=5', expires: later, date }, 5],
    ['Expires in the past', { expires: date, date: later }, 0],
    ['Expires: 0', { expires: '0', date: 'today' }, 0],
    ['the time on the way counts', { 'cache-control': 'max-age=60', age: '45' }, 15],
    ['older than it may be', { 'cache-control': 'max-age=60', age: '90' }, -30],
    ['an Age that is none', { 'cache-control': 'max-age=60', age: 'old' }, 60],
  ])('%s', (_what, headers, expected) => {
    expect(freshS(headers)).toBe(expected);
  });
});

describe('CDN-Cache-Control', () => {
  const plain = { 'cache-control': 'max-age=1', expires: date, date };
  test.each<[string, string, number | null]>([
    ['rules alone', 'max-age=60', 60],
    ['also when it forbids', 'no-store', null],
    ['over a no-store of others', 'max-age=60', 60],
    ['the last of two keys', 'max-age=5, max-age=60', 60],
    ['?0: not meant', 'no-store=?0, max-age=60', 60],
    ['parameters mean nothing', 'max-age=60;a=b;c', 60],
    ['a string is no number', 'max-age="60"', 0],
    ['broken: Cache-Control counts', 'max-age=60,, no-store', 1],
    ['keys are lower case', 'Max-Age=60', 1],
    ['empty: Cache-Control counts', ' ', 1],
    ['without lifetime: nothing else fills in', 'stale-if-error=5', null],
  ])('%s', (what, targeted, expected) => {
    const others = what.startsWith('over') ? { 'cache-control': 'no-store' } : plain;
    expect(freshS({ ...others, 'cdn-cache-control': targeted })).toBe(expected);
  });
});

test('stale answers', () => {
  const terms = cacheTermsOf({ 'cache-control': 'max-age=1, stale-while-revalidate=5, stale-if-error=30' });
  expect(terms).toMatchObject({ staleWhileRevalidateMs: 5_000, staleIfErrorMs: 30_000, isStrict: false });
  expect(cacheTermsOf({ 'cache-control': 'max-age=1, stale-if-error=x' })?.staleIfErrorMs).toBeNull();
  for (const strict of ['must-revalidate', 'proxy-revalidate', 's-maxage=5'])
    expect(cacheTermsOf({ 'cache-control': `max-age=1, ${strict}` })?.isStrict).toBe(true);
});
