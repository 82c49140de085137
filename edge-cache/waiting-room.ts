// Viewers who wait for a fill: counted, limited in number, and let go the moment they leave. A waiting viewer costs no timer: the fill has one.
import { EdgeBusy } from './errors.ts';
import type { EdgeRequest } from './messages.ts';

/** In place of the fill's result: the viewer went away first. */
export const LEFT: unique symbol = Symbol('left');

export class WaitingRoom {
  readonly #places: number;
  #waiting = 0;
  #blocked = 0;

  /** @param places most viewers that may wait at a time */
  constructor(places: number) {
    this.#places = places;
  }

  get isFull(): boolean {
    return this.#waiting >= this.#places;
  }

  /** Viewers that wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Those among them whose answer an origin holds back until it has news. */
  get blocked(): number {
    return this.#blocked;
  }

  /**
   * Waits for what many wait for.
   * @param isBlocked the answer is held back until there is news
   * @throws (the promise) EdgeBusy when no place is left
   * @returns the shared result, or LEFT as soon as the viewer is gone; nothing of the viewer is held from then on
   */
  wait<T>(shared: Promise<T>, request: EdgeRequest, isBlocked: boolean): Promise<T | typeof LEFT> {
    if (this.isFull) return Promise.reject(new EdgeBusy('waiting viewers'));
    this.#waiting += 1;
    if (isBlocked) this.#blocked += 1;
    return new Promise((resolve, reject) => {
      let seat: Seat<T> | null = { request, resolve, reject };
      const leave = (): Seat<T> | null => {
        const left = seat;
        seat = null;
        if (left === null) return null;
        this.#waiting -= 1;
        if (isBlocked) this.#blocked -= 1;
        left.request.onLeft = null;
        return left;
      };
      request.onLeft = () => leave()?.resolve(LEFT);
      shared.then(
        (result) => leave()?.resolve(result),
        (thrown: unknown) => leave()?.reject(thrown),
      );
    });
  }
}

type Seat<T> = {
  request: EdgeRequest;
  resolve: (result: T | typeof LEFT) => void;
  reject: (thrown: unknown) => void;
};
