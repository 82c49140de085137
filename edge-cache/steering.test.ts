// Where viewers are told to go: home, away from drained and broken edges, back; and how many leave a crowded one.
import { describe, expect, test } from 'vitest';
import { newId } from '../platform/contract/ids.ts';
import type { NodeInfo } from '../platform/contract/nodes.ts';
import { createMetrics } from '../platform/runtime/metrics.ts';
import { requestOf, unseenMetrics } from '../test/support/edge-world.ts';
import { STEERING_TTL_S, type SteeredEdge, Steering, steer, steeredEdges } from './steering.ts';

const home = (more: Partial<SteeredEdge> = {}): SteeredEdge => ({
  address: 'http://home:1',
  isHome: true,
  isFit: true,
  load: 10,
  ...more,
});
const other = (name: string, more: Partial<SteeredEdge> = {}): SteeredEdge => ({
  address: `http://${name}:1`,
  isHome: false,
  isFit: true,
  load: 10,
  ...more,
});

/** mulberry32: the same numbers at each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Case = [name: string, edges: SteeredEdge[], at: string | null, priority: string[], reason: string];
const drained = { isFit: false };
const cases: Case[] = [
  ['home first, the others as substitutes', [home(), other('b')], '.', ['.', 'b-1'], 'home'],
  ['nobody but home', [home()], null, ['.'], 'home'],
  ['home under its own name is home', [home(), other('b')], 'home-1', ['.', 'b-1'], 'home'],
  ['home is drained: to another', [home(drained), other('b')], '.', ['b-1', '.'], 'away'],
  ['home is drained: who is away stays', [home(drained), other('b'), other('c')], 'c-1', ['c-1', 'b-1', '.'], 'stay'],
  ['the edge in use is drained: home', [home(), other('b', drained)], 'b-1', ['.', 'b-1'], 'home'],
  ['a broken substitute comes last', [home(), other('b', drained), other('c')], '.', ['.', 'c-1', 'b-1'], 'home'],
  ['nobody is fit: home', [home(drained), other('b', drained)], '.', ['.', 'b-1'], 'home'],
  ['home is well again: back', [home(), other('b')], 'b-1', ['.', 'b-1'], 'back'],
  [
    'a full home, just as full elsewhere: stay',
    [home({ load: 5_000 }), other('b', { load: 5_000 })],
    'b-1',
    ['b-1', '.'],
    'stay',
  ],
  ['a pathway nobody knows: home', [home(), other('b')], '"x"', ['.', 'b-1'], 'home'],
];

describe('steer', () => {
  test.each(cases)('%s', (_name, edges, at, priority, reason) => {
    expect(steer(edges, at, seeded(1))).toEqual({ priority, reason });
  });

  test('several nodes behind one address are one edge, fit while one of them is', () => {
    const edges = [home(drained), home({ isHome: false }), other('b', drained), other('b')];
    expect(steer(edges, '.', seeded(1)).priority).toEqual(['.', 'b-1']);
    expect(steer([home(drained), other('b', drained), other('b')], '.', seeded(1)).priority).toEqual(['b-1', '.']);
  });

  test('several nodes behind one address carry what they carry together', () => {
    const edges = [home({ load: 700 }), home({ isHome: false, load: 700 }), other('b', { load: 1_000 })];
    expect(steer(edges, 'b-1', seeded(1)).reason).toBe('stay');
  });

  test('no pathway stands in the list twice', () => {
    const edges = [home(), other('b'), { ...other('b'), address: 'https://b:1' }];
    expect(steer(edges, '.', seeded(1)).priority).toEqual(['.', 'b-1']);
  });

  test('a secure edge sends nobody where a secure page may not load', () => {
    const secure = { ...home(drained), address: 'https://home' };
    const edges = [secure, other('b'), { ...other('c'), address: 'https://c' }];
    expect(steer(edges, '.', seeded(1)).priority).toEqual(['c', '.']);
  });

  test('viewers of a drained edge spread over the others, more of them to the emptier one', () => {
    const edges = [home(drained), other('b', { load: 300 }), other('c', { load: 100 })];
    const random = seeded(7);
    let toEmpty = 0;
    for (let count = 0; count < 10_000; count += 1) if (steer(edges, '.', random).priority[0] === 'c-1') toEmpty += 1;
    // 1/101 against 1/301.
    expect(toEmpty / 10_000).toBeGreaterThan(0.73);
    expect(toEmpty / 10_000).toBeLessThan(0.77);
  });

  test('a crowded edge gives part of its surplus away, and the round after round settles without going to and fro', () => {
    const random = seeded(3);
    /** Where each viewer is: all of them at home, which is the same for all. */
    const at: string[] = Array.from({ length: 8_000 }, () => '.');
    const moves: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      const atHome = at.filter((place) => place === '.').length;
      const edges = [home({ load: atHome }), other('b', { load: at.length - atHome })];
      let moved = 0;
      for (const [index, place] of at.entries()) {
        const next = steer(edges, place, random).priority[0] ?? '';
        if (next !== place) moved += 1;
        at[index] = next;
      }
      moves.push(moved);
    }
    const left = at.filter((place) => place === '.').length;
    expect(left).toBeGreaterThan(3_500);
    expect(left).toBeLessThan(6_100);
    expect(moves[0]).toBeLessThan(2_500);
    expect(moves.slice(-6)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('below a thousand connections nobody is sent away for others having fewer', () => {
    const edges = [home({ load: 900 }), other('b', { load: 0 })];
    const random = seeded(9);
    for (let count = 0; count < 500; count += 1) expect(steer(edges, '.', random).reason).toBe('home');
  });
});

const node = (more: Partial<NodeInfo>): NodeInfo => ({
  id: newId(),
  role: 'edge',
  url: 'http://10.0.0.1:1',
  public_url: 'http://b:1',
  private_url: 'http://10.0.0.1:2',
  state: 'healthy',
  started_at: 0,
  pid: 1,
  version: '0',
  load: { connections: 4, origins_up: 2 },
  ...more,
});

test('of the registry: itself once, drained edges and those without an origin as unfit', () => {
  const own = { id: newId<NodeInfo['id']>(), address: 'http://home:1', isFit: true, load: 3 };
  const nodes = [
    node({ id: own.id, public_url: own.address }),
    node({}),
    node({ public_url: 'http://c:1', state: 'draining' }),
    node({ public_url: 'http://d:1', load: { connections: 1, origins_up: 0 } }),
    node({ public_url: null }),
  ];
  expect(steeredEdges(own, nodes)).toEqual([
    home({ load: 3 }),
    other('b', { load: 4 }),
    other('c', { load: 4, isFit: false }),
    other('d', { load: 1, isFit: false }),
  ]);
});

describe('/steering.json', () => {
  const metrics = createMetrics(false);
  const { steered } = unseenMetrics(metrics);
  const steering = new Steering(() => [home(drained), other('b'), other('c')], steered, seeded(1));
  const ask = (query: string) => steering.answer(requestOf(`/steering.json${query}`), '/steering.json');

  test('is a steering manifest for this viewer alone, readable for every page', async () => {
    const answer = ask('?_HLS_pathway=c-1&_HLS_throughput=5000000');
    expect(answer).toMatchObject({ status: 200, kind: 'steering', result: 'local' });
    expect(answer?.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
    });
    expect(JSON.parse(String(answer?.body))).toEqual({
      VERSION: 1,
      TTL: STEERING_TTL_S,
      'RELOAD-URI': 'steering.json',
      'PATHWAY-PRIORITY': ['c-1', 'b-1', '.'],
    });
    expect(await metrics.expose()).toContain('headwater_edge_steering_total{reason="stay"} 1');
  });

  test('takes a pathway in quotes, and has nothing to say of other addresses', () => {
    expect(String(ask('?_HLS_pathway=%22b-1%22')?.body)).toContain('["b-1","c-1","."]');
    expect(steering.answer(requestOf('/edges.json'), '/edges.json')).toBeNull();
  });
});
