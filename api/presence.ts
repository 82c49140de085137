// What the registry says is on: viewers over all edges, publishers' bit rates, where viewers find an edge.
import type { LiveEncode, NodeInfo, Role, StreamSignal } from '../platform/contract/nodes.ts';
import type { PlaybackEntry } from '../platform/contract/records.ts';
import { embedPath, watchPath } from '../platform/contract/routes.ts';

export interface NodeSource {
  nodes(role: Role): NodeInfo[];
}

/** What one worker says of a broadcast it carries. */
export type PlacedEncode = LiveEncode & { node: string };

export interface Presence {
  viewers(playbackIds: PlaybackEntry[]): number;
  /** Unit: bit/s. */
  bitrate(stream: string): number;
  /**
   * What the ingest doctor says of the publisher that is shown; null while none is.
   * @param ingestNode the node that the broadcast's record names; the standby may be on another one
   */
  signal(stream: string, ingestNode: string | null): StreamSignal | null;
  /** RTMPS address of an ingest that has one. */
  rtmpsUrl(): string | null;
  /** Workers that carry a broadcast, the leader first. */
  encodes(broadcast: string): PlacedEncode[];
  /** Absolute watch and embed addresses on the first edge that is in use; null without an edge or a playback id. */
  links(playbackIds: PlaybackEntry[]): {
    playback_id: string | null;
    watch_url: string | null;
    embed_url: string | null;
  };
}

/** @param edgePublicUrls the edges' addresses as set; empty: as they registered */
export function createPresence(source: NodeSource, edgePublicUrls: string[]): Presence {
  const sum = (values: (number | undefined)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0);
  const firstEdge = (): string | null => {
    const drained = source.nodes('edge').filter((node) => node.is_drained === true);
    const set = edgePublicUrls.find((url) => !drained.some((node) => node.public_url === url)) ?? edgePublicUrls[0];
    if (set !== undefined) return set;
    const urls = source.nodes('edge').filter((node) => node.state === 'healthy');
    return urls.map((node) => node.public_url ?? node.url).sort()[0] ?? null;
  };
  return {
    viewers: (playbackIds) =>
      sum(source.nodes('edge').flatMap((node) => playbackIds.map((entry) => node.viewers?.[entry.id]))),
    bitrate: (stream) => sum(source.nodes('ingest').map((node) => node.bitrates?.[stream])),
    signal(stream, ingestNode) {
      const knowing = source.nodes('ingest').filter((node) => node.signals?.[stream] !== undefined);
      const signal = knowing.find((node) => node.id === ingestNode)?.signals?.[stream];
      if (signal === undefined) return null;
      return { ...signal, has_standby: signal.has_standby || knowing.length > 1 };
    },
    rtmpsUrl: () => source.nodes('ingest').find((node) => node.tls_url !== undefined)?.tls_url ?? null,
    encodes: (broadcast) =>
      source
        .nodes('transcoder')
        .flatMap((node) => {
          const encode = node.encodes?.[broadcast];
          return encode === undefined ? [] : [{ ...encode, node: node.id }];
        })
        .sort((a, b) => Number(a.place === 'hot') - Number(b.place === 'hot')),
    links(playbackIds) {
      const id = playbackIds.find((entry) => entry.policy === 'public')?.id ?? playbackIds[0]?.id ?? null;
      const edge = firstEdge();
      if (id === null || edge === null) return { playback_id: id, watch_url: null, embed_url: null };
      return { playback_id: id, watch_url: `${edge}${watchPath(id)}`, embed_url: `${edge}${embedPath(id)}` };
    },
  };
}
