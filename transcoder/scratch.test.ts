// Which scratch folders are left over.
import { describe, expect, it } from 'vitest';
import { isLeftOver } from './scratch.ts';

const own = new Set(['host--100--nodeA']);
const HOUR = 3_600_000;

describe('isLeftOver', () => {
  it.each([
    ['its own', 'host--100--nodeA', HOUR, true, false],
    ['of its process id before a restart', 'host--100--nodeB', 0, true, true],
    ['of a living process', 'host--200--nodeC', HOUR, true, false],
    ['of a dead process', 'host--200--nodeC', 0, false, true],
    ['of another machine, in use', 'other--200--nodeC', 1_000, false, false],
    ['of another machine, abandoned', 'other--200--nodeC', HOUR, false, true],
    ['of unknown make, abandoned', 'what', HOUR, false, true],
  ])('a folder %s', (_name, name, ageMs, isAlive, expected) => {
    expect(isLeftOver(name, own, ageMs, () => isAlive)).toBe(expected);
  });
});
