// Writes the init part (ftyp + moov) of a single-track CMAF file from a publisher's own decoder configuration. Pure.
// Sources: ISO/IEC 14496-12 8 (moov and below), 14496-15 5.4 (avc1), 14496-14 5.6 (mp4a, esds), 23000-19 7.2 (brands).
import { concatBytes, halves, words, writeBox } from './boxes.ts';

export type VideoTrack = {
  /** Ticks per second. */
  timescale: number;
  /** Coded picture after cropping. */
  width: number;
  height: number;
  /** Shape of a pixel, width over height. */
  pixelAspect: number;
  /** AVCDecoderConfigurationRecord, whole. */
  config: Uint8Array;
};
export type AudioTrack = {
  timescale: number;
  channels: number;
  /** AudioSpecificConfig, whole. */
  config: Uint8Array;
};

/** The one track's number. */
export const TRACK_ID = 1;

const MATRIX = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);
const text = (letters: string): Uint8Array => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));

/** @throws nothing: the configuration is taken as it is */
export function writeVideoInit(track: VideoTrack): Uint8Array<ArrayBuffer> {
  const { width, height, pixelAspect } = track;
  const aspect = Math.round(pixelAspect * 10_000);
  const entry = writeBox(
    'avc1',
    words(0),
    halves(0, 1),
    words(0, 0, 0, 0),
    halves(width, height),
    words(0x480000, 0x480000, 0),
    halves(1),
    new Uint8Array(32),
    halves(24, 0xffff),
    writeBox('avcC', track.config),
    ...(aspect === 10_000 ? [] : [writeBox('pasp', words(aspect, 10_000))]),
  );
  const shown = { width: Math.round(width * pixelAspect), height };
  return initOf({ handler: 'vide', header: writeBox('vmhd', words(1, 0, 0)), entry, ...track, ...shown });
}

/** Rates above 65,535 Hz do not fit their old field, which readers pass over for the timescale. */
export function writeAudioInit(track: AudioTrack): Uint8Array<ArrayBuffer> {
  const { timescale, channels, config } = track;
  const rate = timescale > 0xffff ? 0 : timescale;
  const entry = writeBox(
    'mp4a',
    words(0),
    halves(0, 1),
    words(0, 0),
    halves(channels, 16, 0, 0, rate, 0),
    writeBox('esds', words(0), elementaryStream(config)),
  );
  return initOf({ handler: 'soun', header: writeBox('smhd', words(0, 0)), entry, timescale, width: 0, height: 0 });
}

/** An MPEG-4 descriptor; its length is written in the four-byte form. */
function descriptor(tag: number, ...payloads: Uint8Array[]): Uint8Array {
  const payload = concatBytes(payloads);
  const { length } = payload;
  const size = [0x80 | (length >> 21), 0x80 | (length >> 14), 0x80 | (length >> 7), length].map((byte, i) =>
    i < 3 ? byte & 0xff : byte & 0x7f,
  );
  return concatBytes([Uint8Array.from([tag, ...size]), payload]);
}

/** No bit rates: two workers that copy the same source must write the same bytes. */
function elementaryStream(config: Uint8Array): Uint8Array {
  const decoder = descriptor(4, Uint8Array.from([0x40, 0x15, 0, 0, 0]), words(0, 0), descriptor(5, config));
  return descriptor(3, halves(TRACK_ID), Uint8Array.from([0]), decoder, descriptor(6, Uint8Array.from([2])));
}

type Track = {
  handler: 'vide' | 'soun';
  header: Uint8Array;
  entry: Uint8Array;
  timescale: number;
  width: number;
  height: number;
};

function initOf(track: Track): Uint8Array<ArrayBuffer> {
  const ftyp = writeBox('ftyp', text('iso6'), words(0), text('iso6cmfcmp41'));
  const mvhd = writeBox(
    'mvhd',
    words(0, 0, 0, track.timescale, 0, 0x10000, 0x1000000, 0, 0),
    MATRIX,
    words(0, 0, 0, 0, 0, 0, TRACK_ID + 1),
  );
  const mvex = writeBox('mvex', writeBox('trex', words(0, TRACK_ID, 1, 0, 0, 0)));
  return concatBytes([ftyp, writeBox('moov', mvhd, trackBox(track), mvex)]);
}

function trackBox({ handler, header, entry, timescale, width, height }: Track): Uint8Array {
  const volume = handler === 'soun' ? 0x1000000 : 0;
  const tkhd = writeBox(
    'tkhd',
    words(7, 0, 0, TRACK_ID, 0, 0, 0, 0, 0, volume),
    MATRIX,
    words(width * 0x10000, height * 0x10000),
  );
  const mdhd = writeBox('mdhd', words(0, 0, 0, timescale, 0, 0x55c40000));
  const hdlr = writeBox('hdlr', words(0, 0), text(handler), words(0, 0, 0), text('Headwater\0'));
  const dinf = writeBox('dinf', writeBox('dref', words(0, 1), writeBox('url ', words(1))));
  const tables = [writeBox('stts', words(0, 0)), writeBox('stsc', words(0, 0))];
  const places = [writeBox('stsz', words(0, 0, 0)), writeBox('stco', words(0, 0))];
  const stbl = writeBox('stbl', writeBox('stsd', words(0, 1), entry), ...tables, ...places);
  const minf = writeBox('minf', header, dinf, stbl);
  return writeBox('trak', tkhd, writeBox('mdia', mdhd, hdlr, minf));
}
