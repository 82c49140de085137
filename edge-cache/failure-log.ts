// Repeated failures: counted, and told once per interval, so that an outage does not bury the log.
import type { LogFields, Logger } from '../platform/runtime/log.ts';

export interface FailureLog {
  /** Warns at once the first time, then once per interval with the number of repeats. */
  warn(event: string, fields: LogFields): void;
}

/** @param intervalMs milliseconds; @param now monotonic milliseconds */
export function createFailureLog(log: Logger, intervalMs: number, now: () => number): FailureLog {
  const told = new Map<string, { atMs: number; repeats: number }>();
  return {
    warn(event, fields) {
      const last = told.get(event);
      if (last !== undefined && now() - last.atMs < intervalMs) {
        last.repeats += 1;
        return;
      }
      log.warn(event, last !== undefined && last.repeats > 0 ? { ...fields, repeats: last.repeats } : fields);
      told.set(event, { atMs: now(), repeats: 0 });
    },
  };
}
