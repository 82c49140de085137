// The storyboard of a broadcast as its recording shows it: where each picture stands on a sheet, and when. Pure.
import { vttTime } from '../platform/hls/storyboard.ts';
import type { TileSize } from './live-picture-studio.ts';

export const SHEET: TileSize = { width: 160, height: 90, columns: 5, rows: 5 };
/** Pictures of one sheet. */
export const SHEET_PICTURES = SHEET.columns * SHEET.rows;
export const sheetName = (index: number): string => `storyboard-${index}.jpg`;

/**
 * WebVTT whose cues follow one another from 0 to the end; each names a sheet and a rectangle on it.
 * @param times of the pictures in the recording, ascending, s; those on sheets that exist
 * @param durationS length of the recording
 */
export function storyboardText(times: readonly number[], durationS: number): string {
  const cues = times.map((_, i) => {
    const start = i === 0 ? 0 : (times[i] ?? 0);
    const end = times[i + 1] ?? Math.max(durationS, start + 0.001);
    const place = i % SHEET_PICTURES;
    const x = (place % SHEET.columns) * SHEET.width;
    const y = Math.floor(place / SHEET.columns) * SHEET.height;
    const picture = `${sheetName(Math.floor(i / SHEET_PICTURES))}#xywh=${x},${y},${SHEET.width},${SHEET.height}`;
    return `${vttTime(start)} --> ${vttTime(end)}\n${picture}\n`;
  });
  return ['WEBVTT\n', ...cues].join('\n');
}

/**
 * Start of each segment in the recording: gaps are left out.
 * @param durations of the segments by number; 0 for a gap. Unit: s
 */
export function recordedStarts(durations: ReadonlyMap<number, number>): { starts: Map<number, number>; total: number } {
  const starts = new Map<number, number>();
  let total = 0;
  for (const msn of [...durations.keys()].sort((a, b) => a - b)) {
    starts.set(msn, total);
    total += durations.get(msn) ?? 0;
  }
  return { starts, total };
}
