// HLS Content Steering: tells each viewer which edges to use, in order, out of the registry. The answer is a viewer's own and never kept.
import type { NodeInfo } from '../platform/contract/nodes.ts';
import {
  HOME_PATHWAY,
  PATHWAY_PARAMETER,
  pathwayIdOf,
  STEERING_FILE,
  type SteeringManifest,
} from '../platform/contract/steering.ts';
import type { CounterMetric } from '../platform/runtime/metrics.ts';
import type { EdgeAnswer, EdgeRequest } from './messages.ts';
import { textReply } from './replies.ts';

/** A viewer asks again after this time: what an operator orders reaches everybody within it. Unit: s. */
export const STEERING_TTL_S = 10;
/** Below this many connections no edge is crowded, however few the others have. */
const CROWD = 1_000;
/** An edge is crowded when it has this many times the mean; viewers come back to one that has less than this share of their edge's. */
const CROWDED_AT = 1.5;
const BACK_BELOW = 0.75;
/** Share of the surplus that goes at once: loads in the registry are a moment old, and others are sent away too. */
const STEP = 0.5;

/** Gauge of an edge's registry entry: origins that answer it. */
export const ORIGINS_UP = 'origins_up';

/** An edge as steering sees it. `load`: open connections. */
export type SteeredEdge = {
  address: string;
  /** The one that answers: viewers who came by it know it as their home. */
  isHome: boolean;
  /** Viewers may be sent there: it is in the registry, nobody drains it, origins answer it. */
  isFit: boolean;
  load: number;
};

/** Why a viewer was told what it was told. */
export type SteeringReason = 'home' | 'back' | 'stay' | 'away' | 'crowded';
export type Steered = { priority: string[]; reason: SteeringReason };

/**
 * The pathways in the order in which a viewer should use them. Home first while it is fit; a viewer who is elsewhere stays
 * there until home can take it; who must move goes to a random fit edge, likelier to one with few connections.
 * Edges that are not fit come last: a wrong verdict must not leave anybody without an edge.
 * @param edges this edge, marked as home, and the others
 * @param at pathway that the viewer says it is on; null: it does not say
 * @param random uniform in [0, 1)
 */
export function steer(edges: readonly SteeredEdge[], at: string | null, random: () => number): Steered {
  const own = edges.find((edge) => edge.isHome);
  const home = merged(edges.filter((edge) => edge.address === own?.address));
  if (home === null) return { priority: [HOME_PATHWAY], reason: 'home' };
  const others = othersOf(edges, home);
  const present = others.find((edge) => pathwayIdOf(edge.address) === at && edge.isFit) ?? null;
  const fit = spread(
    others.filter((edge) => edge.isFit && edge !== present),
    random,
  );
  const unfit = others.filter((edge) => !edge.isFit);
  const away = [...(present === null ? [] : [present]), ...fit];
  const reason = reasonFor(home, present, fit, random);
  const isHomeFirst = reason === 'home' || reason === 'back';
  const order = isHomeFirst ? [home, ...away, ...unfit] : [...away, home, ...unfit];
  // One host under two schemes is one pathway id.
  const ids = new Set(order.map((edge) => (edge === home ? HOME_PATHWAY : pathwayIdOf(edge.address))));
  return { priority: [...ids], reason };
}

function reasonFor(
  home: SteeredEdge,
  present: SteeredEdge | null,
  fit: readonly SteeredEdge[],
  random: () => number,
): SteeringReason {
  if (!home.isFit) return present !== null ? 'stay' : fit.length > 0 ? 'away' : 'home';
  if (present !== null) return home.load < CROWD || home.load < BACK_BELOW * present.load ? 'back' : 'stay';
  const mean = (home.load + fit.reduce((sum, edge) => sum + edge.load, 0)) / (fit.length + 1);
  const isCrowded = home.load >= CROWD && home.load > CROWDED_AT * mean;
  return isCrowded && random() < STEP * (1 - mean / home.load) ? 'crowded' : 'home';
}

/** Several nodes may stand behind one address: it is as fit as the best of them. */
function merged(nodes: readonly SteeredEdge[]): SteeredEdge | null {
  const [first] = nodes;
  if (first === undefined) return null;
  return {
    ...first,
    isFit: nodes.some((node) => node.isFit),
    load: nodes.reduce((sum, node) => sum + node.load, 0),
  };
}

/** By address, sorted; on a secure home those alone that a secure page may load. */
function othersOf(edges: readonly SteeredEdge[], home: SteeredEdge): SteeredEdge[] {
  const isSecure = home.address.startsWith('https:');
  const usable = edges.filter(({ address }) => address !== home.address && (!isSecure || address.startsWith('https:')));
  const addresses = [...new Set(usable.map((edge) => edge.address))].sort();
  return addresses.flatMap((address) => merged(usable.filter((edge) => edge.address === address)) ?? []);
}

/** Weighted random order: each place goes to an edge with a chance of 1 / (1 + connections). */
function spread(edges: readonly SteeredEdge[], random: () => number): SteeredEdge[] {
  // A race of exponential clocks, each at the rate of its weight.
  return edges
    .map((edge) => ({ edge, atS: -Math.log(1 - random()) * (1 + edge.load) }))
    .sort((a, b) => a.atS - b.atS)
    .map(({ edge }) => edge);
}

/**
 * This edge and the others of the registry, as steering sees them.
 * @param own this edge; `id` is its node's, under which the registry lists it too
 */
export function steeredEdges(
  own: Omit<SteeredEdge, 'isHome'> & { id: string },
  nodes: readonly NodeInfo[],
): SteeredEdge[] {
  const { id, ...home } = own;
  const others = nodes.flatMap((node) => {
    if (node.id === id || node.public_url === null) return [];
    const isFit = node.state === 'healthy' && node.load[ORIGINS_UP] !== 0;
    return [{ address: node.public_url, isHome: false, isFit, load: node.load['connections'] ?? 0 }];
  });
  return [{ ...home, isHome: true }, ...others];
}

/** What `/steering.json` is answered with. */
export class Steering {
  readonly #edges: () => readonly SteeredEdge[];
  readonly #answers: CounterMetric;
  readonly #random: () => number;

  /** @param edges this edge, marked as home, and those of the registry */
  constructor(edges: () => readonly SteeredEdge[], answers: CounterMetric, random: () => number = Math.random) {
    this.#edges = edges;
    this.#answers = answers;
    this.#random = random;
  }

  /**
   * @param path of the request, without query
   * @returns null when it is another address
   */
  answer(request: EdgeRequest, path: string): EdgeAnswer | null {
    if (path !== `/${STEERING_FILE}`) return null;
    const query = request.target.slice(path.length + 1);
    const { priority, reason } = steer(this.#edges(), pathwayIn(query), this.#random);
    this.#answers.add({ reason });
    const manifest: SteeringManifest = {
      VERSION: 1,
      TTL: STEERING_TTL_S,
      'RELOAD-URI': STEERING_FILE,
      'PATHWAY-PRIORITY': priority,
    };
    return textReply(request, 'steering', 'local', 200, JSON.stringify(manifest), {
      'content-type': 'application/json',
    });
  }
}

/** Clients send it as a quoted string or bare. */
function pathwayIn(query: string): string | null {
  const given = new URLSearchParams(query).get(PATHWAY_PARAMETER);
  return given === null ? null : given.replace(/^"|"$/g, '');
}
