// Waits that stand on the fake clock of a test, which node's own promise timers do not.

/** As runtime/waits.ts `delay`. @param ms of the fake clock */
export const fakeWait = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
