// The edges a viewer may use and which one serves now. Pure: the loader reports what happened, this decides who is next.

/** An edge that failed is passed over for this long while another one works. Unit: ms. */
export const EDGE_PENALTY_MS = 15_000;

/** Remembers the edge in use and those that failed of late; shared by every request of a page. */
export class EdgeRing {
  #bases: string[];
  #current: string;
  readonly #failedUntil = new Map<string, number>();
  readonly #now: () => number;
  /** Times the edge in use changed. */
  switches = 0;

  /**
   * @param home base address of the edge that served the page, without a slash at the end
   * @param now clock, ms
   */
  constructor(home: string, now: () => number = Date.now) {
    this.#bases = [home];
    this.#current = home;
    this.#now = now;
  }

  /** Base address in use. */
  get current(): string {
    return this.#current;
  }

  /** All known base addresses, the page's own first. */
  get bases(): readonly string[] {
    return this.#bases;
  }

  /**
   * Takes a fresh list from `/edges.json`. Its first entry is the answering edge under its public name; the page
   * reached that one as `answeredBy`, so that name is used instead. Addresses a secure page may not load are left out.
   */
  update(edges: readonly string[], answeredBy: string): void {
    const home = this.#bases[0] ?? answeredBy;
    const isSecure = home.startsWith('https:');
    const usable = edges
      .map((edge, index) => (index === 0 ? answeredBy : edge.replace(/\/+$/, '')))
      .filter((edge) => /^https?:\/\//.test(edge) && (!isSecure || edge.startsWith('https:')));
    this.#bases = [...new Set([home, ...this.#bases.filter((base) => usable.includes(base)), ...usable])];
    if (!this.#bases.includes(this.#current)) this.#current = home;
  }

  /** Bases in the order to try for one request: the one in use, then the healthy others, then those that failed of late. */
  order(): string[] {
    const start = Math.max(0, this.#bases.indexOf(this.#current));
    const turned = [...this.#bases.slice(start), ...this.#bases.slice(0, start)];
    const isResting = (base: string): boolean => (this.#failedUntil.get(base) ?? 0) > this.#now();
    return [...turned.filter((base) => !isResting(base)), ...turned.filter(isResting)];
  }

  /** This edge answered: it stays in use, or comes into use when the one before failed. */
  succeeded(base: string): void {
    this.#failedUntil.delete(base);
    if (base === this.#current || !this.#isFailed(this.#current)) return;
    this.#current = base;
    this.switches += 1;
  }

  /** This edge did not answer, broke off or answered with a server's fault. */
  failed(base: string): void {
    this.#failedUntil.set(base, this.#now() + EDGE_PENALTY_MS);
  }

  #isFailed(base: string): boolean {
    return (this.#failedUntil.get(base) ?? 0) > this.#now();
  }
}

/**
 * The same address on another edge. Addresses that belong to none of the edges stay as they are.
 * @param url absolute, as hls.js resolved it against whichever edge answered first
 */
export function onEdge(url: string, bases: readonly string[], base: string): string {
  for (const known of bases) {
    if (url === known || url.startsWith(`${known}/`)) return `${base}${url.slice(known.length)}`;
  }
  return url;
}

/** Adds the viewer's number to a media playlist's address, by which edges count viewers; other addresses stay. */
export function withViewer(url: string, viewer: string): string {
  const address = new URL(url);
  if (!address.pathname.endsWith('/index.m3u8')) return url;
  address.searchParams.set('viewer', viewer);
  return address.href;
}
