// The edges a viewer may use and which one serves now. Pure: the loader reports what happened and what steering says, this decides who is next.
import { HOME_PATHWAY, PATHWAY_PARAMETER, pathwayIdOf } from '../platform/contract/steering.ts';

/** An edge that failed is passed over for this long while another one works. Unit: ms. */
export const EDGE_PENALTY_MS = 15_000;

/**
 * Remembers the edge in use, those that failed of late, and the order that steering asks for; shared by every request of a page.
 * The one place where failover and steering meet: a failure moves at once, steering moves to an edge that has not failed of late.
 */
export class EdgeRing {
  #bases: string[];
  #current: string;
  readonly #failedUntil = new Map<string, number>();
  /** Base by pathway id: the page may know its own edge under another name than the platform. */
  readonly #named = new Map<string, string>();
  /** Bases in the order of the last steering manifest. */
  #wanted: readonly string[] = [];
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

  /** Pathway id of the edge in use, as its steering manifest calls it. */
  get pathway(): string {
    if (this.#current === this.#bases[0]) return HOME_PATHWAY;
    return [...this.#named].find(([, base]) => base === this.#current)?.[0] ?? pathwayIdOf(this.#current);
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
    const [own] = edges;
    if (own !== undefined) this.#named.set(pathwayIdOf(own), answeredBy);
    const usable = edges
      .map((edge) => this.#named.get(pathwayIdOf(edge)) ?? edge.replace(/\/+$/, ''))
      .filter((edge) => /^https?:\/\//.test(edge) && (!isSecure || edge.startsWith('https:')));
    for (const base of usable) if (![...this.#named.values()].includes(base)) this.#named.set(pathwayIdOf(base), base);
    this.#bases = [...new Set([home, ...this.#bases.filter((base) => usable.includes(base)), ...usable])];
    if (!this.#bases.includes(this.#current)) this.#current = home;
  }

  /** Bases in the order to try for one request: the one in use, those that steering prefers, the others; last those that failed of late. */
  order(): string[] {
    const start = Math.max(0, this.#bases.indexOf(this.#current));
    const turned = [...this.#bases.slice(start), ...this.#bases.slice(0, start)];
    const wanted = this.#wanted.filter((base) => this.#bases.includes(base));
    const all = [...new Set([this.#current, ...wanted, ...turned])];
    return [...all.filter((base) => !this.#isFailed(base)), ...all.filter((base) => this.#isFailed(base))];
  }

  /** Bases in the order to ask for a steering manifest: home decides as long as it answers. */
  steeringOrder(): string[] {
    return [...new Set([...this.#bases.slice(0, 1), ...this.order()])];
  }

  /**
   * Takes the order of a steering manifest: the first edge in it that has not failed of late is the one in use from now on.
   * @param priority pathway ids; unknown ones are passed over
   * @param answeredBy base that gave the manifest, which it calls home
   */
  steer(priority: readonly string[], answeredBy: string): void {
    const bases = priority.map((id) => (id === HOME_PATHWAY ? answeredBy : this.#named.get(id)));
    this.#wanted = bases.filter((base) => base !== undefined);
    const next = this.#wanted.find((base) => this.#bases.includes(base) && !this.#isFailed(base));
    if (next === undefined || next === this.#current) return;
    this.#current = next;
    this.switches += 1;
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

/** Says in a steering manifest's address which edge is in use. */
export function withPathway(url: string, pathway: string): string {
  const address = new URL(url);
  address.searchParams.set(PATHWAY_PARAMETER, pathway);
  return address.href;
}
