// How many more requests an edge may cause than viewers did: when origins are slow because they are overloaded, retries make it worse.
import { SlidingCount } from './sliding-count.ts';

const WINDOW_MS = 10_000;
/** Retries per request. */
const SHARE = 0.2;
/** Retries per window that are always free: an edge with little to do must not fail its few requests. */
const FLOOR = 10;

/**
 * Shared by all requests of this edge. It pays for hedges, timeouts and 5xx of origins that are thought well. Refused and reset
 * connections cost their origin nothing, and whoever leaves an origin that was just taken out has to go somewhere: both are free.
 */
export class RetryBudget {
  readonly #requests: SlidingCount;
  readonly #retries: SlidingCount;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#requests = new SlidingCount(WINDOW_MS, now);
    this.#retries = new SlidingCount(WINDOW_MS, now);
  }

  /** A request to the origins begins. */
  began(): void {
    this.#requests.add();
  }

  /** Takes one retry out. @returns false when the budget is spent: then it must not be sent */
  take(): boolean {
    if (this.#retries.total >= FLOOR + SHARE * this.#requests.total) return false;
    this.#retries.add();
    return true;
  }
}
