// What is done when a test file has ended, whether it passed or not. Test workers are ended by a signal, so `exit` alone is not enough.

/**
 * Runs `work` after the last hook of the test file, and at the process's exit. Call it when a support file is loaded.
 * @param work may run twice
 */
export async function atTestEnd(work: () => void): Promise<void> {
  process.on('exit', work);
  if (process.env['VITEST'] === undefined) return;
  const { afterAll } = await import('vitest');
  // Hooks run in reverse order, and this file is loaded before the test's own hooks are made.
  afterAll(work);
}
