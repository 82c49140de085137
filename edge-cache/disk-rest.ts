// A pause after a disk failed: nothing is tried until it is over, and what comes then is the trial. Told when it begins and when all is well again.
import type { Logger } from '../platform/runtime/log.ts';

export class DiskRest {
  readonly #what: string;
  readonly #log: Logger;
  readonly #now: () => number;
  #untilMs = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  /** @param what `reads` or `writes`; @param now monotonic ms */
  constructor(what: 'reads' | 'writes', log: Logger, now: () => number) {
    this.#what = what;
    this.#log = log;
    this.#now = now;
  }

  get isOn(): boolean {
    return this.#now() < this.#untilMs;
  }

  /** @param ms how long */
  begin(ms: number, thrown: unknown): void {
    this.#untilMs = this.#now() + ms;
    if (!this.#isFailing) this.#log.warn(`disk cache ${this.#what} stopped`, { err: thrown, retry_ms: ms });
    this.#isFailing = true;
  }

  /** Something went well. */
  worked(): void {
    if (this.#isFailing) this.#log.info(`disk cache ${this.#what} go on`);
    this.#isFailing = false;
  }
}
