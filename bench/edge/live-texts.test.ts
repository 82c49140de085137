import HlsParser from 'hls-parser';
import { expect, it } from 'vitest';
import { hintedPart } from '../../edge-cache/preload-hint.ts';
import { parseViewerPath } from '../../platform/contract/routes.ts';
import {
  classicPlaylist,
  finishedPlaylist,
  lowLatency,
  lowLatencyPlaylist,
  masterPlaylist,
  newestListed,
  newestPart,
  newestSegment,
  partAtMs,
  partIndex,
  placeOf,
  segmentAtMs,
} from './live-texts.ts';
import { bytesOf, contents, lengthOfWriter, partPath, playlistPath, segmentPath } from './objects.ts';

it('a segment and a part are the newest from the moment they are there', () => {
  expect([newestSegment(segmentAtMs(7) - 1), newestSegment(segmentAtMs(7))]).toEqual([6, 7]);
  expect([newestPart(partAtMs(7) - 1), newestPart(partAtMs(7))]).toEqual([6, 7]);
  const { msn, part } = placeOf(4 * lowLatency.partsPerSegment + 3);
  expect([msn, part, partIndex(msn, part)]).toEqual([4, 3, 4 * lowLatency.partsPerSegment + 3]);
});

it('every playlist is one for a parser that is not ours', () => {
  for (const text of [classicPlaylist('v480', 11), lowLatencyPlaylist(50), finishedPlaylist(1_000, 20, 1_200)])
    expect(HlsParser.parse(text).isMasterPlaylist).toBe(false);
  expect(HlsParser.parse(masterPlaylist(contents.classic, ['v144'])).isMasterPlaylist).toBe(true);
});

it('a viewer reads the newest segment from a classic playlist', () => {
  expect(newestListed(Buffer.from(classicPlaylist('v480', 11)))).toBe(11);
  expect(newestListed(Buffer.from('<html>'))).toBeNull();
});

it('a low-latency playlist hints at the part that its viewers ask for next, and has about 2 KB', () => {
  const route = parseViewerPath(playlistPath(contents.lowLatency));
  const text = Buffer.from(lowLatencyPlaylist(200));
  expect(text.length).toBeGreaterThan(1_600);
  expect(text.length).toBeLessThan(2_400);
  const { msn, part } = placeOf(201);
  const hinted = route?.kind === 'media-playlist' ? hintedPart(route, text) : null;
  expect(hinted).toEqual(parseViewerPath(partPath(contents.lowLatency, msn, part, lowLatency.partBytes)));
});

it('the playlist of the cells has as many bytes as it should', () => {
  expect(finishedPlaylist(1_048_576, 20, 1_200)).toHaveLength(1_200);
});

it('an address tells how many bytes its object has, and has its own', () => {
  const path = segmentPath(contents.classic, 3, 600_000);
  const route = parseViewerPath(path);
  expect(route?.kind === 'segment' && lengthOfWriter(route.writer)).toBe(600_000);
  expect(bytesOf(path, 600_000)).toHaveLength(600_000);
  expect(bytesOf(path, 1_000).equals(bytesOf(segmentPath(contents.classic, 4, 600_000), 1_000))).toBe(false);
  expect(lengthOfWriter('writer')).toBeNull();
});
