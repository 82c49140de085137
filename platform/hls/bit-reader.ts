// Reads bits and Exp-Golomb codes, as codecs write their parameters. Pure. Source: ITU-T H.264, 9.1.

/** Most significant bit first. Past the end it reads zeros, as a cut parameter set must not throw here: ask `isOver` before using a value. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Something was read that is not there. */
  get isOver(): boolean {
    return this.#at > this.#bytes.length * 8;
  }

  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i += 1) {
      const byte = this.#bytes[this.#at >> 3] ?? 0;
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
      this.#at += 1;
    }
    return value;
  }
  flag(): boolean {
    return this.bits(1) === 1;
  }
  /** Exp-Golomb, unsigned. A code of more than 32 bits is none: it counts as the end. */
  ue(): number {
    let zeros = 0;
    while (!this.flag()) {
      zeros += 1;
      if (zeros > 31) {
        this.#at = this.#bytes.length * 8 + 1;
        return 0;
      }
    }
    return 2 ** zeros - 1 + this.bits(zeros);
  }
  /** Exp-Golomb, signed. */
  se(): number {
    const value = this.ue();
    return value % 2 === 1 ? (value + 1) / 2 : -value / 2;
  }
}
