// Wrong keys per address: whoever guesses too often is answered no more for a while. A right key always gets in, also from that address:
// a good encoder may stand behind the same gateway.

/** More wrong keys than this within the window begin a back-off of the same length. Unit: ms. */
export const WRONG_KEYS = { most: 10, windowMs: 10_000 } as const;
/** Addresses remembered; the oldest is forgotten first. */
const ADDRESSES = 10_000;

type Known = { since: number; wrong: number; until: number };

export class AddressGuard {
  private readonly known = new Map<string, Known>();

  /** @param now steady clock, ms, as everywhere here. @returns whether the address is in its back-off now */
  wrongKey(address: string, now: number): boolean {
    const before = this.known.get(address);
    const isFresh = before === undefined || now - before.since >= WRONG_KEYS.windowMs;
    const entry = isFresh ? { since: now, wrong: 0, until: before?.until ?? 0 } : before;
    entry.wrong += 1;
    if (entry.wrong > WRONG_KEYS.most) entry.until = now + WRONG_KEYS.windowMs;
    this.known.delete(address);
    this.known.set(address, entry);
    if (this.known.size > ADDRESSES) this.forgetOldest();
    return entry.until > now;
  }

  isBackedOff(address: string, now: number): boolean {
    return (this.known.get(address)?.until ?? 0) > now;
  }

  private forgetOldest(): void {
    for (const address of this.known.keys()) {
      this.known.delete(address);
      return;
    }
  }
}
