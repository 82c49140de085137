// What changed between two overviews, as sentences for screen readers.
import type { Overview } from '../platform/contract/overview.ts';

/** Sentences about what a person would want to hear; empty at the first overview. */
export function changesBetween(before: Overview | null, after: Overview): string[] {
  if (before === null) return [];
  const said: string[] = [];
  const streams = new Map(before.streams.map((stream) => [stream.id, stream]));
  for (const stream of after.streams) {
    const old = streams.get(stream.id);
    if (old === undefined || old.status === stream.status) continue;
    const name = stream.title || 'Live stream';
    if (stream.status === 'active') said.push(`${name} is live`);
    if (old.status === 'active') said.push(`${name} is off air`);
  }
  const assets = new Map(before.assets.map((asset) => [asset.id, asset]));
  for (const asset of after.assets) {
    const old = assets.get(asset.id);
    if (old === undefined || old.status === asset.status) continue;
    const name = asset.title || 'Video';
    if (asset.status === 'ready') said.push(`${name} is ready`);
    if (asset.status === 'errored') said.push(`${name} failed`);
  }
  return said;
}
