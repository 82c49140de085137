// Which edge a page uses: sticky while it works, the other one at once when it fails, back when that one fails too.
import { describe, expect, it } from 'vitest';
import { EDGE_PENALTY_MS, EdgeRing, onEdge, withPathway, withViewer } from './edges.ts';

const A = 'http://localhost:8080';
const B = 'http://localhost:8081';

function ring(): { edges: EdgeRing; clock: { now: number } } {
  const clock = { now: 1_000 };
  const edges = new EdgeRing(A, () => clock.now);
  edges.update([A, B], A);
  return { edges, clock };
}

describe('EdgeRing', () => {
  it('begins with the edge that served the page', () => {
    const { edges } = ring();
    expect(edges.current).toBe(A);
    expect(edges.order()).toEqual([A, B]);
  });

  it('keeps the name under which the page reached its own edge', () => {
    const edges = new EdgeRing('http://127.0.0.1:8080');
    edges.update([A, `${B}/`], 'http://127.0.0.1:8080');
    expect(edges.bases).toEqual(['http://127.0.0.1:8080', B]);
  });

  it('stays with an edge while it works, whoever else answers', () => {
    const { edges } = ring();
    edges.succeeded(B);
    expect(edges.current).toBe(A);
    expect(edges.switches).toBe(0);
  });

  it('moves to the edge that answered after the one in use failed, and stays there', () => {
    const { edges, clock } = ring();
    edges.failed(A);
    expect(edges.order()).toEqual([B, A]);
    edges.succeeded(B);
    expect(edges.current).toBe(B);
    expect(edges.switches).toBe(1);
    clock.now += EDGE_PENALTY_MS * 10;
    expect(edges.order()).toEqual([B, A]);
  });

  it('moves back when the second one fails too', () => {
    const { edges, clock } = ring();
    edges.failed(A);
    edges.succeeded(B);
    clock.now += EDGE_PENALTY_MS + 1;
    edges.failed(B);
    edges.succeeded(A);
    expect(edges.current).toBe(A);
    expect(edges.switches).toBe(2);
  });

  it('still offers every edge when all failed', () => {
    const { edges } = ring();
    edges.failed(A);
    edges.failed(B);
    expect(edges.order()).toEqual([A, B]);
  });

  it('forgets an edge that left the list, except the page’s own', () => {
    const { edges } = ring();
    edges.update([B, 'http://localhost:8082'], B);
    expect(edges.bases).toEqual([A, B, 'http://localhost:8082']);
    edges.update([A], A);
    expect(edges.bases).toEqual([A]);
  });

  it('returns to the page’s own edge when the one in use left the list', () => {
    const { edges } = ring();
    edges.failed(A);
    edges.succeeded(B);
    edges.update([A], A);
    expect(edges.current).toBe(A);
  });

  it('leaves plain http edges out on a secure page', () => {
    const edges = new EdgeRing('https://one.example');
    edges.update(['https://one.example', B, 'https://two.example'], 'https://one.example');
    expect(edges.bases).toEqual(['https://one.example', 'https://two.example']);
  });
});

describe('EdgeRing under steering', () => {
  const [idA, idB] = ['localhost-8080', 'localhost-8081'];

  it('says which pathway it is on, home under the name that home itself gives it', () => {
    const { edges } = ring();
    expect(edges.pathway).toBe('.');
    edges.steer([idB, '.'], A);
    expect(edges.current).toBe(B);
    expect(edges.pathway).toBe(idB);
  });

  it('moves to the edge that comes first, asks home for the next manifest, and comes back when that says so', () => {
    const { edges } = ring();
    edges.steer([idB, '.'], A);
    expect(edges.order()).toEqual([B, A]);
    expect(edges.steeringOrder()).toEqual([A, B]);
    edges.steer(['.', idB], A);
    expect(edges.current).toBe(A);
    expect(edges.switches).toBe(2);
  });

  it('takes the dot for whoever answered', () => {
    const { edges } = ring();
    edges.steer(['.', idA], B);
    expect(edges.current).toBe(B);
  });

  it('does not go where it has just failed, however steering praises it', () => {
    const { edges, clock } = ring();
    edges.failed(A);
    edges.succeeded(B);
    edges.steer(['.', idB], A);
    expect(edges.current).toBe(B);
    expect(edges.switches).toBe(1);
    clock.now += EDGE_PENALTY_MS + 1;
    edges.steer(['.', idB], A);
    expect(edges.current).toBe(A);
  });

  it('leaves a dead edge at once although steering has not heard of it, for the one that steering likes best', () => {
    const C = 'http://localhost:8082';
    const { edges } = ring();
    edges.update([A, B, C], A);
    edges.steer(['.', 'localhost-8082', idB], A);
    edges.failed(A);
    expect(edges.order()).toEqual([C, B, A]);
    edges.succeeded(C);
    expect(edges.current).toBe(C);
  });

  it('passes over pathways it does not know, and stays where nothing is left', () => {
    const { edges } = ring();
    edges.steer(['elsewhere.example', idB], A);
    expect(edges.current).toBe(B);
    edges.steer(['elsewhere.example'], A);
    edges.steer([], A);
    expect(edges.current).toBe(B);
  });

  it('knows its own edge under both names', () => {
    const home = 'http://127.0.0.1:8080';
    const edges = new EdgeRing(home);
    edges.update([A, B], home);
    edges.steer([idB, '.'], home);
    // The other edge lists this one under its public name: it is no third edge.
    edges.update([B, A], B);
    expect(edges.bases).toEqual([home, B]);
    edges.steer([idA, '.'], B);
    expect(edges.current).toBe(home);
  });
});

describe('addresses', () => {
  it('moves an address to another edge with path and query', () => {
    expect(onEdge(`${A}/v/-/x/v240/index.m3u8?a=1`, [A, B], B)).toBe(`${B}/v/-/x/v240/index.m3u8?a=1`);
    expect(onEdge(`${B}/x`, [A, B], A)).toBe(`${A}/x`);
  });

  it('does not take a longer host for an edge', () => {
    expect(onEdge('http://localhost:80801/x', [A, B], B)).toBe('http://localhost:80801/x');
    expect(onEdge('https://elsewhere.example/x', [A, B], B)).toBe('https://elsewhere.example/x');
  });

  it('numbers the viewer on media playlists only, beside other parameters', () => {
    expect(withViewer(`${A}/v/-/x/v240/index.m3u8?_HLS_msn=3`, 'n1')).toBe(
      `${A}/v/-/x/v240/index.m3u8?_HLS_msn=3&viewer=n1`,
    );
    expect(withViewer(`${A}/abc.m3u8`, 'n1')).toBe(`${A}/abc.m3u8`);
    expect(withViewer(`${A}/v/-/x/v240/0/s1.abcd.m4s`, 'n1')).toBe(`${A}/v/-/x/v240/0/s1.abcd.m4s`);
  });

  it('says the pathway in the address of a steering manifest, once', () => {
    expect(withPathway(`${A}/steering.json?_HLS_pathway=.&_HLS_throughput=5`, 'localhost-8081')).toBe(
      `${A}/steering.json?_HLS_pathway=localhost-8081&_HLS_throughput=5`,
    );
  });
});
