// What all tests of a file share, like a platform or a browser: started before the first of them, ended after the last.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { startBrowser } from './browser.ts';
import { type Platform, type PlatformOptions, startPlatform } from './platform.ts';

/**
 * To be called at the top of a test file; of several, the last is ended first.
 * @param limitMs longest time for `start`
 * @returns what gives it to a running test
 */
export function oncePerFile<T>(start: () => Promise<T>, end: (made: T) => Promise<void>, limitMs: number): () => T {
  const made: T[] = [];
  beforeAll(async () => {
    made.push(await start());
  }, limitMs);
  afterAll(async () => {
    for (const one of made.splice(0)) await end(one);
  });
  return () => {
    const [one] = made;
    if (one === undefined) throw new Error('no test is running');
    return one;
  };
}

export const platformPerFile = (options: PlatformOptions): (() => Platform) =>
  oncePerFile(
    () => startPlatform(options),
    (platform) => platform.stop(),
    120_000,
  );

export const browserPerFile = (): (() => Browser) => oncePerFile(startBrowser, (browser) => browser.close(), 60_000);
