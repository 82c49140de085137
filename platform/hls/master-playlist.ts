// Multivariant (master) playlists: what an origin answers at /{playback_id}.m3u8, for live and on-demand alike.
import type { ContentId } from '../contract/ids.ts';
import type { RenditionInfo } from '../contract/records.ts';
import { mediaPlaylistPath, PUBLIC_GRANT } from '../contract/routes.ts';
import { HOME_PATHWAY, pathwayIdOf, STEERING_FILE } from '../contract/steering.ts';
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
  /** Public addresses of the edges that the playlist names as pathways, from `pathwaysOf`; none: no content steering. */
  pathways?: readonly string[];
};

/** Where a pathway's addresses begin, and what tells its tags from the others'. */
type Pathway = { base: string; audioGroup: string; id: string | null };

/**
 * The text of a master playlist: one variant per video rendition, best first, each with the one default audio rendition;
 * without video, one variant that is the audio rendition itself. Addresses are relative to `/{playback_id}.m3u8`.
 * With pathways, all of it stands again for each edge, with absolute addresses and an audio group of its own (EXT-X-MEDIA
 * has no PATHWAY-ID: audio goes with the group); the relative ones come first and are the pathway that viewers begin with.
 * The same renditions give the same text in whatever order they come.
 * @returns null when there is nothing to play
 * Source: RFC 8216, 4.3.4; rfc8216bis, 4.4.6 (content steering: 4.4.6.6).
 */
export function masterPlaylist(master: MasterPlaylist): string | null {
  const videos = master.renditions.filter((rendition) => rendition.kind === 'video').sort(bestFirst);
  const audios = master.renditions.filter((rendition) => rendition.kind === 'audio').sort(byName);
  const [main] = [...videos, ...audios];
  if (main === undefined) return null;
  const lines = [valueTag('EXT-X-VERSION', PLAYLIST_VERSION)];
  if (!master.isDependent) lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
  const pathways = pathwaysIn(master);
  if (pathways.length > 1) lines.push(steeringTag());
  const addressOf = ({ base }: Pathway, rendition: MasterRendition) =>
    `${base}${mediaPlaylistPath(master.content, rendition.name, master.grant ?? PUBLIC_GRANT).slice(1)}`;
  if (videos.length === 0) {
    for (const pathway of pathways) lines.push(variantTag(main, null, pathway), addressOf(pathway, main));
    return playlistText(lines);
  }
  for (const pathway of pathways) {
    for (const [index, audio] of audios.entries())
      lines.push(audioTag(audio, index, addressOf(pathway, audio), pathway));
  }
  for (const pathway of pathways) {
    for (const video of videos) lines.push(variantTag(video, audios[0] ?? null, pathway), addressOf(pathway, video));
  }
  return playlistText(lines);
}

/** The viewer's own first. */
function pathwaysIn({ pathways = [] }: MasterPlaylist): Pathway[] {
  if (pathways.length === 0) return [{ base: '', audioGroup: AUDIO_GROUP, id: null }];
  const named = pathways.map((address) => {
    const id = pathwayIdOf(address);
    return { base: `${address.replace(/\/+$/, '')}/`, audioGroup: `${AUDIO_GROUP}.${id}`, id };
  });
  return [{ base: '', audioGroup: AUDIO_GROUP, id: HOME_PATHWAY }, ...named];
}

const steeringTag = (): string =>
  attributeTag('EXT-X-CONTENT-STEERING', { 'SERVER-URI': quoted(STEERING_FILE), 'PATHWAY-ID': quoted(HOME_PATHWAY) });

const byName = (a: MasterRendition, b: MasterRendition): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const bestFirst = (a: MasterRendition, b: MasterRendition): number => b.bandwidth - a.bandwidth || byName(a, b);

function audioTag(audio: MasterRendition, index: number, uri: string, pathway: Pathway): string {
  return attributeTag('EXT-X-MEDIA', {
    TYPE: 'AUDIO',
    'GROUP-ID': quoted(pathway.audioGroup),
    NAME: quoted(index === 0 ? 'Audio' : `Audio ${index + 1}`),
    DEFAULT: index === 0 ? 'YES' : 'NO',
    AUTOSELECT: 'YES',
    CHANNELS: audio.channels === null ? null : quoted(String(audio.channels)),
    'STABLE-RENDITION-ID': pathway.id === null ? null : quoted(audio.name),
    URI: quoted(uri),
  });
}

function variantTag(main: MasterRendition, audio: MasterRendition | null, pathway: Pathway): string {
  const hasSize = main.width !== null && main.height !== null;
  return attributeTag('EXT-X-STREAM-INF', {
    BANDWIDTH: Math.ceil(main.bandwidth + (audio?.bandwidth ?? 0)),
    'AVERAGE-BANDWIDTH': Math.ceil(main.average_bandwidth + (audio?.average_bandwidth ?? 0)),
    CODECS: quoted(audio === null ? main.codecs : `${main.codecs},${audio.codecs}`),
    RESOLUTION: hasSize ? `${main.width}x${main.height}` : null,
    'FRAME-RATE': main.frame_rate === null ? null : main.frame_rate.toFixed(3),
    AUDIO: audio === null ? null : quoted(pathway.audioGroup),
    'STABLE-VARIANT-ID': pathway.id === null ? null : quoted(main.name),
    'PATHWAY-ID': pathway.id === null ? null : quoted(pathway.id),
  });
}
