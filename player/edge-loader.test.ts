// The loader that hls.js uses, on a steering manifest: what the ring learns from it.
import { afterEach, expect, it, vi } from 'vitest';
import { edgeLoader } from './edge-loader.ts';
import { EdgeRing } from './edges.ts';

const A = 'http://a.test';
const B = 'http://b.test';

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Loads an address as hls.js does. @returns what hls.js gets */
function load(ring: EdgeRing, context: { url: string; type: string; responseType: string }): Promise<unknown> {
  const Loader = edgeLoader(ring, 'viewer', () => ({ firstByteMs: 100, hedgeMs: 50 }));
  return new Promise((resolve, reject) => {
    new Loader().load(context, null, {
      onSuccess: ({ data }) => resolve(data),
      onError: (error) => reject(new Error(error.text)),
      onTimeout: () => reject(new Error('timeout')),
    });
  });
}

function twoEdges(answer: (url: string) => Response): { ring: EdgeRing; asked: string[] } {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url);
    return answer(url);
  });
  const ring = new EdgeRing(A);
  ring.update([A, B], A);
  return { ring, asked };
}

const manifest = (...priority: string[]) =>
  new Response(JSON.stringify({ VERSION: 1, TTL: 10, 'PATHWAY-PRIORITY': priority }));
const steering = { url: `${A}/steering.json?_HLS_pathway=.`, type: 'steering-manifest', responseType: 'json' };

it('moves the ring as the manifest says, and tells the edges where it is', async () => {
  const { ring, asked } = twoEdges(() => manifest('b.test', '.'));
  expect(await load(ring, steering)).toMatchObject({ TTL: 10, 'PATHWAY-PRIORITY': ['b.test', '.'] });
  expect(ring.current).toBe(B);
  await load(ring, steering);
  expect(asked).toEqual([`${A}/steering.json?_HLS_pathway=.`, `${A}/steering.json?_HLS_pathway=b.test`]);
});

it('asks once round the edges, and stays where it is without an answer', async () => {
  const { ring, asked } = twoEdges(() => new Response('', { status: 503 }));
  await expect(load(ring, steering)).rejects.toThrow();
  expect(asked).toHaveLength(2);
  expect(ring.order()).toEqual([A, B]);
});

it('takes no order from what is no steering manifest', async () => {
  const { ring } = twoEdges(() => manifest('b.test'));
  await load(ring, { ...steering, url: `${A}/x.json`, type: 'manifest' });
  expect(ring.current).toBe(A);
  vi.stubGlobal('fetch', async () => new Response('{}'));
  await load(ring, steering);
  expect(ring.current).toBe(A);
});
