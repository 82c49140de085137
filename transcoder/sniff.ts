// The door for uploaded bytes: containers by their magic bytes. What is not in the table never reaches ffmpeg,
// so a playlist or script named .mp4 is not read as one.

/** A container that is let in, and the one ffmpeg demuxer that may read it. */
export type Container = {
  name: string;
  /** Forced with `-f` and the only entry of the format whitelist. */
  demuxer: string;
};

/** Bytes of the file's head that sniffContainer wants. */
export const SNIFF_BYTES = 4_096;

type Rule = Container & { matches: (head: Buffer) => boolean };

const ascii = (head: Buffer, at: number, length: number): string => head.toString('latin1', at, at + length);
const startsWith =
  (...bytes: number[]) =>
  (head: Buffer): boolean =>
    bytes.every((byte, index) => head[index] === byte);

/** Top-level boxes that a QuickTime or MP4 file may begin with. */
const MOV_BOXES = new Set(['ftyp', 'moov', 'mdat', 'free', 'skip', 'wide', 'pnot', 'styp']);
const isMov = (head: Buffer): boolean => MOV_BOXES.has(ascii(head, 4, 4));

/** A sync byte each 188 bytes (or 192 with a 4-byte time stamp before it). */
function isTransportStream(head: Buffer): boolean {
  return [
    { first: 0, step: 188 },
    { first: 4, step: 192 },
  ].some(({ first, step }) => {
    const places = [0, 1, 2, 3, 4].map((index) => first + index * step).filter((at) => at < head.length);
    return places.length >= 3 && places.every((at) => head[at] === 0x47);
  });
}

/** Layer and bit rate of an MPEG audio header must be possible ones; ADTS AAC has layer 0 and is its own rule. */
const isMpegAudio = (head: Buffer): boolean =>
  head[0] === 0xff && ((head[1] ?? 0) & 0xe6) === 0xe2 && ((head[2] ?? 0xff) & 0xf0) !== 0xf0;
const isAdts = (head: Buffer): boolean => head[0] === 0xff && ((head[1] ?? 0) & 0xf6) === 0xf0;
const isRiff =
  (form: string) =>
  (head: Buffer): boolean =>
    ['RIFF', 'RF64'].includes(ascii(head, 0, 4)) && ascii(head, 8, 4) === form;

const RULES: readonly Rule[] = [
  { name: 'mp4', demuxer: 'mov', matches: isMov },
  { name: 'matroska', demuxer: 'matroska', matches: startsWith(0x1a, 0x45, 0xdf, 0xa3) },
  { name: 'avi', demuxer: 'avi', matches: isRiff('AVI ') },
  { name: 'wav', demuxer: 'wav', matches: isRiff('WAVE') },
  { name: 'flv', demuxer: 'flv', matches: startsWith(0x46, 0x4c, 0x56, 0x01) },
  { name: 'mpegps', demuxer: 'mpeg', matches: startsWith(0x00, 0x00, 0x01, 0xba) },
  { name: 'ogg', demuxer: 'ogg', matches: (head) => ascii(head, 0, 4) === 'OggS' },
  { name: 'flac', demuxer: 'flac', matches: (head) => ascii(head, 0, 4) === 'fLaC' },
  { name: 'asf', demuxer: 'asf', matches: startsWith(0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11) },
  { name: 'aiff', demuxer: 'aiff', matches: (h) => ascii(h, 0, 4) === 'FORM' && /^AIF[FC]$/.test(ascii(h, 8, 4)) },
  {
    name: 'mxf',
    demuxer: 'mxf',
    matches: startsWith(0x06, 0x0e, 0x2b, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0d, 0x01, 0x02),
  },
  { name: 'mpegts', demuxer: 'mpegts', matches: isTransportStream },
  { name: 'mp3', demuxer: 'mp3', matches: (head) => ascii(head, 0, 3) === 'ID3' || isMpegAudio(head) },
  { name: 'aac', demuxer: 'aac', matches: isAdts },
];

/**
 * Names the container of a file.
 * @param head its first SNIFF_BYTES bytes, fewer when it is shorter
 * @returns null for everything that is not on the list: text, pictures, archives, playlists
 */
export function sniffContainer(head: Buffer): Container | null {
  const rule = RULES.find(({ matches }) => matches(head));
  return rule === undefined ? null : { name: rule.name, demuxer: rule.demuxer };
}
