// Which bytes are let in as video or audio, and which are not.
import { describe, expect, it } from 'vitest';
import { SNIFF_BYTES, sniffContainer } from './sniff.ts';

const bytes = (...values: number[]) => Buffer.from([...values, ...Array<number>(64).fill(0)]);
const text = (value: string) => Buffer.from(value.padEnd(64, ' '), 'latin1');
const box = (type: string) => Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from(type), Buffer.alloc(64)]);
const transport = (step: number, first: number) => {
  const head = Buffer.alloc(SNIFF_BYTES);
  for (let at = first; at < head.length; at += step) head[at] = 0x47;
  return head;
};

describe('sniffContainer', () => {
  it.each([
    ['mp4', 'mov', box('ftyp')],
    ['mp4', 'mov', box('moov')],
    ['mp4', 'mov', box('mdat')],
    ['matroska', 'matroska', bytes(0x1a, 0x45, 0xdf, 0xa3)],
    ['avi', 'avi', text('RIFF\0\0\0\0AVI LIST')],
    ['wav', 'wav', text('RIFF\0\0\0\0WAVEfmt ')],
    ['flv', 'flv', text('FLV\x01')],
    ['mpegps', 'mpeg', bytes(0, 0, 1, 0xba)],
    ['ogg', 'ogg', text('OggS')],
    ['flac', 'flac', text('fLaC')],
    ['mp3', 'mp3', text('ID3\x04')],
    ['mp3', 'mp3', bytes(0xff, 0xfb, 0x90, 0x64)],
    ['aac', 'aac', bytes(0xff, 0xf1, 0x50, 0x80)],
    ['mpegts', 'mpegts', transport(188, 0)],
    ['mpegts', 'mpegts', transport(192, 4)],
  ])('lets %s in', (name, demuxer, head) => {
    expect(sniffContainer(head)).toEqual({ name, demuxer });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', text('This is not a video.')],
    ['an HLS playlist', text('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n')],
    ['an ffconcat script', text('ffconcat version 1.0\nfile /etc/passwd\n')],
    ['a DASH manifest', text('<?xml version="1.0"?><MPD>')],
    ['an SVG picture', text('<svg xmlns="http://www.w3.org/2000/svg">')],
    ['a PNG picture', bytes(0x89, 0x50, 0x4e, 0x47)],
    ['a JPEG picture', bytes(0xff, 0xd8, 0xff, 0xe0)],
    ['a zip archive', text('PK\x03\x04')],
    ['a shell script', text('#!/bin/sh\n')],
    ['a text that begins with G', text(`G${'x'.repeat(400)}`)],
    ['zeros', Buffer.alloc(SNIFF_BYTES)],
  ])('refuses %s', (_name, head) => {
    expect(sniffContainer(head)).toBeNull();
  });
});
