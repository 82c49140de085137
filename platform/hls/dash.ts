// MPEG-DASH manifests: one structure that every MPD is written from, and its text. What stands in it: dash-periods.ts.
// Source: ISO/IEC 23009-1; DASH-IF interoperability guidelines, part 5 (UTCTiming), part 4 (SegmentTimeline with $Number$).
import type { ContentId, WriterTag } from '../contract/ids.ts';
import { HOLD_BACK_TARGETS } from '../contract/latency.ts';
import type { RenditionInfo } from '../contract/records.ts';
import { initUri, PUBLIC_GRANT, segmentUri } from '../contract/routes.ts';

/** A segment on its rendition's clock; times in the rendition's timescale. */
export type DashSegment = { msn: number; t: number; d: number; writer: WriterTag };

/** One rendition within a Period. */
export type DashTrack = {
  info: Pick<RenditionInfo, 'name' | 'kind' | 'codecs' | 'width' | 'height' | 'channels' | 'bandwidth' | 'timescale'>;
  /** Frames per second, `30` or `30000/1001`; null: not known, or audio. */
  frameRate: string | null;
  /** In play order, at least one, media sequence numbers without a hole. */
  segments: readonly DashSegment[];
};

export type DashPeriod = {
  /** The same in every manifest that names this Period. */
  id: string;
  /** On the presentation's clock; the same in every manifest. Unit: s. */
  startS: number;
  /** Null in a running presentation: until the next Period. Unit: s. */
  durationS: number | null;
  /** Media time at the Period's start, on the clock that all its tracks share. Unit: s. */
  originS: number;
  /** Of the addresses. */
  epoch: number;
  /** Some segments do not begin with a key frame. */
  isDependent: boolean;
  tracks: readonly DashTrack[];
};

export type DashManifest = {
  content: ContentId;
  /** Upper bound of every segment's length, rounded. Unit: s. */
  targetDurationS: number;
  periods: readonly DashPeriod[];
  /** Null: on demand. */
  live: {
    /** Wall clock of presentation time 0, the same for the life of the presentation. Unit: ms since the epoch. */
    startMs: number;
    /** Wall clock of the end of the newest segment. Unit: ms since the epoch. */
    publishedMs: number;
    /** Wall clock now, which players set theirs by. Unit: ms since the epoch. */
    nowMs: number;
    /** How far back a viewer may seek. Unit: s. */
    windowS: number;
  } | null;
  /** On demand: length of everything. Unit: s. */
  durationS: number | null;
  /**
   * `template`: SegmentTemplate with $Number$; within a Period each track has one writer. `list`: SegmentList with an address per segment,
   * for presentations whose writer changes often. Never changes for one presentation: players keep what they know of a Period.
   */
  addressing: 'template' | 'list';
};

/** The text of a manifest: a pure function of the structure. Addresses are relative to `/{playback_id}.mpd`. */
export function writeDash(manifest: DashManifest): string {
  const { live, targetDurationS } = manifest;
  const attributes: Attributes = {
    xmlns: 'urn:mpeg:dash:schema:mpd:2011',
    profiles:
      manifest.addressing === 'list' ? 'urn:mpeg:dash:profile:full:2011' : 'urn:mpeg:dash:profile:isoff-live:2011',
    type: live === null ? 'static' : 'dynamic',
    ...(live === null ? {} : liveAttributes(live, targetDurationS)),
    mediaPresentationDuration: manifest.durationS === null ? null : duration(manifest.durationS),
    minBufferTime: duration(targetDurationS),
    maxSegmentDuration: duration(targetDurationS),
  };
  const clock = live === null ? [] : [tag('UTCTiming', { schemeIdUri: UTC_DIRECT, value: date(live.nowMs) })];
  const body = [
    `<BaseURL>${escaped(`v/${PUBLIC_GRANT}/${manifest.content}/`)}</BaseURL>`,
    ...manifest.periods.flatMap((period) => periodLines(period, manifest)),
    ...clock,
  ];
  return ['<?xml version="1.0" encoding="UTF-8"?>', ...element('MPD', attributes, body), ''].join('\n');
}

const UTC_DIRECT = 'urn:mpeg:dash:utc:direct:2014';
const CHANNELS = 'urn:mpeg:dash:23003:3:audio_channel_configuration:2011';

const liveAttributes = (live: NonNullable<DashManifest['live']>, targetDurationS: number): Attributes => ({
  availabilityStartTime: date(live.startMs),
  publishTime: date(live.publishedMs),
  minimumUpdatePeriod: duration(targetDurationS),
  timeShiftBufferDepth: duration(live.windowS),
  suggestedPresentationDelay: duration(HOLD_BACK_TARGETS * targetDurationS),
});

function periodLines(period: DashPeriod, { addressing }: DashManifest): string[] {
  const sets = (['video', 'audio'] as const).flatMap((kind) => {
    const tracks = period.tracks.filter(({ info }) => info.kind === kind);
    if (tracks.length === 0) return [];
    const attributes: Attributes = {
      id: kind === 'video' ? 0 : 1,
      contentType: kind,
      mimeType: `${kind}/mp4`,
      segmentAlignment: kind === 'video' ? 'true' : null,
      startWithSAP: period.isDependent && kind === 'video' ? null : 1,
    };
    const representations = tracks.flatMap((track) => representationLines(track, period, addressing));
    return element('AdaptationSet', attributes, representations);
  });
  const length = period.durationS === null ? null : duration(period.durationS);
  return element('Period', { id: period.id, start: duration(period.startS), duration: length }, sets);
}

function representationLines(track: DashTrack, period: DashPeriod, addressing: DashManifest['addressing']): string[] {
  const { info } = track;
  const isAudio = info.kind === 'audio';
  const attributes: Attributes = {
    id: info.name,
    bandwidth: Math.max(1, Math.ceil(info.bandwidth)),
    codecs: info.codecs,
    width: info.width,
    height: info.height,
    frameRate: track.frameRate,
    audioSamplingRate: isAudio ? info.timescale : null,
  };
  const channels =
    isAudio && info.channels !== null
      ? [tag('AudioChannelConfiguration', { schemeIdUri: CHANNELS, value: info.channels })]
      : [];
  const segments = addressing === 'template' ? templateLines(track, period) : listLines(track, period);
  return element('Representation', attributes, [...channels, ...segments]);
}

const clockOf = ({ info }: DashTrack, period: DashPeriod): Attributes => ({
  timescale: info.timescale,
  presentationTimeOffset: Math.round(period.originS * info.timescale),
});

function templateLines(track: DashTrack, period: DashPeriod): string[] {
  const first = track.segments[0];
  if (first === undefined) return [];
  const attributes = {
    ...clockOf(track, period),
    startNumber: first.msn,
    initialization: `$RepresentationID$/${initUri(period.epoch)}`,
    media: `$RepresentationID$/${segmentUri(period.epoch, 0, first.writer).replace('/s0.', '/s$Number$.')}`,
  };
  return element('SegmentTemplate', attributes, timelineLines(track.segments, true));
}

function listLines(track: DashTrack, period: DashPeriod): string[] {
  const { name } = track.info;
  const addresses = track.segments.map(({ msn, writer }) =>
    tag('SegmentURL', { media: `${name}/${segmentUri(period.epoch, msn, writer)}` }),
  );
  return element('SegmentList', clockOf(track, period), [
    tag('Initialization', { sourceURL: `${name}/${initUri(period.epoch)}` }),
    // dash.js finds the address by the number of the S element, so that each has one of its own.
    ...timelineLines(track.segments, false),
    ...addresses,
  ]);
}

function timelineLines(segments: readonly DashSegment[], canRepeat: boolean): string[] {
  const entries: { t: number | null; d: number; r: number }[] = [];
  let end: number | null = null;
  for (const { t, d } of segments) {
    const last = entries.at(-1);
    if (canRepeat && last !== undefined && t === end && d === last.d) last.r += 1;
    else entries.push({ t: t === end ? null : t, d, r: 0 });
    end = t + d;
  }
  const lines = entries.map(({ t, d, r }) => tag('S', { t, d, r: r === 0 ? null : r }));
  return element('SegmentTimeline', {}, lines);
}

type Attributes = Record<string, string | number | null>;

const escaped = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
const opening = (name: string, attributes: Attributes): string =>
  Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .reduce((text, [attribute, value]) => `${text} ${attribute}="${escaped(String(value))}"`, `<${name}`);
const tag = (name: string, attributes: Attributes): string => `${opening(name, attributes)}/>`;
const element = (name: string, attributes: Attributes, body: readonly string[]): string[] => [
  `${opening(name, attributes)}>`,
  ...body,
  `</${name}>`,
];

const date = (ms: number): string => new Date(Math.round(ms)).toISOString();
/** xs:duration in seconds, to the microsecond. */
const duration = (value: number): string => `PT${Number(value.toFixed(6))}S`;
