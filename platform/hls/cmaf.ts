// CMAF: splits a single-track fragmented MP4 byte stream into its init part and fragments, reads both, writes fragments. Pure.
// Sources: ISO/IEC 14496-12 (moof, traf, trun, trex), 14496-15 (avcC), 14496-1 (esds), RFC 6381 (codecs).
import {
  type Box,
  BoxCursor,
  BoxMalformed,
  childrenOf,
  concatBytes,
  cursorOf,
  needBox,
  peekBox,
  readBoxes,
  words,
  writeBox,
} from './boxes.ts';

/** One frame, in decode order. */
export type Sample = {
  /** In the track's timescale. */
  duration: number;
  /** Unit: bytes. */
  size: number;
  /** ISO/IEC 14496-12 sample_flags. */
  flags: number;
  /** Presentation minus decode time, in the track's timescale; may be negative. */
  cts: number;
};

/** Values that trex gives to samples which do not carry their own. */
export type SampleDefaults = { duration: number; size: number; flags: number };

export type InitInfo = {
  trackId: number;
  /** Ticks per second of every time in the track. */
  timescale: number;
  kind: 'video' | 'audio';
  /** RFC 6381: `avc1.64001f`, `mp4a.40.2`. */
  codecs: string;
  /** Coded picture; null for audio. */
  width: number | null;
  height: number | null;
  /** Null for video. Unit: Hz. */
  sampleRate: number | null;
  channels: number | null;
  defaults: SampleDefaults;
};

export type Init = { kind: 'init'; bytes: Uint8Array; info: InitInfo };
export type Fragment = {
  kind: 'fragment';
  /** moof and mdat, as they came. */
  bytes: Uint8Array;
  sequence: number;
  trackId: number;
  /** Decode time of the first sample, in the track's timescale. */
  tfdt: number;
  /** Sum of the samples' durations, in the track's timescale. */
  duration: number;
  samples: Sample[];
  /** Payload of the samples, without headers, in order. */
  data: Uint8Array;
  /** The first sample is a sync sample; always true for audio. */
  isKey: boolean;
};

const NON_SYNC = 0x10000;
/** sample_flags of a frame that anything may start from (sample_depends_on 2). */
export const SYNC_SAMPLE_FLAGS = 0x02000000;

/** Whether a decoder may start at this sample. */
export const isSyncSample = (sample: Sample): boolean => (sample.flags & NON_SYNC) === 0;

/**
 * Reads ftyp + moov of a single-track fragmented file.
 * @throws BoxMalformed when a box is missing, or the codec is neither AVC nor AAC
 */
export function readInit(bytes: Uint8Array): InitInfo {
  const moov = readBoxes(bytes).find((box) => box.type === 'moov');
  if (moov === undefined) throw new BoxMalformed('moov is missing');
  const tracks = childrenOf(bytes, moov).filter((box) => box.type === 'trak');
  const trak = tracks[0];
  if (trak === undefined || tracks.length !== 1) throw new BoxMalformed(`${tracks.length} tracks instead of one`);
  const trex = cursorOf(bytes, needBox(bytes, moov, 'mvex', 'trex')).skip(4);
  const trackId = trex.u32();
  trex.skip(4);
  const defaults = { duration: trex.u32(), size: trex.u32(), flags: trex.u32() };
  const mdhd = cursorOf(bytes, needBox(bytes, trak, 'mdia', 'mdhd'));
  const isWide = mdhd.u8() === 1;
  const timescale = mdhd.skip(isWide ? 19 : 11).u32();
  if (timescale === 0) throw new BoxMalformed('the timescale is 0');
  const stsd = needBox(bytes, trak, 'mdia', 'minf', 'stbl', 'stsd');
  const entry = childrenOf(bytes, stsd, 8)[0];
  if (entry === undefined) throw new BoxMalformed('stsd is empty');
  return { trackId, timescale, defaults, ...readSampleEntry(bytes, entry) };
}

type EntryInfo = Pick<InitInfo, 'kind' | 'codecs' | 'width' | 'height' | 'sampleRate' | 'channels'>;

function readSampleEntry(bytes: Uint8Array, entry: Box): EntryInfo {
  const fields = cursorOf(bytes, entry);
  if (entry.type === 'avc1' || entry.type === 'avc3') {
    const width = fields.skip(24).u16();
    const height = fields.u16();
    const avcC = childrenOf(bytes, entry, 78).find((box) => box.type === 'avcC');
    if (avcC === undefined) throw new BoxMalformed('avcC is missing');
    const profile = cursorOf(bytes, avcC).skip(1);
    const hex = [profile.u8(), profile.u8(), profile.u8()].map((value) => value.toString(16).padStart(2, '0')).join('');
    return { kind: 'video', codecs: `${entry.type}.${hex}`, width, height, sampleRate: null, channels: null };
  }
  if (entry.type === 'mp4a') {
    const channels = fields.skip(16).u16();
    const sampleRate = fields.skip(6).u16();
    const esds = childrenOf(bytes, entry, 28).find((box) => box.type === 'esds');
    if (esds === undefined) throw new BoxMalformed('esds is missing');
    const codecs = `mp4a.40.${readAudioObjectType(bytes, esds)}`;
    return { kind: 'audio', codecs, width: null, height: null, sampleRate, channels };
  }
  throw new BoxMalformed(`codec ${entry.type} is not one that the platform makes`);
}

/** Length of an MPEG-4 descriptor: 7 bits a byte, the top bit says that more follow. */
function descriptorLength(cursor: BoxCursor): number {
  let length = 0;
  for (let index = 0; index < 4; index += 1) {
    const byte = cursor.u8();
    length = length * 128 + (byte & 0x7f);
    if ((byte & 0x80) === 0) break;
  }
  return length;
}

function readAudioObjectType(bytes: Uint8Array, esds: Box): number {
  const cursor = cursorOf(bytes, esds).skip(4);
  const expect = (tag: number, name: string) => {
    if (cursor.u8() !== tag) throw new BoxMalformed(`esds has no ${name}`);
    descriptorLength(cursor);
  };
  expect(3, 'ES descriptor');
  const flags = cursor.skip(2).u8();
  if (flags & 0x80) cursor.skip(2);
  if (flags & 0x40) cursor.skip(cursor.u8());
  if (flags & 0x20) cursor.skip(2);
  expect(4, 'decoder configuration');
  if (cursor.u8() !== 0x40) throw new BoxMalformed('the audio is not MPEG-4 AAC');
  cursor.skip(12);
  expect(5, 'decoder specific information');
  const bits = cursor.u16();
  const type = bits >> 11;
  return type === 31 ? 32 + ((bits >> 5) & 0x3f) : type;
}

type TrackHeader = { trackId: number; baseOffset: number | null; defaults: SampleDefaults };

function readTfhd(bytes: Uint8Array, box: Box, trex: SampleDefaults): TrackHeader {
  const cursor = cursorOf(bytes, box);
  const flags = cursor.u32() & 0xffffff;
  const trackId = cursor.u32();
  const baseOffset = flags & 0x1 ? cursor.u64() : null;
  if (flags & 0x2) cursor.skip(4);
  const duration = flags & 0x8 ? cursor.u32() : trex.duration;
  const size = flags & 0x10 ? cursor.u32() : trex.size;
  const sampleFlags = flags & 0x20 ? cursor.u32() : trex.flags;
  return { trackId, baseOffset, defaults: { duration, size, flags: sampleFlags } };
}

/** Samples of one trun; its data offset counts from the moof's first byte, null: right after the run before. */
function readTrun(bytes: Uint8Array, box: Box, defaults: SampleDefaults) {
  const cursor = cursorOf(bytes, box);
  const header = cursor.u32();
  const version = header >>> 24;
  const count = cursor.u32();
  if (count > bytes.length) throw new BoxMalformed(`trun claims ${count} samples`);
  const dataOffset = header & 0x1 ? cursor.i32() : null;
  const firstFlags = header & 0x4 ? cursor.u32() : null;
  const samples: Sample[] = [];
  for (let index = 0; index < count; index += 1) {
    const duration = header & 0x100 ? cursor.u32() : defaults.duration;
    const size = header & 0x200 ? cursor.u32() : defaults.size;
    const own = header & 0x400 ? cursor.u32() : defaults.flags;
    const cts = header & 0x800 ? (version === 0 ? cursor.u32() : cursor.i32()) : 0;
    samples.push({ duration, size, flags: index === 0 && firstFlags !== null ? firstFlags : own, cts });
  }
  return { dataOffset, samples };
}

/**
 * Reads one moof + mdat pair of a single-track file.
 * @param trex defaults of the init part
 * @throws BoxMalformed
 */
export function readFragment(bytes: Uint8Array, trex: SampleDefaults): Fragment {
  const moof = readBoxes(bytes).find((box) => box.type === 'moof');
  if (moof === undefined) throw new BoxMalformed('moof is missing');
  const sequence = cursorOf(bytes, needBox(bytes, moof, 'mfhd'))
    .skip(4)
    .u32();
  const tracks = childrenOf(bytes, moof).filter((box) => box.type === 'traf');
  const traf = tracks[0];
  if (traf === undefined || tracks.length !== 1) throw new BoxMalformed(`${tracks.length} tracks in one fragment`);
  const head = readTfhd(bytes, needBox(bytes, traf, 'tfhd'), trex);
  const time = cursorOf(bytes, needBox(bytes, traf, 'tfdt'));
  const isWide = time.u8() === 1;
  // Signed: an encoder's priming before a source that begins at 0 is written as a negative time.
  const tfdt = isWide ? time.skip(3).i64() : time.skip(3).u32();
  const samples: Sample[] = [];
  const pieces: Uint8Array[] = [];
  let at = moof.start + moof.size + 8;
  for (const box of childrenOf(bytes, traf)) {
    if (box.type !== 'trun') continue;
    const run = readTrun(bytes, box, head.defaults);
    // A base offset counts from the start of the whole stream, which a fragment alone does not know; single-track writers put the data first.
    if (run.dataOffset !== null && head.baseOffset === null) at = moof.start + run.dataOffset;
    const length = run.samples.reduce((sum, sample) => sum + sample.size, 0);
    const range = new BoxCursor(bytes, at, at + length);
    pieces.push(bytes.subarray(range.at, range.end));
    samples.push(...run.samples);
    at = range.end;
  }
  const data = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : concatBytes(pieces);
  const duration = samples.reduce((sum, sample) => sum + sample.duration, 0);
  const first = samples[0];
  const isKey = first !== undefined && isSyncSample(first);
  return { kind: 'fragment', bytes, sequence, trackId: head.trackId, tfdt, duration, samples, data, isKey };
}

/**
 * Splits a byte stream on any chunk borders into the init part and whole fragments. Boxes in between (styp, sidx, mfra) are dropped.
 * Memory holds one unfinished fragment.
 */
export class FragmentReader {
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Bytes wanted before it is worth looking again: a large mdat is joined once, not per chunk. */
  #wanted = 8;
  #ftyp: Uint8Array | null = null;
  #moof: Uint8Array | null = null;
  #init: Init | null = null;
  readonly #maxBoxBytes: number;

  /** @param maxBoxBytes largest box that is believed; a larger one is malformed */
  constructor(maxBoxBytes = 256 * 1024 * 1024) {
    this.#maxBoxBytes = maxBoxBytes;
  }

  /** Null until the moov has passed. */
  get init(): Init | null {
    return this.#init;
  }
  /** Bytes of an unfinished box: 0 at a clean end. */
  get heldBytes(): number {
    return this.#held + (this.#moof?.length ?? 0);
  }

  /**
   * @param chunk kept until its box is whole: the caller must not write to it again
   * @throws BoxMalformed
   */
  push(chunk: Uint8Array): (Init | Fragment)[] {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    const found: (Init | Fragment)[] = [];
    while (this.#held >= this.#wanted) {
      const box = this.#nextBox();
      if (box === null) break;
      const piece = this.#take(box.type, box.bytes);
      if (piece !== null) found.push(piece);
    }
    return found;
  }

  #nextBox(): { type: string; bytes: Uint8Array } | null {
    const all = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : concatBytes(this.#chunks);
    this.#chunks = [all];
    const box = peekBox(all, 0);
    if (box !== null && box.size > this.#maxBoxBytes) throw new BoxMalformed(`${box.type} claims ${box.size} bytes`);
    if (box === null || box.size > all.length) {
      this.#wanted = box === null ? Math.max(all.length + 1, 8) : box.size;
      return null;
    }
    const rest = all.subarray(box.size);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#held = rest.length;
    this.#wanted = 8;
    return { type: box.type, bytes: all.subarray(0, box.size) };
  }

  #take(type: string, bytes: Uint8Array): Init | Fragment | null {
    if (type === 'ftyp') this.#ftyp = bytes;
    if (type === 'moov') {
      const whole = concatBytes(this.#ftyp === null ? [bytes] : [this.#ftyp, bytes]);
      this.#init = { kind: 'init', bytes: whole, info: readInit(whole) };
      return this.#init;
    }
    if (type === 'moof') {
      if (this.#moof !== null) throw new BoxMalformed('two moof without an mdat between them');
      this.#moof = bytes;
    }
    if (type === 'mdat' && this.#moof !== null) {
      if (this.#init === null) throw new BoxMalformed('a fragment came before the moov');
      const pair = concatBytes([this.#moof, bytes]);
      this.#moof = null;
      return readFragment(pair, this.#init.info.defaults);
    }
    return null;
  }
}

export type NewFragment = {
  sequence: number;
  trackId: number;
  /** Decode time of the first sample, in the track's timescale. */
  tfdt: number;
  samples: readonly Sample[];
  /** Payload of exactly these samples, in order. */
  data: Uint8Array;
};

const sameIn = <K extends keyof Sample>(samples: readonly Sample[], field: K): boolean =>
  samples.every((sample) => sample[field] === samples[0]?.[field]);

/**
 * Writes one moof + mdat: several fragments' samples merged, or one with another time. What all samples share is written once.
 * @throws BoxMalformed when the sizes do not add up to the data
 */
export function writeFragment(fragment: NewFragment): Uint8Array<ArrayBuffer> {
  const { samples, data } = fragment;
  const total = samples.reduce((sum, sample) => sum + sample.size, 0);
  const first = samples[0];
  if (first === undefined || total !== data.length) {
    throw new BoxMalformed(`${samples.length} samples of ${total} bytes do not match ${data.length} bytes of data`);
  }
  const shares = {
    duration: sameIn(samples, 'duration'),
    flags: sameIn(samples, 'flags'),
    cts: sameIn(samples, 'cts'),
  };
  const hasCts = !(shares.cts && first.cts === 0);
  const tfhd = writeBox(
    'tfhd',
    words(0x020000 | (shares.duration ? 0x8 : 0) | (shares.flags ? 0x20 : 0), fragment.trackId),
    words(...(shares.duration ? [first.duration] : []), ...(shares.flags ? [first.flags] : [])),
  );
  const tfdt = writeBox(
    'tfdt',
    words(0x01000000, Math.floor(fragment.tfdt / 4_294_967_296), fragment.tfdt % 4_294_967_296),
  );
  const runFlags = 0x201 | (shares.duration ? 0 : 0x100) | (shares.flags ? 0 : 0x400) | (hasCts ? 0x800 : 0);
  const rows: number[] = [];
  for (const sample of samples) {
    if (!shares.duration) rows.push(sample.duration);
    rows.push(sample.size);
    if (!shares.flags) rows.push(sample.flags);
    if (hasCts) rows.push(sample.cts);
  }
  const moofWith = (dataOffset: number) =>
    writeBox(
      'moof',
      writeBox('mfhd', words(0, fragment.sequence)),
      writeBox(
        'traf',
        tfhd,
        tfdt,
        writeBox('trun', words((0x01000000 | runFlags) >>> 0, samples.length, dataOffset), words(...rows)),
      ),
    );
  const dataOffset = moofWith(0).length + 8;
  return concatBytes([moofWith(dataOffset), words(data.length + 8), MDAT, data]);
}

const MDAT = Uint8Array.from('mdat', (letter) => letter.charCodeAt(0));

/**
 * The same fragment at another decode time; only the tfdt differs.
 * @param tfdt in the track's timescale
 * @throws BoxMalformed when a 32-bit tfdt cannot hold it
 */
export function withDecodeTime(bytes: Uint8Array, tfdt: number): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  const moof = readBoxes(copy).find((box) => box.type === 'moof');
  if (moof === undefined) throw new BoxMalformed('moof is missing');
  const box = needBox(copy, moof, 'traf', 'tfdt');
  const view = new DataView(copy.buffer);
  const at = box.start + box.headerBytes;
  if (copy[at] === 1) {
    view.setUint32(at + 4, Math.floor(tfdt / 4_294_967_296));
    view.setUint32(at + 8, tfdt % 4_294_967_296);
  } else {
    if (tfdt > 0xffffffff) throw new BoxMalformed('the decode time does not fit a 32-bit tfdt');
    view.setUint32(at + 4, tfdt);
  }
  return copy;
}
