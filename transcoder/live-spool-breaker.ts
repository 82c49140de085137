// Whether the store is asked first: after a failure, or several slow answers, live media goes to the disk at once until the store has
// caught up. Pure but for its clock.

/** Slow answers in a row that count as away. One alone is a hiccup: its object goes to the disk, the next one is tried again. */
const SLOW_LIMIT = 3;

export class StoreBreaker {
  #slow = 0;
  #openSince: number | null = null;
  readonly #now: () => number;
  readonly #changed: (isOpen: boolean, seconds: number) => void;

  /** @param changed called at each change; `seconds` it was open, when it closes. @param now steady clock, ms */
  constructor(changed: (isOpen: boolean, seconds: number) => void, now: () => number = () => performance.now()) {
    this.#changed = changed;
    this.#now = now;
  }

  /** Open: the store is left alone, but for one try at a time. */
  get isOpen(): boolean {
    return this.#openSince !== null;
  }

  quick(): void {
    this.#slow = 0;
  }

  slow(): void {
    this.#slow += 1;
    if (this.#slow >= SLOW_LIMIT) this.failed();
  }

  failed(): void {
    if (this.#openSince !== null) return;
    this.#openSince = this.#now();
    this.#changed(true, 0);
  }

  /** Nothing waits any more. */
  caughtUp(): void {
    this.#slow = 0;
    if (this.#openSince === null) return;
    const seconds = (this.#now() - this.#openSince) / 1_000;
    this.#openSince = null;
    this.#changed(false, seconds);
  }
}
