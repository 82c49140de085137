// A live that a test moves by hand: parts by the clock, gaps with and without parts, holding, a new epoch on return, the end; and its playlists.
import { PART_S, PARTS_PER_GOP, PARTS_PER_SEGMENT, type Track } from './player-media.ts';

export const TARGET_S = 2;
export const PART_TARGET_S = 0.35;

/**
 * `live`: media. `gap`: gap segments with gap parts. `gap-segments`: gap segments without parts. `hold`: nothing new.
 */
export type Mode = 'live' | 'gap' | 'gap-segments' | 'hold';

export type Segment = {
  msn: number;
  epoch: number;
  isGap: boolean;
  /** Renditions that are not made at the moment. */
  missing: string[];
  /** Media fragments by running number since the epoch began; empty in a gap. */
  first: number;
  count: number;
  isClosed: boolean;
  hasParts: boolean;
  pdtMs: number;
};

export type LiveOptions = {
  /** Segments that lie behind the live when it starts. */
  history: number;
  /** Length of the playlist. Unit: segments. */
  window: number;
};

/** Decode times of an epoch begin here, so that a new epoch never continues the one before. Unit: parts. */
const EPOCH_STEP = 1_000;

export class RigLive {
  readonly segments: Segment[] = [];
  readonly #options: LiveOptions;
  #mode: Mode = 'live';
  #epoch = 1;
  #next = 0;
  #isEnded = false;
  #tick: ReturnType<typeof setInterval> | undefined;
  #nextAtMs = 0;
  #quietTicks = 0;
  #overAtMs = 0;
  #missing: string[] = [];
  readonly #waiters = new Set<() => void>();

  constructor(options: LiveOptions) {
    this.#options = options;
    const segmentMs = PARTS_PER_SEGMENT * PART_S * 1_000;
    const startMs = Date.now() - options.history * segmentMs;
    for (let msn = 0; msn < options.history; msn += 1) {
      this.segments.push({ ...this.#open(startMs + msn * segmentMs), count: PARTS_PER_SEGMENT, isClosed: true });
      this.#next += PARTS_PER_SEGMENT;
    }
  }

  start(): void {
    this.#nextAtMs = Date.now() + PART_S * 1_000;
    this.#tick = setInterval(() => this.#advance(), 10);
  }

  stop(): void {
    clearInterval(this.#tick);
    this.#wake();
  }

  get mode(): Mode {
    return this.#mode;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get startedAtMs(): number {
    return this.segments[0]?.pdtMs ?? 0;
  }

  /** Closes the open segment early; a return to `live` begins a new epoch. */
  set(mode: Mode): void {
    this.#close();
    if (mode === 'live' && this.#mode !== 'live') {
      this.#epoch += 1;
      this.#next = 0;
    }
    this.#mode = mode;
    this.#quietTicks = 0;
    this.#wake();
  }

  /** A new epoch in which these renditions are not made. */
  drop(missing: string[]): void {
    this.#close();
    this.#epoch += 1;
    this.#next = 0;
    this.#missing = missing;
    this.#wake();
  }

  /** @param lagMs for this long playlists still look live, as an edge's copies do */
  end(lagMs = 0): void {
    this.#close();
    this.#isEnded = true;
    this.#overAtMs = Date.now() + lagMs;
    this.stop();
  }

  /** Whether playlists say that it has ended. */
  get isOver(): boolean {
    return this.#isEnded && Date.now() >= this.#overAtMs;
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  /** Newest part: of the last segment, or of the one before when the last is only opened. */
  get head(): { msn: number; part: number } {
    const last = this.segments.at(-1);
    return { msn: last?.msn ?? -1, part: (last?.count ?? 0) - 1 };
  }

  /** Decode time of a media fragment of an epoch. */
  static ticks(track: Track, epoch: number, number: number): number {
    return Math.round((epoch * EPOCH_STEP + number) * PART_S * track.timescale);
  }

  listed(): Segment[] {
    return this.isOver ? [...this.segments] : this.segments.slice(-this.#options.window);
  }

  #open(pdtMs: number): Segment {
    const isGap = this.#mode !== 'live';
    return {
      msn: (this.segments.at(-1)?.msn ?? -1) + 1,
      epoch: this.#epoch,
      isGap,
      missing: [...this.#missing],
      first: this.#next,
      count: 0,
      isClosed: false,
      hasParts: this.#mode !== 'gap-segments',
      pdtMs,
    };
  }

  #close(): void {
    const last = this.segments.at(-1);
    if (last !== undefined && !last.isClosed) last.isClosed = true;
  }

  #advance(): void {
    while (Date.now() >= this.#nextAtMs) {
      this.#nextAtMs += PART_S * 1_000;
      if (this.#mode === 'hold') continue;
      this.#quietTicks += 1;
      if (this.#mode !== 'gap-segments') this.#append(1);
      else if (this.#quietTicks % PARTS_PER_SEGMENT === 0) this.#append(PARTS_PER_SEGMENT);
    }
  }

  #append(parts: number): void {
    let last = this.segments.at(-1);
    if (last === undefined || last.isClosed) {
      last = this.#open(this.#nextAtMs - (parts + 1) * PART_S * 1_000);
      this.segments.push(last);
    }
    last.count += parts;
    if (!last.isGap) this.#next += parts;
    if (last.count >= PARTS_PER_SEGMENT) last.isClosed = true;
    this.#wake();
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const resolve of waiters) resolve();
  }
}

/** A media playlist's text. @param skip whether a delta update is wanted */
export function mediaPlaylist(live: RigLive, track: Track, tracks: readonly Track[], skip: boolean): string {
  const listed = live.listed();
  const [first] = listed;
  const { isOver } = live;
  const partsFrom = listed.length - 4;
  const skipped = skip ? Math.max(0, listed.length - 7) : 0;
  const lines = ['#EXTM3U', '#EXT-X-VERSION:9', `#EXT-X-TARGETDURATION:${TARGET_S}`];
  if (isOver) lines.push('#EXT-X-PLAYLIST-TYPE:VOD');
  else {
    lines.push(
      `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=${6 * TARGET_S},PART-HOLD-BACK=${3 * PART_TARGET_S},HOLD-BACK=${3 * TARGET_S}`,
      `#EXT-X-PART-INF:PART-TARGET=${PART_TARGET_S}`,
    );
  }
  lines.push(`#EXT-X-MEDIA-SEQUENCE:${first?.msn ?? 0}`, `#EXT-X-DISCONTINUITY-SEQUENCE:${first?.epoch ?? 0}`);
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`);
  for (const [index, segment] of listed.entries()) {
    if (index < skipped) continue;
    const isNew = index > 0 && listed[index - 1]?.epoch !== segment.epoch;
    lines.push(
      ...segmentLines(segment, {
        isNew,
        withMap: index === skipped || isNew,
        withParts: !isOver && index >= partsFrom,
        isGap: segment.isGap || segment.missing.includes(track.name),
      }),
    );
  }
  if (isOver) lines.push('#EXT-X-ENDLIST');
  else lines.push(...tail(live, track, tracks));
  return `${lines.join('\n')}\n`;
}

function segmentLines(
  segment: Segment,
  how: { isNew: boolean; withMap: boolean; withParts: boolean; isGap: boolean },
): string[] {
  const { msn, epoch, count } = segment;
  const { isGap } = how;
  const lines: string[] = [];
  if (how.isNew) lines.push('#EXT-X-DISCONTINUITY');
  if (how.withMap) lines.push(`#EXT-X-MAP:URI="${epoch}/init.mp4"`);
  lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.pdtMs).toISOString()}`);
  if (how.withParts && segment.hasParts) {
    for (let part = 0; part < count; part += 1) {
      const independent = isGap || (segment.first + part) % PARTS_PER_GOP === 0 ? ',INDEPENDENT=YES' : '';
      const uri = `${epoch}/p${msn}.${part}.aaaa.m4s`;
      lines.push(`#EXT-X-PART:DURATION=${PART_S.toFixed(3)},URI="${uri}"${isGap ? ',GAP=YES' : independent}`);
    }
  }
  if (!segment.isClosed) return lines;
  if (isGap) lines.push('#EXT-X-GAP');
  lines.push(`#EXTINF:${(count * PART_S).toFixed(3)},`, `${epoch}/s${msn}.${isGap ? 'none' : 'aaaa'}.m4s`);
  return lines;
}

function tail(live: RigLive, track: Track, tracks: readonly Track[]): string[] {
  const last = live.segments.at(-1);
  const { msn, part } = live.head;
  const hint = last?.isClosed ? `p${msn + 1}.0` : `p${msn}.${part + 1}`;
  return [
    `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${last?.epoch ?? 1}/${hint}.aaaa.m4s"`,
    ...tracks
      .filter((other) => other !== track)
      .map((other) => `#EXT-X-RENDITION-REPORT:URI="../${other.name}/index.m3u8",LAST-MSN=${msn},LAST-PART=${part}`),
  ];
}
