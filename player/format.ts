// Texts for people: durations, dates, bit rates.

/** Seconds as `m:ss` or `h:mm:ss`; empty for null. */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return '';
  const whole = Math.round(seconds);
  const h = Math.floor(whole / 3_600);
  const m = Math.floor(whole / 60) % 60;
  const s = String(whole % 60).padStart(2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${m}:${s}`;
}

const STEPS = [
  [60, 'minute'],
  [60, 'hour'],
  [24, 'day'],
  [30, 'month'],
  [12, 'year'],
] as const;

/** `3 minutes ago`; `just now` below a minute. Both in ms since the epoch. */
export function formatAgo(then: number, now: number): string {
  let value = Math.max(0, (now - then) / 1_000);
  let unit = '';
  for (const [size, name] of STEPS) {
    if (value < size) break;
    value /= size;
    unit = name;
  }
  const count = Math.floor(value);
  return unit === '' ? 'just now' : `${count} ${unit}${count === 1 ? '' : 's'} ago`;
}
