// Object keys of the store: the one place that spells them. Media keys have the same tails as viewer addresses (docs/architecture.md, 3).
import type { ContentId, RenditionName, StreamId, UploadId, WriterTag } from './ids.ts';

declare const keyBrand: unique symbol;
export type ObjectKey = string & { readonly [keyBrand]: 'ObjectKey' };

const asKey = (text: string): ObjectKey => text as ObjectKey;

export type SegmentRef = {
  content: ContentId;
  rendition: RenditionName;
  /** One unbroken media timeline. */
  epoch: number;
  /** Media sequence number. */
  msn: number;
  writer: WriterTag;
};
export type PartRef = SegmentRef & { part: number };
export type InitRef = Pick<SegmentRef, 'content' | 'rendition' | 'epoch'>;

/** Immutable initialisation segment (moov). All writers of an epoch agree on it byte for byte. */
export const initKey = (r: InitRef): ObjectKey => asKey(`media/${r.content}/${r.rendition}/${r.epoch}/init.mp4`);
/** Immutable: epoch and writer make the name new for each timeline and worker, so a cache may keep the object for a year. */
export const segmentKey = (s: SegmentRef): ObjectKey =>
  asKey(`media/${s.content}/${s.rendition}/${s.epoch}/s${s.msn}.${s.writer}.m4s`);
export const partKey = (p: PartRef): ObjectKey =>
  asKey(`media/${p.content}/${p.rendition}/${p.epoch}/p${p.msn}.${p.part}.${p.writer}.m4s`);
/** What the keys of all parts of a rendition in an epoch begin with, and no segment's. */
export const partsPrefix = (r: InitRef): string => `media/${r.content}/${r.rendition}/${r.epoch}/p`;
/** All media of one broadcast or asset; ends in a slash, for list and delete. */
export const mediaPrefix = (content: ContentId): string => `media/${content}/`;

/** Picture of an on-demand asset, cut by one attempt. `name` is `poster.jpg`, `thumbnail.jpg`, `storyboard.vtt`, `storyboard-{n}.jpg`. */
export const imageKey = (content: ContentId, name: string, writer: WriterTag): ObjectKey =>
  asKey(`media/${content}/images/${writer}/${name}`);

/** Stands in for the attempt in the keys of a broadcast's pictures: they have one name, whichever worker stores them. */
export const LIVE_PICTURES = 'live' as WriterTag;
/**
 * Picture cut from a live segment, 16:9 box of at most 320 x 180, JPEG; whoever comes first stores it. The newest is the stream's
 * thumbnail, and a recording's storyboard is made of them.
 */
export const livePictureKey = (content: ContentId, msn: number): ObjectKey =>
  imageKey(content, `${String(msn).padStart(9, '0')}.jpg`, LIVE_PICTURES);
export const livePicturePrefix = (content: ContentId): string => `media/${content}/images/${LIVE_PICTURES}/`;
/** Slate picture of a stream, JPEG or PNG as uploaded. */
export const slateKey = (stream: StreamId): ObjectKey => asKey(`slates/${stream}`);

/** Block of accepted timeline entries of a live epoch, beginning at `msn`. */
export const indexBlockKey = (content: ContentId, epoch: number, msn: number): ObjectKey =>
  asKey(`index/${content}/${epoch}-${msn}.json`);
/** Segment table of one finished on-demand rendition, by the attempt that stored it. */
export const renditionIndexKey = (content: ContentId, rendition: RenditionName, writer: WriterTag): ObjectKey =>
  asKey(`index/${content}/${rendition}.${writer}.json`);
export const indexPrefix = (content: ContentId): string => `index/${content}/`;

/** Bytes of an upload beginning at `offset`; zero-padded so that a listing is in order. */
export const uploadChunkKey = (upload: UploadId, offset: number): ObjectKey =>
  asKey(`uploads/${upload}/${String(offset).padStart(15, '0')}`);
export const uploadPrefix = (upload: UploadId): string => `uploads/${upload}/`;

export const RECORD_KINDS = ['asset', 'stream', 'broadcast', 'upload', 'content'] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];
/** One small JSON document per thing; the commit point of every publish. */
export const recordKey = (kind: RecordKind, id: string): ObjectKey => asKey(`records/${kind}/${id}`);
export const recordPrefix = (kind: RecordKind): string => `records/${kind}/`;
