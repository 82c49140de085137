// Requests over edges: at once to the next one when an edge is dead, silent, broken off or at fault; never for a client's fault.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type EdgeRequestOptions, NoEdgeAnswered, requestFromEdges } from './edge-request.ts';
import { EdgeRing } from './edges.ts';

const A = 'http://a.test';
const B = 'http://b.test';

function setUp(answers: Record<string, (signal: AbortSignal) => Promise<Response>>) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string, init: { signal: AbortSignal }) => {
    asked.push(url);
    const answer = answers[new URL(url).origin];
    return answer ? answer(init.signal) : Promise.reject(new TypeError('refused'));
  });
  const ring = new EdgeRing(A);
  ring.update([A, B], A);
  return { ring, asked };
}

const options = (over: Partial<EdgeRequestOptions> = {}): EdgeRequestOptions => ({
  signal: new AbortController().signal,
  firstByteMs: 20,
  lastFirstByteMs: 40,
  silenceMs: 20,
  rounds: 1,
  ...over,
});
const ok = (text: string) => async () => new Response(text);
const dead = () => Promise.reject(new TypeError('refused'));
const silent = (signal: AbortSignal) =>
  new Promise<Response>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
const text = (bytes: ArrayBuffer): string => new TextDecoder().decode(bytes);

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('requestFromEdges', () => {
  it('asks the edge in use alone while it works', async () => {
    const { ring, asked } = setUp({ [A]: ok('a'), [B]: ok('b') });
    const answer = await requestFromEdges(`${A}/x`, ring, options());
    expect(text(answer.bytes)).toBe('a');
    expect(asked).toEqual([`${A}/x`]);
  });

  it.each([
    ['dead', dead],
    ['silent', silent],
    ['at fault', async () => new Response('', { status: 503 })],
  ])('goes to the other edge when this one is %s, and stays there', async (_, broken) => {
    const { ring, asked } = setUp({ [A]: broken, [B]: ok('b') });
    expect(text((await requestFromEdges(`${A}/x?y=1`, ring, options())).bytes)).toBe('b');
    expect(ring.current).toBe(B);
    await requestFromEdges(`${A}/z`, ring, options());
    expect(asked).toEqual([`${A}/x?y=1`, `${B}/x?y=1`, `${B}/z`]);
  });

  it('takes a body that breaks off or falls silent from the other edge, whole', async () => {
    const halves = (end: (controller: ReadableStreamDefaultController) => void) => async (signal: AbortSignal) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode('ha'));
            signal.addEventListener('abort', () => controller.error(signal.reason));
            end(controller);
          },
        }),
      );
    for (const end of [(c: ReadableStreamDefaultController) => c.error(new Error('reset')), () => undefined]) {
      const { ring } = setUp({ [A]: halves(end), [B]: ok('whole') });
      expect(text((await requestFromEdges(`${A}/x`, ring, options())).bytes)).toBe('whole');
    }
  });

  it('does not hold against an edge what concerns one stream everywhere', async () => {
    const away = async () => new Response('', { status: 503, headers: { 'headwater-scope': 'stream' } });
    const { ring } = setUp({ [A]: away, [B]: away });
    await expect(requestFromEdges(`${A}/x`, ring, options())).rejects.toThrow(NoEdgeAnswered);
    expect(ring.order()).toEqual([A, B]);
    expect(ring.switches).toBe(0);
  });

  it('returns a 404 without asking another edge', async () => {
    const { ring, asked } = setUp({ [A]: async () => new Response('no', { status: 404 }), [B]: ok('b') });
    expect((await requestFromEdges(`${A}/x`, ring, options())).status).toBe(404);
    expect(asked).toHaveLength(1);
    expect(ring.current).toBe(A);
  });

  it('goes over all edges as often as told, then says what was last', async () => {
    const { ring, asked } = setUp({ [A]: dead, [B]: async () => new Response('', { status: 502 }) });
    const failure = await requestFromEdges(`${A}/x`, ring, options({ rounds: 2 })).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NoEdgeAnswered);
    expect(failure).toMatchObject({ status: 502, isTimeout: false });
    expect(asked).toHaveLength(4);
  });

  it('asks home for steering whoever is in use, and holds neither answer nor failure for or against an edge', async () => {
    const { ring, asked } = setUp({ [A]: ok('a'), [B]: ok('b') });
    ring.steer(['b.test', '.'], A);
    const answer = await requestFromEdges(`${A}/steering.json`, ring, options({ isSteering: true }));
    expect(answer.base).toBe(A);
    expect(ring.current).toBe(B);
    const broken = setUp({ [A]: dead, [B]: ok('b') });
    expect((await requestFromEdges(`${A}/steering.json`, broken.ring, options({ isSteering: true }))).base).toBe(B);
    expect(broken.ring.current).toBe(A);
    expect(broken.ring.order()).toEqual([A, B]);
    expect(asked).toEqual([`${A}/steering.json`]);
    // An edge whose media fails may well answer this.
    const half = setUp({ [A]: ok('a'), [B]: ok('b') });
    half.ring.failed(A);
    await requestFromEdges(`${A}/steering.json`, half.ring, options({ isSteering: true }));
    expect(half.ring.order()).toEqual([B, A]);
  });

  it('stops when aborted, and asks nobody else', async () => {
    const { ring, asked } = setUp({ [A]: silent, [B]: ok('b') });
    const abort = new AbortController();
    const request = requestFromEdges(`${A}/x`, ring, options({ signal: abort.signal, firstByteMs: 10_000 }));
    abort.abort(new Error('enough'));
    await expect(request).rejects.toThrow('enough');
    expect(asked).toHaveLength(1);
    expect(ring.current).toBe(A);
  });

  describe('for an answer that may be held back', () => {
    const held = options({ firstByteMs: 500, lastFirstByteMs: 500, hedgeMs: 20 });
    const late =
      (ms: number, body: string, init: ResponseInit = {}) =>
      async () => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        return new Response(body, init);
      };
    /** Time stands still but for this: who answers first is a matter of the numbers, however slow the machine is. */
    const answerOf = async (ring: EdgeRing): Promise<string> => {
      const request = requestFromEdges(`${A}/x`, ring, held);
      const [answer] = await Promise.all([request, vi.advanceTimersByTimeAsync(400)]);
      return text(answer.bytes);
    };
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    it('asks one edge alone while that answers in time', async () => {
      const { ring, asked } = setUp({ [A]: late(5, 'a'), [B]: ok('b') });
      expect(await answerOf(ring)).toBe('a');
      expect(asked).toEqual([`${A}/x`]);
    });
    it('takes the other edge when this one stays silent', async () => {
      const { ring, asked } = setUp({ [A]: silent, [B]: ok('b') });
      expect(await answerOf(ring)).toBe('b');
      expect(asked).toEqual([`${A}/x`, `${B}/x`]);
      expect(ring.current).toBe(B);
    });
    it('holds nothing against an edge that only held too', async () => {
      const { ring } = setUp({ [A]: late(60, 'a'), [B]: late(20, 'b') });
      expect(await answerOf(ring)).toBe('b');
      expect(ring.current).toBe(A);
    });
    it('takes the answer that comes when the other one is a refusal', async () => {
      const refused = setUp({ [A]: late(60, 'a'), [B]: async () => new Response('', { status: 503 }) });
      expect(await answerOf(refused.ring)).toBe('a');
      const broken = setUp({ [A]: late(40, '', { status: 500 }), [B]: late(60, 'b') });
      expect(await answerOf(broken.ring)).toBe('b');
      expect(broken.ring.current).toBe(B);
    });
  });
});
