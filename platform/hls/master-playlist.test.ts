// Master playlists, read back by two independent parsers.
import { describe, expect, test } from 'vitest';
import { readMaster } from '../../test/support/playlist-parsers.ts';
import { audio0, LIVE_CONTENT, video360, video720 } from '../../test/support/timelines.ts';
import type { RenditionName } from '../contract/ids.ts';
import { masterPlaylist } from './master-playlist.ts';

test('two sizes with audio: best first, rates with the audio in them, one default audio rendition', () => {
  const text = masterPlaylist({ content: LIVE_CONTENT, renditions: [audio0, video360, video720] }) ?? '';
  const { manifest, other } = readMaster(text);
  expect(manifest.version).toBe(6);
  expect(manifest.independentSegments).toBe(true);
  expect(manifest.playlists?.map((one) => one.uri)).toEqual([
    `v/-/${LIVE_CONTENT}/v720/index.m3u8`,
    `v/-/${LIVE_CONTENT}/v360/index.m3u8`,
  ]);
  expect(manifest.playlists?.[1]?.attributes).toMatchObject({
    BANDWIDTH: 770_000 + 132_000,
    'AVERAGE-BANDWIDTH': String(700_000 + 128_000),
    CODECS: 'avc1.64001e,mp4a.40.2',
    RESOLUTION: { width: 640, height: 360 },
    'FRAME-RATE': 30,
    AUDIO: 'audio',
  });
  expect(manifest.mediaGroups?.AUDIO['audio']).toEqual({
    Audio: {
      default: true,
      autoselect: true,
      uri: `v/-/${LIVE_CONTENT}/a0/index.m3u8`,
    },
  });
  expect(other.independentSegments).toBe(true);
  expect(other.variants.map((one) => [one.uri, one.bandwidth, one.averageBandwidth, one.frameRate])).toEqual([
    [`v/-/${LIVE_CONTENT}/v720/index.m3u8`, 2_882_000, 828_000, 30],
    [`v/-/${LIVE_CONTENT}/v360/index.m3u8`, 902_000, 828_000, 30],
  ]);
  expect(other.variants[0]?.audio.map((one) => [one.isDefault, one.channels, one.uri])).toEqual([
    [true, '2', `v/-/${LIVE_CONTENT}/a0/index.m3u8`],
  ]);
});

test('the same renditions in another order give the same text', () => {
  const one = masterPlaylist({ content: LIVE_CONTENT, renditions: [audio0, video360, video720] });
  const two = masterPlaylist({ content: LIVE_CONTENT, renditions: [video720, audio0, video360] });
  expect(two).toBe(one);
});

test('silent video: no audio group, the video codec alone', () => {
  const { manifest, other } = readMaster(masterPlaylist({ content: LIVE_CONTENT, renditions: [video360] }) ?? '');
  expect(manifest.playlists?.[0]?.attributes.CODECS).toBe('avc1.64001e');
  expect(manifest.playlists?.[0]?.attributes.BANDWIDTH).toBe(770_000);
  expect(other.variants[0]?.audio).toEqual([]);
});

test('audio alone: one variant, which is the audio playlist, without size or frame rate', () => {
  const text = masterPlaylist({ content: LIVE_CONTENT, renditions: [audio0] }) ?? '';
  const { manifest } = readMaster(text);
  expect(manifest.playlists?.map((one) => one.uri)).toEqual([`v/-/${LIVE_CONTENT}/a0/index.m3u8`]);
  expect(manifest.playlists?.[0]?.attributes.CODECS).toBe('mp4a.40.2');
  expect(text).not.toMatch(/RESOLUTION|FRAME-RATE|EXT-X-MEDIA/);
});

test('a second audio rendition is offered, but is no default', () => {
  const second = { ...audio0, name: 'a1' as RenditionName };
  const { other } = readMaster(masterPlaylist({ content: LIVE_CONTENT, renditions: [second, audio0, video360] }) ?? '');
  expect(other.variants[0]?.audio.map((one) => [one.name, one.isDefault])).toEqual([
    ['Audio', true],
    ['Audio 2', false],
  ]);
});

test('a grant stands in every address', () => {
  const text =
    masterPlaylist({ content: LIVE_CONTENT, renditions: [audio0, video360], grant: 'grant0123456789ab' }) ?? '';
  expect(text.match(/v\/grant0123456789ab\//g)).toHaveLength(2);
  expect(text).not.toContain('v/-/');
});

test('fractional rates keep three digits', () => {
  const text = masterPlaylist({ content: LIVE_CONTENT, renditions: [{ ...video360, frame_rate: 30_000 / 1_001 }] });
  expect(text).toContain('FRAME-RATE=29.970');
});

test('nothing to play is no playlist', () => {
  expect(masterPlaylist({ content: LIVE_CONTENT, renditions: [] })).toBeNull();
});

test('of pass-through no variant promises key frames at the start of its segments', () => {
  const text = masterPlaylist({ content: LIVE_CONTENT, renditions: [video360], isDependent: true }) ?? '';
  expect(readMaster(text).manifest.independentSegments).toBeUndefined();
});

describe('with edges to steer between', () => {
  const edges = ['http://localhost:8080', 'https://edge.example'];
  const steered = (more: Partial<Parameters<typeof masterPlaylist>[0]> = {}) =>
    masterPlaylist({ content: LIVE_CONTENT, renditions: [audio0, video360, video720], pathways: edges, ...more }) ?? '';

  test('names the steering manifest and the pathway to begin with', () => {
    expect(steered()).toContain('#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="."\n');
  });

  test('lists every variant for every pathway, those of the answering edge first and relative', () => {
    const { manifest, other } = readMaster(steered());
    const names = ['v720', 'v360'];
    expect(manifest.playlists?.map((one) => [one.attributes['PATHWAY-ID'], one.uri])).toEqual([
      ...names.map((name) => ['.', `v/-/${LIVE_CONTENT}/${name}/index.m3u8`]),
      ...names.map((name) => ['localhost-8080', `http://localhost:8080/v/-/${LIVE_CONTENT}/${name}/index.m3u8`]),
      ...names.map((name) => ['edge.example', `https://edge.example/v/-/${LIVE_CONTENT}/${name}/index.m3u8`]),
    ]);
    expect(other.variants.map((one) => one.stableVariantId)).toEqual([...names, ...names, ...names]);
    // But for address, group and pathway a variant is the same on every edge.
    expect(new Set(other.variants.map((one) => one.bandwidth)).size).toBe(2);
  });

  test('the audio of a pathway is on the same edge as its video', () => {
    const { other } = readMaster(steered());
    for (const variant of other.variants) {
      const edge = variant.uri.replace(/v\/-.*$/, '');
      expect(variant.audio.map((one) => [one.uri, one.isDefault])).toEqual([
        [`${edge}v/-/${LIVE_CONTENT}/a0/index.m3u8`, true],
      ]);
    }
    expect(steered().match(/STABLE-RENDITION-ID="a0"/g)).toHaveLength(3);
  });

  test('audio alone is listed for every pathway too', () => {
    const { manifest } = readMaster(steered({ renditions: [audio0] }));
    expect(manifest.playlists?.map((one) => one.attributes['PATHWAY-ID'])).toEqual([
      '.',
      'localhost-8080',
      'edge.example',
    ]);
  });

  test('without edges nothing of it is there', () => {
    expect(steered({ pathways: [] })).toBe(
      masterPlaylist({ content: LIVE_CONTENT, renditions: [audio0, video360, video720] }),
    );
    expect(steered({ pathways: [] })).not.toMatch(/PATHWAY|STABLE|STEERING/);
  });
});
