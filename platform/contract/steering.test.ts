// Pathway ids, and which edges a master names.
import { expect, test } from 'vitest';
import { MOST_PATHWAYS, pathwayIdOf, pathwaysOf } from './steering.ts';

test('a pathway id is the address in the letters that ids may have', () => {
  expect(pathwayIdOf('http://localhost:8080')).toBe('localhost-8080');
  expect(pathwayIdOf('https://edge-1.example/')).toBe('edge-1.example');
  expect(pathwayIdOf('https://cdn.example/one')).toBe('cdn.example-one');
  expect(pathwayIdOf('http://[::1]:8080')).toMatch(/^[A-Za-z0-9._-]+$/);
});

test('one edge, whatever it is called, is nothing to steer', () => {
  expect(pathwaysOf([], 'c')).toEqual([]);
  expect(pathwaysOf(['http://a.example'], 'c')).toEqual([]);
  expect(pathwaysOf(['http://a.example', 'http://a.example'], 'c')).toEqual([]);
  // Two addresses of one id would be one pathway with two meanings.
  expect(pathwaysOf(['http://a.example', 'https://a.example'], 'c')).toEqual([]);
});

test('the same edges in another order are the same pathways', () => {
  expect(pathwaysOf(['http://b', 'http://a'], 'c')).toEqual(['http://a', 'http://b']);
  expect(pathwaysOf(['http://a', 'http://b'], 'c')).toEqual(['http://a', 'http://b']);
});

test('of many edges each content names a few of its own, and all edges have their share', () => {
  const edges = Array.from({ length: 20 }, (_, at) => `https://edge-${at}.example`);
  const named = new Map<string, number>();
  for (let at = 0; at < 500; at += 1) {
    const pathways = pathwaysOf(edges, `content${at}`);
    expect(new Set(pathways).size).toBe(MOST_PATHWAYS);
    expect(pathwaysOf([...edges].reverse(), `content${at}`)).toEqual(pathways);
    for (const pathway of pathways) named.set(pathway, (named.get(pathway) ?? 0) + 1);
  }
  expect(named.size).toBe(20);
  for (const times of named.values()) expect(times).toBeGreaterThan(40);
});
