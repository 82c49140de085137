// A strict reader of one live media playlist: reloads it as a low-latency player does and judges every answer by rfc8216bis and the product's tables.
import HlsParser from 'hls-parser';
import { Parser } from 'm3u8-parser';
import type { Grid } from '../../platform/contract/latency.ts';
import { delay } from '../../platform/runtime/waits.ts';

export type Judgement = {
  reloads: number;
  deltas: number;
  parts: number;
  segments: number;
  /** Longest wait for a blocking reload, ms. */
  longestWaitMs: number;
  violations: string[];
};
export type LawOptions = {
  /** Absolute address. */
  url: string;
  grid: Grid;
  /** Of the encoded picture; null: an audio rendition, whose parts follow AAC frames. */
  fps: { num: number; den: number } | null;
  targetDurationS: number;
  /** How many other renditions must be reported. */
  siblings: number;
  seconds: number;
};

type Part = { uri: string; duration: number; isIndependent: boolean; isGap: boolean };
type Segment = { msn: number; uri: string; duration: number; isGap: boolean; parts: Part[] };
type Read = {
  mediaSequence: number;
  targetDuration: number;
  partTarget: number | null;
  serverControl: string;
  skipped: number;
  segments: Segment[];
  /** Parts of the segment that is open. */
  open: Part[];
  hint: string | null;
  reports: number;
  isEnded: boolean;
};

const attribute = (line: string, name: string): string | null => {
  const match = new RegExp(`(?:[:,])${name}=("[^"]*"|[^,]*)`).exec(line);
  return match?.[1] === undefined ? null : match[1].replace(/^"|"$/g, '');
};

function read(text: string): Read {
  const value = (tag: string): string | null => new RegExp(`^#${tag}:(.*)$`, 'm').exec(text)?.[1] ?? null;
  const result: Read = {
    mediaSequence: Number(value('EXT-X-MEDIA-SEQUENCE')),
    targetDuration: Number(value('EXT-X-TARGETDURATION')),
    partTarget:
      value('EXT-X-PART-INF') === null ? null : Number(attribute(`:${value('EXT-X-PART-INF')}`, 'PART-TARGET')),
    serverControl: value('EXT-X-SERVER-CONTROL') ?? '',
    skipped: Number(attribute(`:${value('EXT-X-SKIP') ?? ''}`, 'SKIPPED-SEGMENTS') ?? 0),
    segments: [],
    open: [],
    hint: attribute(`:${value('EXT-X-PRELOAD-HINT') ?? ''}`, 'URI'),
    reports: text.split('\n').filter((line) => line.startsWith('#EXT-X-RENDITION-REPORT:')).length,
    isEnded: text.includes('#EXT-X-ENDLIST'),
  };
  let duration = 0;
  let isGap = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-PART:')) result.open.push(partOf(line));
    else if (line.startsWith('#EXTINF:')) duration = Number.parseFloat(line.slice(8));
    else if (line === '#EXT-X-GAP') isGap = true;
    else if (line !== '' && !line.startsWith('#')) {
      const msn = result.mediaSequence + result.skipped + result.segments.length;
      result.segments.push({ msn, uri: line, duration, isGap, parts: result.open });
      result.open = [];
      isGap = false;
    }
  }
  return result;
}

const partOf = (line: string): Part => ({
  uri: attribute(line, 'URI') ?? '',
  duration: Number(attribute(line, 'DURATION')),
  isIndependent: attribute(line, 'INDEPENDENT') === 'YES',
  isGap: attribute(line, 'GAP') === 'YES',
});

/** Least share of PART-TARGET that a part lasts which does not end its segment (rfc8216bis, 4.4.4.9). */
const LEAST_SHARE = 0.85;
const TICK_S = 0.000_02;

class Judge {
  readonly judgement: Judgement = { reloads: 0, deltas: 0, parts: 0, segments: 0, longestWaitMs: 0, violations: [] };
  private readonly options: LawOptions;
  private readonly seen = new Set<string>();
  private serverControl: string | null = null;
  private before: Read | null = null;

  constructor(options: LawOptions) {
    this.options = options;
  }

  say(violation: string): void {
    if (this.judgement.violations.length < 50) this.judgement.violations.push(violation);
  }

  async judge(text: string): Promise<Read> {
    this.judgement.reloads += 1;
    this.parse(text);
    const playlist = read(text);
    this.head(playlist);
    this.order(playlist);
    for (const segment of playlist.segments) this.segment(segment, playlist);
    for (const part of playlist.open) this.part(part, false, playlist);
    await this.probe(playlist);
    this.before = playlist;
    return playlist;
  }

  private parse(text: string): void {
    try {
      const parsed = HlsParser.parse(text);
      if (parsed.isMasterPlaylist) this.say('hls-parser takes it for a master playlist');
    } catch (thrown) {
      this.say(`hls-parser: ${thrown}`);
    }
    const parser = new Parser();
    parser.on('warn', (event) => this.say(`m3u8-parser: ${event.message}`));
    parser.push(text);
    parser.end();
  }

  private head(playlist: Read): void {
    const { grid, targetDurationS, siblings } = this.options;
    if (playlist.targetDuration !== targetDurationS) this.say(`TARGETDURATION ${playlist.targetDuration}`);
    if (playlist.partTarget !== grid.partTargetS) this.say(`PART-TARGET ${playlist.partTarget}`);
    this.serverControl ??= playlist.serverControl;
    if (playlist.serverControl !== this.serverControl || playlist.serverControl === '')
      this.say('SERVER-CONTROL changed');
    if (playlist.isEnded) return;
    if (grid.partTargetS !== null && playlist.hint === null) this.say('no PRELOAD-HINT');
    if (playlist.reports !== siblings) this.say(`${playlist.reports} rendition reports instead of ${siblings}`);
  }

  private order(playlist: Read): void {
    const { before } = this;
    if (before === null) return;
    if (playlist.mediaSequence < before.mediaSequence) this.say('media sequence went back');
    const [now, then] = [endOf(playlist), endOf(before)];
    if (now.msn < then.msn || (now.msn === then.msn && now.part < then.part))
      this.say(`went back from ${then.msn}.${then.part} to ${now.msn}.${now.part}`);
  }

  private segment(segment: Segment, playlist: Read): void {
    if (Math.round(segment.duration) > playlist.targetDuration)
      this.say(`segment ${segment.msn} lasts ${segment.duration} s`);
    for (const [index, part] of segment.parts.entries()) this.part(part, index === segment.parts.length - 1, playlist);
    const sum = segment.parts.reduce((total, part) => total + part.duration, 0);
    if (segment.parts.length > 0 && Math.abs(sum - segment.duration) > 0.001)
      this.say(`parts of segment ${segment.msn} sum up to ${sum}, it lasts ${segment.duration}`);
    if (segment.parts[0] !== undefined && !segment.parts[0].isIndependent && !segment.isGap)
      this.say(`segment ${segment.msn} does not begin with an independent part`);
  }

  private part(part: Part, isLast: boolean, playlist: Read): void {
    const target = playlist.partTarget;
    const { grid, fps } = this.options;
    if (target === null) {
      this.say('EXT-X-PART without PART-INF');
      return;
    }
    if (part.duration > target + TICK_S) this.say(`part ${part.uri} lasts ${part.duration}`);
    if (isLast || part.isGap) return;
    if (!part.isIndependent && part.duration < LEAST_SHARE * target - TICK_S)
      this.say(`part ${part.uri} lasts ${part.duration}, under 85 % of ${target}`);
    const expected = fps === null ? null : (grid.partFrames * fps.den) / fps.num;
    if (expected !== null && Math.abs(part.duration - expected) > TICK_S)
      this.say(`part ${part.uri} lasts ${part.duration} instead of ${expected}`);
  }

  /** Whatever is named must be there at once, whole. */
  private async probe(playlist: Read): Promise<void> {
    const parts = [...playlist.segments.flatMap((segment) => segment.parts), ...playlist.open];
    const fresh = [
      ...parts.filter((part) => !part.isGap).map((part) => part.uri),
      ...playlist.segments.filter((segment) => !segment.isGap).map((segment) => segment.uri),
    ].filter((uri) => !this.seen.has(uri));
    await Promise.all(
      fresh.map(async (uri) => {
        this.seen.add(uri);
        const answer = await fetch(new URL(uri, this.options.url), { signal: AbortSignal.timeout(5_000) }).catch(
          () => null,
        );
        const bytes = answer?.status === 200 ? (await answer.arrayBuffer()).byteLength : 0;
        if (bytes === 0) this.say(`${uri} was named and answered ${answer?.status ?? 'nothing'}`);
        if (/\/p\d+\./.test(uri)) this.judgement.parts += 1;
        else this.judgement.segments += 1;
      }),
    );
  }
}

function endOf(playlist: Read): { msn: number; part: number } {
  const closed = playlist.mediaSequence + playlist.skipped + playlist.segments.length;
  return { msn: closed, part: playlist.open.length };
}

/** Follows the playlist for `seconds`, every sixth reload as a delta update. Never throws: what goes wrong is a violation. */
export async function judgePlaylist(options: LawOptions): Promise<Judgement> {
  const judge = new Judge(options);
  const end = performance.now() + options.seconds * 1_000;
  let query = '';
  while (performance.now() < end) {
    const began = performance.now();
    const answer = await fetch(`${options.url}${query}`, { signal: AbortSignal.timeout(15_000) }).catch(() => null);
    const text = answer?.status === 200 ? await answer.text() : null;
    if (text === null) {
      judge.say(`${query} answered ${answer?.status ?? 'nothing'}`);
      await delay(500);
      continue;
    }
    if (query !== '')
      judge.judgement.longestWaitMs = Math.max(judge.judgement.longestWaitMs, performance.now() - began);
    const playlist = await judge.judge(text);
    if (playlist.isEnded) break;
    const { msn, part } = endOf(playlist);
    const isDelta = judge.judgement.reloads % 6 === 5;
    if (playlist.skipped > 0) judge.judgement.deltas += 1;
    query = `?_HLS_msn=${msn}${options.grid.partTargetS === null ? '' : `&_HLS_part=${part}`}${isDelta ? '&_HLS_skip=YES' : ''}`;
  }
  return judge.judgement;
}
