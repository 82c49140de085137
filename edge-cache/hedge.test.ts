// When an answer is late, and what two requests beside each other come to.
import { describe, expect, it } from 'vitest';
import { AnswerTimes, hedged } from './hedge.ts';

describe('the time after which an answer is late', () => {
  const known = (times: AnswerTimes, origin: string, count: number, ms: (n: number) => number): void => {
    for (let n = 0; n < count; n += 1) times.add('segment', origin, ms(n));
  };

  it('is not known before thirty answers of the same kind', () => {
    const times = new AnswerTimes();
    known(times, 'a', 29, () => 100);
    expect(times.lateMs('segment')).toBeNull();
    known(times, 'a', 1, () => 100);
    expect(times.lateMs('segment')).not.toBeNull();
    expect(times.lateMs('master')).toBeNull();
  });

  it('is what 95 of 100 answers took at most, to a quarter', () => {
    const times = new AnswerTimes();
    known(times, 'a', 5_000, (n) => 1 + (n % 100) * 10);
    expect(times.lateMs('segment')).toBeGreaterThanOrEqual(940);
    expect(times.lateMs('segment')).toBeLessThan(940 * 1.25 * 1.25);
  });

  it('follows the quickest origin, and is never below 100 ms', () => {
    const times = new AnswerTimes();
    known(times, 'slow', 500, () => 2_000);
    known(times, 'quick', 500, () => 180);
    expect(times.lateMs('segment')).toBeGreaterThanOrEqual(180);
    expect(times.lateMs('segment')).toBeLessThan(180 * 1.25);
    known(times, 'here', 500, () => 0.2);
    expect(times.lateMs('segment')).toBe(100);
  });

  it('follows what has changed', () => {
    const times = new AnswerTimes();
    known(times, 'a', 20_000, () => 1_000);
    known(times, 'a', 5_000, () => 150);
    expect(times.lateMs('segment')).toBeLessThan(150 * 1.25);
  });
});

/** Two ways that the test ends, and the moment at which the first one is late. */
function race(hasSecond = true) {
  const ways = { first: open<string>(), second: open<string>(), late: open<void>() };
  const signals: Record<string, AbortSignal> = {};
  const dropped: string[] = [];
  const parent = new AbortController();
  const way = (name: 'first' | 'second') => (signal: AbortSignal) => {
    signals[name] = signal;
    return ways[name].promise;
  };
  const result = hedged<string>({
    first: way('first'),
    second: () => (hasSecond ? way('second') : null),
    isGood: (text) => text.startsWith('good'),
    isOpen: (text) => text.includes('growing'),
    drop: (text) => void dropped.push(text),
    late: () => ways.late.promise,
    signal: parent.signal,
  });
  return { ...ways, signals, dropped, parent, result };
}

function open<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (thrown: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

describe('a hedged request', () => {
  it('is alone while it is not late', async () => {
    const { first, late, signals, result } = race();
    first.resolve('good first');
    expect(await result).toEqual(['good first']);
    late.resolve();
    await late.promise;
    expect(signals['second']).toBeUndefined();
    expect(signals['first']?.aborted).toBe(false);
  });

  it('is overtaken: the second answer counts, the first request ends, what it still brings is dropped', async () => {
    const { first, second, late, signals, dropped, result } = race();
    late.resolve();
    await late.promise;
    second.resolve('good second');
    expect(await result).toEqual(['good second']);
    expect(signals['first']?.aborted).toBe(true);
    expect(signals['second']?.aborted).toBe(false);
    first.resolve('good first');
    await first.promise;
    expect(dropped).toEqual(['good first']);
  });

  it('ends with whoever wanted it while its body is on the way', async () => {
    const whole = race();
    whole.first.resolve('good');
    await whole.result;
    whole.parent.abort();
    expect(whole.signals['first']?.aborted).toBe(false);
    const growing = race();
    growing.first.resolve('good, growing');
    await growing.result;
    growing.parent.abort();
    expect(growing.signals['first']?.aborted).toBe(true);
  });

  it('may still win itself', async () => {
    const { first, late, signals, result } = race();
    late.resolve();
    await late.promise;
    first.resolve('good first');
    expect(await result).toEqual(['good first']);
    expect(signals['second']?.aborted).toBe(true);
  });

  it('waits for the other one when one fails, and gives both failures when both do', async () => {
    const won = race();
    won.late.resolve();
    await won.late.promise;
    won.first.resolve('bad first');
    await won.first.promise;
    won.second.resolve('good second');
    expect(await won.result).toEqual(['bad first', 'good second']);
    const lost = race();
    lost.late.resolve();
    await lost.late.promise;
    lost.second.resolve('bad second');
    lost.first.resolve('bad first');
    expect(await lost.result).toEqual(['bad second', 'bad first']);
  });

  it('that fails in time, or has nobody beside it, is over with its failure', async () => {
    const early = race();
    early.first.resolve('bad first');
    expect(await early.result).toEqual(['bad first']);
    const alone = race(false);
    alone.late.resolve();
    await alone.late.promise;
    alone.first.resolve('bad first');
    expect(await alone.result).toEqual(['bad first']);
  });

  it('ends both ways with whoever wanted it, and with what one of them throws', async () => {
    const left = race();
    left.late.resolve();
    await left.late.promise;
    left.parent.abort();
    expect([left.signals['first']?.aborted, left.signals['second']?.aborted]).toEqual([true, true]);
    const broken = race();
    broken.late.resolve();
    await broken.late.promise;
    broken.second.reject(new Error('too large'));
    await expect(broken.result).rejects.toThrow('too large');
    expect(broken.signals['first']?.aborted).toBe(true);
  });
});
