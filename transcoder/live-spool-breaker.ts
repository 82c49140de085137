// Whether the store is asked first: after a failure, or a second of nothing but slow answers, live media goes to the disk at once until
// the store has caught up. Pure but for its clock.

/** A hiccup is bridged by the disk and ends by itself; this long without one quick answer, the store counts as away. Unit: ms. */
const SLOW_MS = 1_000;

export class StoreBreaker {
  #slowSince: number | null = null;
  #openSince: number | null = null;
  readonly #changed: (isOpen: boolean, ms: number) => void;
  readonly #now: () => number;

  /** @param changed called at each change; `ms` it was open, when it closes. @param now steady clock, ms */
  constructor(changed: (isOpen: boolean, ms: number) => void, now: () => number = () => performance.now()) {
    this.#changed = changed;
    this.#now = now;
  }

  /** Open: the store is left alone, but for one try at a time. */
  get isOpen(): boolean {
    return this.#openSince !== null;
  }
  /** How long it has been open; 0 when it is not. */
  get openMs(): number {
    return this.#openSince === null ? 0 : this.#now() - this.#openSince;
  }

  quick(): void {
    this.#slowSince = null;
  }

  slow(): void {
    this.#slowSince ??= this.#now();
    if (this.#now() - this.#slowSince >= SLOW_MS) this.failed();
  }

  failed(): void {
    if (this.#openSince !== null) return;
    this.#openSince = this.#now();
    this.#changed(true, 0);
  }

  /** Nothing waits any more. */
  caughtUp(): void {
    this.#slowSince = null;
    const ms = this.openMs;
    if (this.#openSince === null) return;
    this.#openSince = null;
    this.#changed(false, ms);
  }
}
