// Connections that have not published yet: so many in all, so many from one address. The one that waits longest gives way to a new one, so that
// idle connections keep no encoder out: an encoder says what it wants at once. The door has one room for the handshake and one for the commands
// after it: a crowd that says nothing pushes out nobody who has something to say. An address that guesses keys has no fewer places than others,
// because a good encoder may stand behind the same gateway; a guess leaves its place with the answer.

/** Most connections in one room, in all and from one address. */
export const WAITING = { all: 128, perAddress: 32 } as const;

/** A connection before its publish. */
export interface Stranger {
  /** IP address, without the port. */
  readonly address: string;
  /** Takes it out of the room before it returns. */
  giveWay(): void;
}

export class WaitingRoom {
  private readonly strangers = new Set<Stranger>();

  get size(): number {
    return this.strangers.size;
  }

  enter(stranger: Stranger): void {
    this.strangers.add(stranger);
    const neighbours = [...this.strangers].filter((other) => other.address === stranger.address);
    if (neighbours.length > WAITING.perAddress) neighbours[0]?.giveWay();
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
