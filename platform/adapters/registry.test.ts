import { expect, test } from 'vitest';
import { type NodeId, newId } from '../contract/ids.ts';
import type { NodeInfo } from '../contract/nodes.ts';
import { mergeNodes } from './registry.ts';

const known = (state: NodeInfo['state'], until: number, id = newId<NodeId>()) => ({
  until,
  node: {
    id,
    role: 'origin' as const,
    url: '',
    public_url: null,
    private_url: '',
    state,
    started_at: 0,
    pid: 1,
    version: '',
    load: {},
  },
});
const mapOf = (...items: ReturnType<typeof known>[]) => new Map(items.map((item) => [item.node.id as string, item]));

test.each([
  ['healthy, time left', 'healthy', 2_000, true],
  ['healthy, time over', 'healthy', 500, false],
  ['draining, time left', 'draining', 2_000, false],
] as const)('a node missing from the answer: %s', (_name, state, until, stays) => {
  expect(mergeNodes(mapOf(known(state, until)), [], 1_000).size).toBe(stays ? 1 : 0);
});

test('what the answer says replaces what was known', () => {
  const before = known('healthy', 2_000);
  const now = known('draining', 6_000, before.node.id);
  expect([...mergeNodes(mapOf(before), [now], 1_000).values()]).toEqual([now]);
});
