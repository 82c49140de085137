// How long an address stays on the roster that Redis no longer lists.
import { expect, test } from 'vitest';
import { mergeAddresses } from './edge-roster.ts';

test('an emptied Redis empties no list, an edge that stays away leaves it', () => {
  let known = mergeAddresses(new Map(), ['http://a', 'http://b']);
  for (let answers = 0; answers < 4; answers += 1) known = mergeAddresses(known, ['http://b']);
  expect([...known.keys()].sort()).toEqual(['http://a', 'http://b']);
  expect([...mergeAddresses(known, ['http://a']).keys()].sort()).toEqual(['http://a', 'http://b']);
  expect([...mergeAddresses(known, ['http://b']).keys()]).toEqual(['http://b']);
});
