// Connections that have not published yet: so many in all, so many from one address. The one that waits longest gives way to a new one, so that
// idle connections keep no encoder out: an encoder says what it wants at once.

/** Most connections that wait, in all, from one address, and from one in its back-off. */
export const WAITING = { all: 256, perAddress: 64, perGuesser: 8 } as const;

/** A connection before its publish. */
export interface Stranger {
  /** IP address, without the port. */
  readonly address: string;
  /** Takes it out of the room before it returns. */
  giveWay(): void;
}

export class WaitingRoom {
  private readonly strangers = new Set<Stranger>();
  private readonly isGuesser: (address: string) => boolean;

  /** @param isGuesser whether an address is in its back-off */
  constructor(isGuesser: (address: string) => boolean) {
    this.isGuesser = isGuesser;
  }

  get size(): number {
    return this.strangers.size;
  }

  enter(stranger: Stranger): void {
    this.strangers.add(stranger);
    const { address } = stranger;
    const most = this.isGuesser(address) ? WAITING.perGuesser : WAITING.perAddress;
    const neighbours = [...this.strangers].filter((other) => other.address === address);
    if (neighbours.length > most) neighbours[0]?.giveWay();
    if (this.strangers.size <= WAITING.all) return;
    for (const oldest of this.strangers) {
      oldest.giveWay();
      return;
    }
  }

  /** The door closes: nobody waits any longer. */
  clear(): void {
    for (const stranger of [...this.strangers]) stranger.giveWay();
  }

  /** It publishes, or is gone. */
  leave(stranger: Stranger): void {
    this.strangers.delete(stranger);
  }
}
