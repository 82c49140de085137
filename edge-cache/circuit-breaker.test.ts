import { beforeEach, describe, expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.ts';

describe('a circuit', () => {
  let nowMs: number;
  let changes: string[];
  let circuit: CircuitBreaker;
  const fail = (times: number): void => {
    for (let n = 0; n < times; n += 1) circuit.failed();
  };

  beforeEach(() => {
    nowMs = 1_000;
    changes = [];
    circuit = new CircuitBreaker(
      () => nowMs,
      (state) => void changes.push(state),
    );
  });

  it('opens when half of twenty requests or more fail, not before', () => {
    for (let n = 0; n < 10; n += 1) circuit.succeeded();
    fail(9);
    expect(circuit.state).toBe('closed');
    fail(1);
    expect(circuit.state).toBe('open');
    expect(circuit.isPassable).toBe(false);
  });

  it('stays closed while most requests succeed, and forgets old failures', () => {
    for (let n = 0; n < 30; n += 1) circuit.succeeded();
    fail(29);
    expect(circuit.state).toBe('closed');
    nowMs += 10_000;
    fail(19);
    expect(circuit.state).toBe('closed');
  });

  it('lets one request at a time try after a second, and closes when it succeeds', () => {
    fail(20);
    nowMs += 999;
    expect(circuit.state).toBe('open');
    nowMs += 1;
    expect(circuit.isPassable).toBe(true);
    circuit.chosen();
    expect(circuit.isPassable).toBe(false);
    circuit.succeeded();
    expect(circuit.isPassable).toBe(true);
    expect(changes).toEqual(['open', 'half-open', 'closed']);
    fail(9);
    expect(circuit.state).toBe('closed');
  });

  it('stays open twice as long each time the trial fails, up to 4 s', () => {
    fail(20);
    const openMs: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      const fromMs = nowMs;
      while (circuit.state === 'open') nowMs += 500;
      openMs.push(nowMs - fromMs);
      circuit.chosen();
      circuit.failed();
    }
    expect(openMs).toEqual([1_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it('does not take the failure of an older request for that of a trial', () => {
    fail(20);
    nowMs += 1_000;
    expect(circuit.state).toBe('half-open');
    circuit.failed();
    expect(circuit.state).toBe('half-open');
  });

  it('lets the next request try when nothing was heard of a trial for three seconds', () => {
    fail(20);
    nowMs += 1_000;
    circuit.chosen();
    nowMs += 2_999;
    expect(circuit.isPassable).toBe(false);
    nowMs += 1;
    expect(circuit.isPassable).toBe(true);
  });

  it('is hopeless while it is open and nothing has come back lately', () => {
    circuit.succeeded();
    fail(20);
    expect(circuit.isHopeless).toBe(false);
    nowMs += 500;
    expect(circuit.isHopeless).toBe(false);
    circuit = new CircuitBreaker(
      () => nowMs,
      () => undefined,
    );
    fail(20);
    expect(circuit.isHopeless).toBe(true);
    circuit.tryNow();
    expect(circuit.isHopeless).toBe(false);
  });
});
