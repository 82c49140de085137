// The lines of a playlist: tags with and without attribute lists. Both playlist writers build their text from these.

/** Protocol version of master and on-demand playlists: the least for EXT-X-MAP in ordinary media playlists (rfc8216bis, section 8). */
export const PLAYLIST_VERSION = 6;
/** Of live media playlists: the version that brought EXT-X-SKIP; one number for the life of a playlist. */
export const LIVE_PLAYLIST_VERSION = 9;

/** Attribute value as it stands in the tag; null leaves the attribute out. */
export type AttributeValue = string | number | null;

/**
 * A quoted-string attribute value. Characters that RFC 8216, 4.2 forbids inside one (line feed, carriage return, double quote) are dropped.
 */
export const quoted = (text: string): string => `"${text.replace(/["\r\n]/g, '')}"`;

/** A tag with an attribute list, attributes in the given order: `#EXT-X-MAP:URI="1/init.mp4"`. */
export function attributeTag(name: string, attributes: Record<string, AttributeValue>): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([attribute, value]) => `${attribute}=${value}`);
  return `#${name}:${list.join(',')}`;
}

/** A tag with one plain value: `#EXT-X-VERSION:6`. */
export const valueTag = (name: string, value: string | number): string => `#${name}:${value}`;

/** Seconds as a decimal-floating-point of six digits: the sum of a day's segments is off by less than 25 ms. */
export const seconds = (value: number): string => value.toFixed(6);

/** The whole text: every line ended by a line feed. */
export const playlistText = (lines: string[]): string => `${['#EXTM3U', ...lines].join('\n')}\n`;

const MINUTE_MS = 60_000;
/** The minute last written, as text: half the time of a day's playlist would go into Date.toISOString. */
let minute = { at: Number.NaN, text: '' };

/** EXT-X-PROGRAM-DATE-TIME. @param ms since the epoch */
export function dateTag(ms: number): string {
  const whole = Math.round(ms);
  const at = Math.floor(whole / MINUTE_MS);
  if (at !== minute.at) minute = { at, text: new Date(at * MINUTE_MS).toISOString().slice(0, 17) };
  const rest = String(whole - at * MINUTE_MS).padStart(5, '0');
  return `#EXT-X-PROGRAM-DATE-TIME:${minute.text}${rest.slice(0, 2)}.${rest.slice(2)}Z`;
}
