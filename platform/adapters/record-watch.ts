// The record index as a part of a role: made anew whenever Redis has lost it.
import type { Component } from '../runtime/lifecycle.ts';
import type { Loop } from '../runtime/waits.ts';
import type { Records } from './records.ts';

/**
 * Keeps the index in Redis in place while a role runs.
 * @param options `isAwaited`: start() ends only when the index is there, and fails with what ensureIndex() throws; else it waits for nothing
 */
export function indexWatch(
  records: Pick<Records, 'ensureIndex' | 'watchIndex'>,
  options: { isAwaited: boolean },
): Component {
  let loop: Loop | null = null;
  return {
    async start() {
      if (options.isAwaited) await records.ensureIndex();
      loop = records.watchIndex();
    },
    async close() {
      await loop?.close();
      loop = null;
    },
  };
}
