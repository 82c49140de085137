// One origin's circuit: open while most requests to it fail, so that nobody waits for an answer that will not come.
import { SlidingCount } from './sliding-count.ts';

const WINDOW_MS = 10_000;
/** Outcomes in the window below which a share means nothing. */
const LEAST_OUTCOMES = 20;
/** Share of failures that opens it. */
const OPENING_SHARE = 0.5;
/** First time open; doubled each time the trial fails. Unit: ms. */
const OPEN_MS = 1_000;
/** When all origins fail because of something behind them, viewers wait this long at most after it is over. Unit: ms. */
const LONGEST_OPEN_MS = 4_000;
/** A trial nobody has heard of for this long is no longer waited for: longer than any first byte is. Unit: ms. */
const TRIAL_MS = 3_000;

/** `half-open`: one request at a time tries whether it is over. */
export type CircuitState = 'closed' | 'open' | 'half-open';

export class CircuitBreaker {
  readonly #now: () => number;
  readonly #changed: (state: CircuitState) => void;
  readonly #good: SlidingCount;
  readonly #bad: SlidingCount;
  #state: CircuitState = 'closed';
  /** Times opened since it was last closed. */
  #openings = 0;
  #openUntilMs = 0;
  #trialUntilMs = Number.NEGATIVE_INFINITY;

  /** @param now monotonic milliseconds; @param changed told the new state */
  constructor(now: () => number, changed: (state: CircuitState) => void) {
    this.#now = now;
    this.#changed = changed;
    this.#good = new SlidingCount(WINDOW_MS, now);
    this.#bad = new SlidingCount(WINDOW_MS, now);
  }

  get state(): CircuitState {
    if (this.#state === 'open' && this.#now() >= this.#openUntilMs) this.#become('half-open');
    return this.#state;
  }

  /** Whether a request may be sent as if nothing were wrong. */
  get isPassable(): boolean {
    return this.state === 'closed' || (this.state === 'half-open' && !this.#isTrying);
  }

  /** Nothing has come back lately: even as the last resort a request would only wait. */
  get isHopeless(): boolean {
    return !this.isPassable && this.#good.total === 0;
  }

  /** A request is sent. */
  chosen(): void {
    if (this.state === 'half-open') this.#trialUntilMs = this.#now() + TRIAL_MS;
  }

  succeeded(): void {
    this.#good.add();
    if (this.state === 'closed') return;
    this.reset();
    this.#good.add();
  }

  /** The origin is another process now: what was counted says nothing about it. */
  reset(): void {
    this.#good.clear();
    this.#bad.clear();
    this.#openings = 0;
    if (this.#state !== 'closed') this.#become('closed');
  }

  failed(): void {
    this.#bad.add();
    const bad = this.#bad.total;
    const outcomes = bad + this.#good.total;
    // Without a trial under way it is an old request's failure, which says nothing new.
    const hasTrialFailed = this.state === 'half-open' && this.#isTrying;
    const isTooMany = this.state === 'closed' && outcomes >= LEAST_OUTCOMES && bad >= OPENING_SHARE * outcomes;
    if (hasTrialFailed || isTooMany) this.#open();
  }

  /** Something else says that the origin answers: the next request may try. */
  tryNow(): void {
    if (this.state === 'open') this.#become('half-open');
  }

  get #isTrying(): boolean {
    return this.#now() < this.#trialUntilMs;
  }

  #open(): void {
    this.#openUntilMs = this.#now() + Math.min(LONGEST_OPEN_MS, OPEN_MS * 2 ** Math.min(this.#openings, 10));
    this.#openings += 1;
    this.#become('open');
  }

  #become(state: CircuitState): void {
    this.#state = state;
    this.#trialUntilMs = Number.NEGATIVE_INFINITY;
    this.#changed(state);
  }
}
