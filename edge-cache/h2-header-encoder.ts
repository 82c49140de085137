// HPACK, the writing side: the head of an answer as a header block. No dynamic table: the same head is the same bytes on every connection. Source: RFC 7541.
import { STATIC_FIELDS } from './h2-header-tables.ts';
import type { EdgeAnswer, Headers } from './messages.ts';

/** Goes before the first block of a connection: our table is empty and stays so, whatever size the peer allows. Source: RFC 7541, section 4.2. */
export const NO_TABLE = '\x20';

/** What speaks of an HTTP/1.1 connection has no place here. Source: RFC 9113, section 8.2.2. */
const LEFT_OUT: readonly string[] = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'];
/** Names are few, but origins choose some of them. */
const MOST_NAMES = 256;

const names = new Map<string, string>(LEFT_OUT.map((name) => [name, '']));
const statuses = new Map<number, string>();
for (const [i, { name, value }] of STATIC_FIELDS.entries()) {
  if (name === ':status') statuses.set(Number(value), String.fromCharCode(0x80 | (i + 1)));
  else if (!name.startsWith(':') && !names.has(name)) names.set(name, integer(0, 4, i + 1));
}
const STATUS_INDEX = 8;
const DATE_INDEX = 33;
/** What has no place in a field, and what is no byte. Source: RFC 9113, section 8.2.1. */
const BROKEN = /[^\t\x20-\x7e\x80-\xff]/;

/** What is the same in all answers that show one thing: encoded once, kept as long as the thing. */
const prepared = new WeakMap<object, string>();

/**
 * Status, Date and the answer's headers.
 * @returns one character per byte
 * @throws TypeError on a header that would not be read as it is
 */
export function encodeHead(answer: Pick<EdgeAnswer, 'status' | 'headers' | 'parts'>): string {
  const { status, parts } = answer;
  const start = statuses.get(status) ?? integer(0, 4, STATUS_INDEX) + text(String(status));
  // The headers in one piece are put together when they are looked at.
  if (parts === undefined) return start + dateField() + encode(answer.headers);
  return start + dateField() + fixedBlock(parts.fixed) + encode(parts.moment);
}

let dated = { second: -1, field: '' };

/** Source: RFC 9110, section 6.6.1. */
function dateField(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== dated.second)
    dated = { second, field: integer(0, 4, DATE_INDEX) + text(new Date(second * 1_000).toUTCString()) };
  return dated.field;
}

function fixedBlock(headers: Readonly<Headers>): string {
  const known = prepared.get(headers);
  if (known !== undefined) return known;
  // In one piece: a text put together is otherwise kept as the tree of its parts.
  const block = Buffer.from(encode(headers), 'latin1').toString('latin1');
  prepared.set(headers, block);
  return block;
}

function encode(headers: Readonly<Headers>): string {
  let block = '';
  for (const name in headers) {
    const value = headers[name];
    const start = names.get(name) ?? newName(name);
    if (value === undefined || start === '') continue;
    if (BROKEN.test(value)) throw new TypeError(`header ${name} holds what no header may`);
    block += start + text(value);
  }
  return block;
}

function newName(name: string): string {
  if (BROKEN.test(name)) throw new TypeError('a header has a name that no header may have');
  const start = `\x00${text(name)}`;
  if (names.size < MOST_NAMES) names.set(name, start);
  return start;
}

const text = (value: string): string => integer(0, 7, value.length) + value;

/** Section 5.1. @param bits of the first byte above the prefix */
function integer(bits: number, prefixBits: number, value: number): string {
  const most = (1 << prefixBits) - 1;
  if (value < most) return String.fromCharCode(bits | value);
  let rest = value - most;
  let written = String.fromCharCode(bits | most);
  for (; rest >= 128; rest = Math.floor(rest / 128)) written += String.fromCharCode(128 | (rest & 127));
  return written + String.fromCharCode(rest);
}
