// How many viewers' connections an edge takes, in all and from one address. A proxy on this machine speaks for many: loopback has no limit of its own.

const LOOPBACK = /^(?:127\.|::1$)/;

export type AdmissionLimits = {
  /** Connections over all ports. */
  connections: number;
  /** Connections of one address; 0: no limit. */
  perAddress: number;
};

/** `leave` gives the place back; for one call. */
export type Admitted = { leave: () => void } | { refused: 'full' | 'address-limit' };

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /**
   * Counts one connection.
   * @param address of the peer
   */
  enter(address: string): Admitted {
    const { connections, perAddress } = this.#limits;
    if (this.#total >= connections) return { refused: 'full' };
    const network = networkOf(address);
    const isLimited = perAddress > 0 && !LOOPBACK.test(network);
    const count = this.#counts.get(network) ?? 0;
    if (isLimited && count >= perAddress) return { refused: 'address-limit' };
    this.#total += 1;
    if (isLimited) this.#counts.set(network, count + 1);
    return {
      leave: () => {
        this.#total -= 1;
        if (isLimited) this.#leave(network);
      },
    };
  }

  /** Limited addresses that hold connections. */
  get addresses(): number {
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
