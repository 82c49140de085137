// The rows of the statistics panel, from the state of playback. Pure.
import { formatDuration } from './format.ts';
import type { PlaybackState } from './playback-state.ts';

export type StatsRow = { name: string; value: string };

const seconds = (value: number): string => `${value.toFixed(2)} s`;
/** Long ones, of viewers who went back, as `9:31`. */
const delay = (value: number): string => (value < 60 ? seconds(value) : formatDuration(value));

/** `412 kbit/s`, `4.50 Mbit/s`; a dash for 0. */
export function formatBitrate(bitsPerSecond: number): string {
  if (!(bitsPerSecond > 0)) return '–';
  return bitsPerSecond < 1_000_000
    ? `${Math.round(bitsPerSecond / 1_000)} kbit/s`
    : `${(bitsPerSecond / 1_000_000).toFixed(2)} Mbit/s`;
}

/** Rows in the order they are shown; those that say nothing for this source are left out. */
export function statsRows(state: PlaybackState): StatsRow[] {
  const rows: StatsRow[] = [];
  if (state.isLive) {
    if (state.latency !== null) rows.push({ name: 'Latency', value: delay(state.latency) });
    if (state.targetLatency !== null) rows.push({ name: 'Target', value: delay(state.targetLatency) });
    if (state.clockLatency !== null) rows.push({ name: 'By the clock', value: delay(state.clockLatency) });
  }
  rows.push(
    { name: 'Speed', value: `${state.rate.toFixed(2)}×` },
    { name: 'Buffer', value: seconds(state.buffered) },
    { name: 'Picture', value: pictureText(state) },
    { name: 'Bitrate', value: formatBitrate(state.bitrate) },
    { name: 'Network', value: formatBitrate(state.bandwidth) },
    { name: 'Dropped frames', value: `${state.droppedFrames} of ${state.totalFrames}` },
  );
  if (state.isLive) rows.push({ name: 'Delivery', value: deliveryText(state) });
  rows.push({ name: 'Edge', value: edgeText(state) }, { name: 'Rebuffers', value: rebufferText(state) });
  return rows;
}

function pictureText({ levels, level, height, width }: PlaybackState): string {
  if (height === 0) return '–';
  const count = levels.length > 1 && level >= 0 ? `, ${level + 1} of ${levels.length}` : '';
  return `${width} × ${height}${count}`;
}

function deliveryText({ partTarget, segmentTarget }: PlaybackState): string {
  if (partTarget !== null) return `parts of ${partTarget} s`;
  return segmentTarget === null ? '–' : `segments of ${segmentTarget} s`;
}

function edgeText({ edge, edges, edgeSwitches }: PlaybackState): string {
  const host = URL.canParse(edge) ? new URL(edge).host : edge;
  const changes = edgeSwitches === 0 ? '' : `, changed ${edgeSwitches === 1 ? 'once' : `${edgeSwitches} times`}`;
  return `${host}${edges.length > 1 ? ` (of ${edges.length})` : ''}${changes}`;
}

function rebufferText({ rebuffers, stallMs }: PlaybackState): string {
  return stallMs === 0 ? String(rebuffers) : `${rebuffers}, ${(stallMs / 1_000).toFixed(1)} s still`;
}
