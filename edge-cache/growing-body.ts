// The body of a fill under way: one buffer that grows, read by any number of viewers while it does.

export class GrowingBody {
  readonly length: number;
  readonly #bytes: Buffer;
  #filled = 0;
  #failure: unknown = null;
  #changed = signal();

  /** @param length bytes of the whole body, known from the origin */
  constructor(length: number) {
    this.length = length;
    // Not from the shared pool: a cached object must not pin its neighbours.
    this.#bytes = Buffer.allocUnsafeSlow(length);
  }

  /** The whole body; only when every byte is there. */
  get whole(): Buffer | null {
    return this.#filled === this.length ? this.#bytes : null;
  }

  /** @throws RangeError when more comes than announced */
  append(chunk: Buffer): void {
    this.#bytes.set(chunk, this.#filled);
    this.#filled += chunk.length;
    this.#wake();
  }

  /** No more will come: every reader gets the error after the bytes that are there. */
  fail(failure: unknown): void {
    this.#failure = failure;
    this.#wake();
  }

  /** Bytes [from, to) as they arrive. @throws what fail() was given */
  async *read(from: number, to: number): AsyncGenerator<Buffer> {
    for (let at = from; at < to; ) {
      const end = Math.min(to, this.#filled);
      if (end > at) {
        yield this.#bytes.subarray(at, end);
        at = end;
      } else if (this.#failure !== null) throw this.#failure;
      else await this.#changed.promise;
    }
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = signal();
    changed.raise();
  }
}

/** A promise and its end, shared by every reader that waits for the next bytes. */
function signal(): { promise: Promise<void>; raise: () => void } {
  let raise: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    raise = resolve;
  });
  return { promise, raise };
}
