// What the registry tells an ingest of other nodes: which are there, who publishes to them, how many workers take live jobs.
import type { Registry } from '../platform/adapters/registry.ts';
import type { NodeId, StreamId } from '../platform/contract/ids.ts';
import type { KeyKind } from '../platform/contract/records.ts';

export interface OtherNodes {
  isThere(node: NodeId): boolean;
  /** Another ingest node has a publisher of the stream that sends. @param but not one of this key */
  hasPublisher(stream: StreamId, but: KeyKind | null): boolean;
  /** Workers that take live jobs. */
  liveWorkers(): number;
}

/** @param self this ingest node; it is there whatever the registry says */
export function createOtherNodes(registry: Pick<Registry, 'nodes'>, self: NodeId): OtherNodes {
  return {
    isThere: (node) => node === self || registry.nodes('ingest').some((known) => known.id === node),
    hasPublisher: (stream, but) =>
      registry.nodes('ingest').some(({ id, signals }) => {
        const signal = id === self ? undefined : signals?.[stream];
        return signal !== undefined && signal.key !== but && signal.bitrate_bps > 0;
      }),
    liveWorkers: () =>
      registry.nodes('transcoder').filter(({ state, pool }) => state === 'healthy' && pool !== 'vod').length,
  };
}
