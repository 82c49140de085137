// Taking an edge out of use and back: steering then leads its viewers elsewhere, or lets them come back, within one TTL.
import type { NodeInfo } from '../platform/contract/nodes.ts';
import type { EdgeOrder } from '../platform/contract/steering.ts';
import { NotAllowedNow, NotFound } from './errors.ts';
import type { NodeSource } from './presence.ts';

export interface EdgeControl {
  /**
   * The order holds for the edge's public address, so also for the process that follows this one.
   * @param id node id, as the overview lists it
   * @throws NotFound; NotAllowedNow when no other edge is left for the viewers; RedisUnavailable
   */
  order(id: string, order: EdgeOrder): Promise<void>;
}
export type EdgeControlDeps = {
  nodes: NodeSource;
  /** @param address public address of the edge */
  order: (address: string, order: EdgeOrder) => Promise<void>;
};

const isFree = (node: NodeInfo): boolean => node.state === 'healthy' && node.public_url !== null;

export function createEdgeControl(deps: EdgeControlDeps): EdgeControl {
  return {
    async order(id, order) {
      const edges = deps.nodes.nodes('edge');
      const address = edges.find((node) => node.id === id)?.public_url ?? null;
      if (address === null) throw new NotFound('edge');
      const isLast = !edges.some((node) => isFree(node) && node.public_url !== address);
      if (order === 'drained' && isLast) throw new NotAllowedNow('no other edge is there for its viewers');
      await deps.order(address, order);
    },
  };
}
