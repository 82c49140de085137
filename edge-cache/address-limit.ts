// How many connections one viewer address may hold. A proxy on this machine speaks for many: loopback is not limited.

const LOOPBACK = /^(?:127\.|::1$)/;

export class AddressLimit {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  /** @param most connections per address; 0: no limit */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Counts one connection.
   * @param address of the peer
   * @returns what gives the place back, for one call; null: the address holds all it may
   */
  enter(address: string): (() => void) | null {
    const network = networkOf(address);
    if (this.#most === 0 || LOOPBACK.test(network)) return () => undefined;
    const count = this.#counts.get(network) ?? 0;
    if (count >= this.#most) return null;
    this.#counts.set(network, count + 1);
    return () => this.#leave(network);
  }

  /** Addresses that hold connections. */
  get size(): number {
    return this.#counts.size;
  }

  #leave(network: string): void {
    const count = (this.#counts.get(network) ?? 0) - 1;
    if (count > 0) this.#counts.set(network, count);
    else this.#counts.delete(network);
  }
}

/** What one viewer is given: an IPv4 address, or the first 64 bits of an IPv6 address. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':') || plain === '::1') return plain;
  const [left = '', right] = plain.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const groups = [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail];
  return groups.slice(0, 4).join(':');
}
