// Playlists read back by two independent parsers.
import * as hls from 'hls-parser';
import { Parser } from 'm3u8-parser';
import { expect } from 'vitest';

/** What both parsers make of a media playlist; neither may have anything to complain about. */
export function readMedia(text: string) {
  const { manifest, other } = read(text);
  if (other.isMasterPlaylist) throw new Error('not a media playlist');
  return { manifest, other };
}

/** The same of a master playlist. */
export function readMaster(text: string) {
  const { manifest, other } = read(text);
  if (!other.isMasterPlaylist) throw new Error('not a master playlist');
  return { manifest, other };
}

function read(text: string) {
  const parser = new Parser();
  const warnings: string[] = [];
  parser.on('warn', ({ message }) => warnings.push(message));
  parser.push(text);
  parser.end();
  expect(warnings).toEqual([]);
  // Strict: what breaks the draft's rules is an error, not a line on the console.
  hls.setOptions({ strictMode: true });
  return { manifest: parser.manifest, other: hls.parse(text) };
}
