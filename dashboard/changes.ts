// What changed between two overviews, as sentences for screen readers.
import type { Overview, OverviewStream } from '../platform/contract/overview.ts';

/** Sentences about what a person would want to hear; empty at the first overview. */
export function changesBetween(before: Overview | null, after: Overview): string[] {
  if (before === null) return [];
  const said: string[] = [];
  const streams = new Map(before.streams.map((stream) => [stream.id, stream]));
  for (const stream of after.streams) {
    const old = streams.get(stream.id);
    if (old !== undefined) said.push(...changesOf(old, stream));
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

function changesOf(old: OverviewStream, stream: OverviewStream): string[] {
  const name = stream.title || 'Live stream';
  const said: string[] = [];
  if (old.status !== stream.status) {
    if (stream.status === 'active') said.push(`${name} is live`);
    if (old.status === 'active') said.push(`${name} is off air`);
  }
  if (stream.status !== 'active') return said;
  if (stream.is_away && !old.is_away) said.push(`${name} waits for its encoder`);
  if (!stream.is_away && old.is_away) said.push(`The encoder of ${name} is back`);
  if (stream.health === 'starving' && old.health !== 'starving')
    said.push([`The signal of ${name} is starving`, ...stream.advice].join('. '));
  if (stream.health === 'healthy' && old.health === 'starving') said.push(`The signal of ${name} is healthy again`);
  if (stream.publishing_key === 'backup' && old.publishing_key === 'primary')
    said.push(`${name} is shown from its backup encoder`);
  if (stream.fault !== null && old.fault === null) said.push(`${name} cannot be shown: ${stream.fault}`);
  return said;
}
