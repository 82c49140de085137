// Page addresses: ids as the contract spells them, anything else is no id.
import { describe, expect, it } from 'vitest';
import { isOn, playbackIdOf } from './address.ts';

describe('playbackIdOf', () => {
  it.each([
    ['/watch/abcdefghijklmnop1234', 'abcdefghijklmnop1234'],
    ['/embed/abcdefghijklmnop1234/', 'abcdefghijklmnop1234'],
    ['/watch/short', null],
    ['/watch/../etc/passwd', null],
    ['/', null],
  ])('%s -> %s', (path, id) => expect(playbackIdOf(path)).toBe(id));
});

describe('isOn', () => {
  it('takes 1 and true', () => {
    const search = new URLSearchParams('a=1&b=true&c=0&d=');
    expect(['a', 'b', 'c', 'd', 'e'].map((name) => isOn(search, name))).toEqual([true, true, false, false, false]);
  });
});
