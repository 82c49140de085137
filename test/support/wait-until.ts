// Waiting for something that cannot be awaited, with a limit.

/**
 * Asks again and again until the answer is truthy.
 * @param what named in the error
 * @param limitMs default 10 s
 * @returns the answer
 * @throws Error when the limit passed
 */
export async function waitUntil<T>(what: string, ask: () => T | Promise<T>, limitMs = 10_000): Promise<NonNullable<T>> {
  for (const deadline = performance.now() + limitMs; ; ) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
