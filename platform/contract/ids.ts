// Branded ids: what a name in an address, a record or a key may look like. Every id enters through a parser here.
import { z } from 'zod';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

export type AssetId = Branded<string, 'AssetId'>;
export type StreamId = Branded<string, 'StreamId'>;
export type BroadcastId = Branded<string, 'BroadcastId'>;
export type UploadId = Branded<string, 'UploadId'>;
/** What a viewer may open: an asset or a live stream, under one policy. */
export type PlaybackId = Branded<string, 'PlaybackId'>;
/** The asset or broadcast whose media is shown. The same text as that AssetId or BroadcastId. */
export type ContentId = Branded<string, 'ContentId'>;
/** One connection of one publisher: timestamps are continuous inside it. */
export type SessionId = Branded<string, 'SessionId'>;
/** One process of the platform, new at each start. */
export type NodeId = Branded<string, 'NodeId'>;
/** Short tag of the worker or attempt that stored an object; part of media keys. */
export type WriterTag = Branded<string, 'WriterTag'>;
/** `v{height}` video, `a{n}` audio, `t{n}` captions. */
export type RenditionName = Branded<string, 'RenditionName'>;

const ID_PATTERN = /^[A-Za-z0-9]{16,40}$/;
const WRITER_PATTERN = /^[a-z0-9]{4,16}$/;
const RENDITION_PATTERN = /^(?:v[1-9][0-9]{1,4}|[at][0-9]{1,2})$/;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const branded = <T extends string>(pattern: RegExp, what: string) =>
  z
    .string()
    .regex(pattern, `not a valid ${what}`)
    .transform((text) => text as T);

export const AssetId = branded<AssetId>(ID_PATTERN, 'asset id');
export const StreamId = branded<StreamId>(ID_PATTERN, 'live stream id');
export const BroadcastId = branded<BroadcastId>(ID_PATTERN, 'broadcast id');
export const UploadId = branded<UploadId>(ID_PATTERN, 'upload id');
export const PlaybackId = branded<PlaybackId>(ID_PATTERN, 'playback id');
export const ContentId = branded<ContentId>(ID_PATTERN, 'content id');
export const SessionId = branded<SessionId>(ID_PATTERN, 'session id');
export const NodeId = branded<NodeId>(ID_PATTERN, 'node id');
export const WriterTag = branded<WriterTag>(WRITER_PATTERN, 'writer tag');
export const RenditionName = branded<RenditionName>(RENDITION_PATTERN, 'rendition name');

/**
 * Random text of letters and digits, uniform over the alphabet (bytes over 247 are drawn again).
 * @param length characters; 22 characters carry 130 bits
 */
export function randomText(length: number, alphabet: string = ALPHABET): string {
  const limit = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of globalThis.crypto.getRandomValues(new Uint8Array(length * 2))) {
      if (byte < limit && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}

/** A new id of 22 characters; the type argument names its kind. */
export const newId = <T extends string>(): T => randomText(22) as T;

/** A new writer tag: 10 lower-case letters and digits. */
export const newWriterTag = (): WriterTag => randomText(10, 'abcdefghijklmnopqrstuvwxyz0123456789') as WriterTag;

export const videoRendition = (height: number): RenditionName => `v${height}` as RenditionName;
export const audioRendition = (index: number): RenditionName => `a${index}` as RenditionName;

/** The content an asset's or broadcast's own id names. */
export const contentOf = (id: AssetId | BroadcastId): ContentId => id as string as ContentId;
