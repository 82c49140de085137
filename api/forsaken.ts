// How long something has looked forsaken, look after look: a repair waits until that cannot be a moment between two steps.

export class Forsaken {
  private readonly since = new Map<string, number>();
  private readonly now: () => number;

  constructor(now: () => number) {
    this.now = now;
  }

  /** True once each look since `ms` ago found it forsaken; it then counts anew. */
  isFor(key: string, isNow: boolean, ms: number): boolean {
    if (!isNow) {
      this.since.delete(key);
      return false;
    }
    const since = this.since.get(key) ?? this.now();
    const isDue = this.now() - since >= ms;
    if (isDue) this.since.delete(key);
    else this.since.set(key, since);
    return isDue;
  }
}
