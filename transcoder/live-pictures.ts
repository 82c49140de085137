// Pictures of a running broadcast: one every 10 s of media, sheets of 25 as they fill, a poster, and at the end the storyboard of the
// recording. Never in the way of the live: a picture that comes at a bad time is left out.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import {
  imageKey,
  initKey,
  LIVE_PICTURES,
  livePictureKey,
  livePicturePrefix,
  type ObjectKey,
  segmentKey,
} from '../platform/contract/object-keys.ts';
import type { EpochInfo } from '../platform/contract/records.ts';
import { IndexBlock, type TimelineEntry } from '../platform/contract/timeline.ts';
import { concatBytes, readBoxes } from '../platform/hls/boxes.ts';
import { pictureStep } from '../platform/hls/storyboard.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { CounterMetric } from '../platform/runtime/metrics.ts';
import { within } from '../platform/runtime/waits.ts';
import { listBlocks } from './live-history-blocks.ts';
import type { MediaStore } from './live-media-store.ts';
import type { Studio } from './live-picture-studio.ts';
import { recordedStarts, SHEET, SHEET_PICTURES, sheetName, storyboardText } from './live-storyboard.ts';

export interface LivePictures {
  /** Told of each closing entry, in order, gaps too; never blocks, never throws. */
  segmentClosed(entry: TimelineEntry): void;
  /** Stores the last sheet and storyboard.vtt; at most 3 s, never rejects. */
  finish(): Promise<void>;
}

/** What the broadcasts of a process share. */
export type PictureDeps = {
  media: Pick<MediaStore, 'put' | 'read'>;
  storage: Pick<ObjectStorage, 'list'>;
  studio: Studio;
  /** The live is behind: leave pictures out. */
  isBusy(): boolean;
  /** outcome: stored, skipped, failed. */
  pictures: CounterMetric;
};
export type PictureOptions = {
  content: ContentId;
  log: Logger;
  epochOf(epoch: number): EpochInfo | undefined;
};

const FINISH_MS = 3_000;
/** More than this behind, the machine has better things to do. */
const MOST_WAITING = 8;
/** A smaller first picture is most likely black; a later one becomes the poster, unless none does. Unit: bytes. */
const GOOD_PICTURE_BYTES = 3_000;
const POSTER_TRIES = 6;
/** Longest beginning of a segment that is looked at for its first picture. Unit: bytes. */
const HEAD_BYTES = 8 * 1024 * 1024;
const READ_AT_ONCE = 16;

class Pictures implements LivePictures {
  readonly #deps: PictureDeps;
  readonly #options: PictureOptions;
  /** Segments that have a picture, ascending. */
  #taken: number[] = [];
  /** Pictures of the sheet that is being filled, where they are at hand. */
  readonly #bytes = new Map<number, Buffer>();
  /** Length in the recording by segment number, s; 0: a gap. */
  readonly #durations = new Map<number, number>();
  #sheets = 0;
  #isTakenOver = false;
  #hasPoster = false;
  #isOver = false;
  /** One thing after the other, beginning with what earlier workers left. */
  #work: Promise<void>;
  #queued = 0;

  constructor(deps: PictureDeps, options: PictureOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#work = this.#quietly('read what was stored', () => this.#restore());
  }

  segmentClosed(entry: TimelineEntry): void {
    const info = this.#options.epochOf(entry.epoch);
    if (info === undefined || !entry.last || this.#isOver) return;
    this.#durations.set(entry.msn, lengthOf(entry, info));
    const isDue = entry.msn % pictureStep(info.target_duration) === 0 || this.#durations.size === 1;
    if (!isDue || entry.gap) return;
    if (this.#deps.isBusy() || this.#queued > 1 || this.#deps.studio.waiting() > MOST_WAITING) {
      this.#deps.pictures.add({ outcome: 'skipped' });
      return;
    }
    this.#queued += 1;
    this.#then('take a picture', async () => {
      try {
        await this.#take(entry, info);
      } finally {
        this.#queued -= 1;
      }
    });
  }

  async finish(): Promise<void> {
    this.#isOver = true;
    this.#then('make the last sheet', () => this.#makeSheet(this.#sheets));
    const work = this.#work;
    // The last sheet may come late; the storyboard then ends before it.
    await within(work, FINISH_MS / 2, 'the last sheet').catch(() => undefined);
    await this.#quietly('store the storyboard', () => within(this.#storeStoryboard(), FINISH_MS / 2, 'the storyboard'));
  }

  #then(what: string, step: () => Promise<void>): void {
    this.#work = this.#work.then(() => this.#quietly(what, step));
  }

  async #quietly(what: string, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (thrown) {
      this.#deps.pictures.add({ outcome: 'failed' });
      this.#options.log.info('live picture failed', { what, err: thrown });
    }
  }

  /** Pictures and sheets of earlier workers. */
  async #restore(): Promise<void> {
    const prefix = livePicturePrefix(this.#options.content);
    const sheets = new Set<string>();
    for await (const { key } of this.#deps.storage.list(prefix)) {
      const name = key.slice(prefix.length);
      const msn = /^(\d{9})\.jpg$/.exec(name)?.[1];
      if (msn !== undefined) this.#taken.push(Number(msn));
      else sheets.add(name);
    }
    this.#isTakenOver = this.#taken.length > 0;
    this.#hasPoster = sheets.has('poster.jpg');
    while (sheets.has(sheetName(this.#sheets))) this.#sheets += 1;
    await this.#fillSheets();
    if (this.#isTakenOver) await this.#readDurations();
  }

  async #take(entry: TimelineEntry, info: EpochInfo): Promise<void> {
    const { content } = this.#options;
    const { media, studio, pictures } = this.#deps;
    const source = smallestVideo(entry, info);
    if (source === null || this.#taken.includes(entry.msn)) return;
    const ref = { content, rendition: source.name, epoch: entry.epoch };
    const [init, segment] = await Promise.all([
      media.read(initKey(ref)),
      media.read(segmentKey({ ...ref, msn: entry.msn, writer: source.writer })),
    ]);
    const picture = await studio.picture(concatBytes([init, firstFragment(segment)]));
    await media.put(livePictureKey(content, entry.msn), picture);
    pictures.add({ outcome: 'stored' });
    this.#taken.push(entry.msn);
    this.#bytes.set(entry.msn, picture);
    if (!this.#hasPoster && (picture.length >= GOOD_PICTURE_BYTES || this.#taken.length >= POSTER_TRIES)) {
      this.#hasPoster = true;
      await media.put(imageKey(content, 'poster.jpg', LIVE_PICTURES), picture);
    }
    await this.#fillSheets();
  }

  async #fillSheets(): Promise<void> {
    while (this.#taken.length >= (this.#sheets + 1) * SHEET_PICTURES) await this.#makeSheet(this.#sheets);
  }

  async #makeSheet(index: number): Promise<void> {
    const { content } = this.#options;
    const { media, studio } = this.#deps;
    const taken = this.#taken.slice(index * SHEET_PICTURES, (index + 1) * SHEET_PICTURES);
    if (taken.length === 0) return;
    const pictures = await Promise.all(
      taken.map(async (msn) => this.#bytes.get(msn) ?? (await media.read(livePictureKey(content, msn)))),
    );
    await media.put(imageKey(content, sheetName(index), LIVE_PICTURES), await studio.sheet(pictures, SHEET));
    if (!this.#hasPoster && pictures[0] !== undefined) {
      this.#hasPoster = true;
      await media.put(imageKey(content, 'poster.jpg', LIVE_PICTURES), pictures[0]);
    }
    this.#sheets = index + 1;
    for (const msn of taken) this.#bytes.delete(msn);
  }

  async #storeStoryboard(): Promise<void> {
    const { content } = this.#options;
    if (this.#isTakenOver) await this.#readDurations();
    const { starts, total } = recordedStarts(this.#durations);
    const shown = this.#taken.slice(0, this.#sheets * SHEET_PICTURES);
    if (shown.length === 0) return;
    const text = storyboardText(
      shown.map((msn) => starts.get(msn) ?? total),
      total,
    );
    await this.#deps.media.put(imageKey(content, 'storyboard.vtt', LIVE_PICTURES), Buffer.from(text));
  }

  /** What earlier workers broadcast, from the index blocks; those that this worker saw itself are passed over. */
  async #readDurations(): Promise<void> {
    const keys: ObjectKey[] = [];
    for await (const { key, msn } of listBlocks(this.#deps.storage, this.#options.content)) {
      if (!this.#durations.has(msn)) keys.push(key);
    }
    for (let i = 0; i < keys.length; i += READ_AT_ONCE) {
      await Promise.all(keys.slice(i, i + READ_AT_ONCE).map((key) => this.#readBlock(key)));
    }
  }

  async #readBlock(key: ObjectKey): Promise<void> {
    const body = await this.#deps.media.read(key);
    const block = IndexBlock.parse(JSON.parse(body.toString('utf8')));
    const info = this.#options.epochOf(block.epoch);
    const lead = info?.renditions[0];
    for (const row of block.segments) {
      const ticks = lead === undefined ? undefined : row.renditions[lead.name]?.duration;
      this.#durations.set(row.msn, ticks === undefined || lead === undefined ? 0 : ticks / lead.timescale);
    }
  }
}

/** Length of a closed segment in the recording, s; 0 for a gap. */
function lengthOf(entry: TimelineEntry, info: EpochInfo): number {
  const lead = info.renditions[0];
  const segment = lead === undefined ? undefined : entry.renditions[lead.name]?.segment;
  return lead === undefined || segment === undefined ? 0 : segment.duration / lead.timescale;
}

function smallestVideo(entry: TimelineEntry, info: EpochInfo): { name: RenditionName; writer: WriterTag } | null {
  const found = info.renditions
    .filter((rendition) => rendition.kind === 'video')
    .sort((a, b) => (a.height ?? 0) - (b.height ?? 0))
    .flatMap(({ name }) => {
      const writer = entry.renditions[name]?.segment?.writer;
      return writer === undefined ? [] : [{ name, writer }];
    });
  return found[0] ?? null;
}

/** The first moof and mdat: the key frame is all that is needed. */
function firstFragment(segment: Uint8Array): Uint8Array {
  const boxes = readBoxes(segment);
  const at = boxes.findIndex((box) => box.type === 'moof');
  const [moof, mdat] = [boxes[at], boxes[at + 1]];
  if (moof === undefined || mdat === undefined) return segment.subarray(0, HEAD_BYTES);
  return segment.subarray(moof.start, Math.min(mdat.start + mdat.size, moof.start + HEAD_BYTES));
}

/** Begins at once with reading what earlier workers stored. */
export const createLivePictures = (deps: PictureDeps, options: PictureOptions): LivePictures =>
  new Pictures(deps, options);
