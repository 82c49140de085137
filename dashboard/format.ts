// Texts for people: sizes, bit rates, durations, times.

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes with decimal units: `1.5 MB`; empty for null. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null || !Number.isFinite(bytes)) return '';
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < SIZES.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${SIZES[unit]}`;
}

/** Bit rate: `2.5 Mbit/s`, `640 kbit/s`; empty for 0. */
export function formatBitrate(bitsPerSecond: number): string {
  if (!(bitsPerSecond > 0)) return '';
  return bitsPerSecond >= 999_500
    ? `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1_000)} kbit/s`;
}

/** Seconds as `m:ss` or `h:mm:ss`; empty for null. */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return '';
  const whole = Math.round(seconds);
  const h = Math.floor(whole / 3_600);
  const m = Math.floor(whole / 60) % 60;
  const s = String(whole % 60).padStart(2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${m}:${s}`;
}

/** Time since, coarse: `40 s`, `12 min`, `3 h`, `5 days`. Both in ms since the epoch. */
export function formatAge(since: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - since) / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** `1 viewer`, `3 viewers`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** HTML that puts a video into another page; the title is escaped for the attribute. */
export function embedCode(embedUrl: string, title: string): string {
  const name = (title || 'Video').replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
  return `<iframe src="${embedUrl}" title="${name}" width="960" height="540" style="border:0" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>`;
}

/** Seconds from `90`, `1:30`, `1:02:03` or `12.5`; null for anything else. */
export function parseSeconds(text: string): number | null {
  if (!/^\d{1,6}(?::[0-5]?\d){0,2}(?:\.\d{1,3})?$/.test(text.trim())) return null;
  return text
    .trim()
    .split(':')
    .reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Names of renditions for people: `720p, 240p, audio`. */
export function formatRenditions(names: readonly string[]): string {
  const words = names.map((name) =>
    name.startsWith('v') ? `${name.slice(1)}p` : name.startsWith('a') ? 'audio' : name,
  );
  return [...new Set(words)].join(', ');
}
