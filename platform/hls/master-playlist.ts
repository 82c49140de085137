// Multivariant (master) playlists: what an origin answers at /{playback_id}.m3u8, for live and on-demand alike.
import type { ContentId } from '../contract/ids.ts';
import type { RenditionInfo } from '../contract/records.ts';
import { mediaPlaylistPath, PUBLIC_GRANT } from '../contract/routes.ts';
import { attributeTag, PLAYLIST_VERSION, playlistText, quoted, valueTag } from './tags.ts';

const AUDIO_GROUP = 'audio';

/** Codecs, sizes and rates of a live or stored rendition, as far as a master playlist names them. */
export type MasterRendition = Pick<
  RenditionInfo,
  'name' | 'kind' | 'codecs' | 'width' | 'height' | 'frame_rate' | 'channels' | 'bandwidth' | 'average_bandwidth'
>;

export type MasterPlaylist = {
  content: ContentId;
  /** Finished or running renditions, in any order. */
  renditions: readonly MasterRendition[];
  /** Path element of every address; `-` for public content. */
  grant?: string;
  /** Segments may begin without a key frame: pass-through of a source that sends too few. */
  isDependent?: boolean;
};

/**
 * The text of a master playlist: one variant per video rendition, best first, each with the one default audio rendition;
 * without video, one variant that is the audio rendition itself. Addresses are relative to `/{playback_id}.m3u8`.
 * The same renditions give the same text in whatever order they come.
 * @returns null when there is nothing to play
 * Source: RFC 8216, 4.3.4; rfc8216bis, 4.4.6.
 */
export function masterPlaylist(master: MasterPlaylist): string | null {
  const address = (rendition: MasterRendition) =>
    mediaPlaylistPath(master.content, rendition.name, master.grant ?? PUBLIC_GRANT).slice(1);
  const videos = master.renditions.filter((rendition) => rendition.kind === 'video').sort(bestFirst);
  const audios = master.renditions.filter((rendition) => rendition.kind === 'audio').sort(byName);
  const audio = audios[0] ?? null;
  const lines = [valueTag('EXT-X-VERSION', PLAYLIST_VERSION)];
  if (!master.isDependent) lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
  if (videos.length === 0) {
    if (audio === null) return null;
    return playlistText([...lines, variantTag(audio, null), address(audio)]);
  }
  for (const [index, rendition] of audios.entries()) lines.push(audioTag(rendition, index, address(rendition)));
  for (const video of videos) lines.push(variantTag(video, audio), address(video));
  return playlistText(lines);
}

const byName = (a: MasterRendition, b: MasterRendition): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const bestFirst = (a: MasterRendition, b: MasterRendition): number => b.bandwidth - a.bandwidth || byName(a, b);

function audioTag(audio: MasterRendition, index: number, uri: string): string {
  return attributeTag('EXT-X-MEDIA', {
    TYPE: 'AUDIO',
    'GROUP-ID': quoted(AUDIO_GROUP),
    NAME: quoted(index === 0 ? 'Audio' : `Audio ${index + 1}`),
    DEFAULT: index === 0 ? 'YES' : 'NO',
    AUTOSELECT: 'YES',
    CHANNELS: audio.channels === null ? null : quoted(String(audio.channels)),
    URI: quoted(uri),
  });
}

function variantTag(main: MasterRendition, audio: MasterRendition | null): string {
  const hasSize = main.width !== null && main.height !== null;
  return attributeTag('EXT-X-STREAM-INF', {
    BANDWIDTH: Math.ceil(main.bandwidth + (audio?.bandwidth ?? 0)),
    'AVERAGE-BANDWIDTH': Math.ceil(main.average_bandwidth + (audio?.average_bandwidth ?? 0)),
    CODECS: quoted(audio === null ? main.codecs : `${main.codecs},${audio.codecs}`),
    RESOLUTION: hasSize ? `${main.width}x${main.height}` : null,
    'FRAME-RATE': main.frame_rate === null ? null : main.frame_rate.toFixed(3),
    AUDIO: audio === null ? null : quoted(AUDIO_GROUP),
  });
}
