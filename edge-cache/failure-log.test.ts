// An outage is told once per interval, with the number of repeats.
import { describe, expect, it } from 'vitest';
import { type LogFields, silentLogger } from '../platform/runtime/log.ts';
import { createFailureLog } from './failure-log.ts';

describe('the failure log', () => {
  it('tells the first of each kind at once and then counts', () => {
    const lines: [string, LogFields | undefined][] = [];
    let nowMs = 0;
    const logger = { ...silentLogger, warn: (event: string, fields?: LogFields) => void lines.push([event, fields]) };
    const failures = createFailureLog(logger, 5_000, () => nowMs);
    for (let i = 0; i < 100; i += 1) failures.warn('origin failed a request', { origin: 'a' });
    failures.warn('request failed', {});
    expect(lines).toEqual([
      ['origin failed a request', { origin: 'a' }],
      ['request failed', {}],
    ]);
    nowMs = 5_000;
    failures.warn('origin failed a request', { origin: 'b' });
    expect(lines[2]).toEqual(['origin failed a request', { origin: 'b', repeats: 99 }]);
  });
});
