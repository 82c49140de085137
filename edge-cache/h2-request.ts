// Header blocks of one HTTP/2 connection become the heads of requests, or are refused. Source: RFC 9113, sections 8.2 and 8.3.
import { HeaderDecoder, type HeaderLimits } from './h2-header-decoder.ts';
import type { Field } from './h2-header-tables.ts';
import type { EdgeRequest } from './messages.ts';

/** Shared by requests with the same header block: nobody changes it. */
export type RequestHead = Readonly<Pick<EdgeRequest, 'method' | 'target' | 'headers' | 'hosts'>> & {
  /** As announced; null: not. Unit: bytes. */
  readonly contentLength: number | null;
};

/** broken: the whole connection cannot be read any more; malformed: this request; large: over the limits. */
export type BlockFault = 'broken' | 'malformed' | 'large';

/** Blocks remembered per connection, and the longest of them. A player asks for few things again and again. */
const MOST_BLOCKS = 16;
const LONGEST_BLOCK_BYTES = 512;

/** Lower-case letters and the rest of RFC 9110's tokens. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;
const PSEUDO = [':method', ':scheme', ':authority', ':path'] as const;
type Pseudo = (typeof PSEUDO)[number];
const OF_A_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
const LENGTH = /^\d{1,15}$/;

export class RequestReader {
  readonly #decoder: HeaderDecoder;
  /** Blocks that neither read nor wrote anything that has changed since. */
  readonly #known = new Map<string, RequestHead>();
  #knownAt = 0;

  constructor(limits: HeaderLimits) {
    this.#decoder = new HeaderDecoder(limits);
  }

  /** Reads the block at bytes [from, to) as the head of a request. */
  head(block: Buffer, from: number, to: number): RequestHead | BlockFault {
    const isShort = to - from <= LONGEST_BLOCK_BYTES;
    const text = isShort ? block.toString('latin1', from, to) : '';
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const list = this.#decoder.decode(block, from, to);
    if (list === null) return 'broken';
    if (this.#decoder.changes !== this.#knownAt) {
      this.#knownAt = this.#decoder.changes;
      this.#known.clear();
      // Read again it would write again.
      if (list.isTooLarge) return 'large';
      return headOf(list.fields) ?? 'malformed';
    }
    if (list.isTooLarge) return 'large';
    const head = headOf(list.fields);
    if (head === null) return 'malformed';
    if (isShort && this.#known.size < MOST_BLOCKS) this.#known.set(text, head);
    return head;
  }

  /** Reads the block that ends a request's body, or one of a request that is not answered: nobody wants its fields. */
  trailers(block: Buffer, from: number, to: number): BlockFault | null {
    const list = this.#decoder.decode(block, from, to);
    if (list === null) return 'broken';
    return list.fields.every(isPlain) ? null : 'malformed';
  }
}

/** A field that is no pseudo-header and that HTTP/2 allows. */
function isPlain({ name, value }: Field): boolean {
  if (!NAME.test(name) || BAD_VALUE.test(value) || OF_A_CONNECTION.has(name)) return false;
  return name !== 'te' || value === 'trailers';
}

/** @returns null: malformed */
function headOf(fields: readonly Field[]): RequestHead | null {
  const pseudo: Partial<Record<Pseudo, string>> = {};
  const headers: Record<string, string> = {};
  let hosts = 0;
  let isPast = false;
  for (const field of fields) {
    const { name, value } = field;
    if (name.startsWith(':')) {
      if (isPast || !isPseudo(name) || pseudo[name] !== undefined || BAD_VALUE.test(value)) return null;
      pseudo[name] = value;
      continue;
    }
    isPast = true;
    if (!isPlain(field)) return null;
    if (name === 'host') hosts += 1;
    headers[name] ??= value;
  }
  if (!isWhole(pseudo)) return null;
  const authority = pseudo[':authority'];
  if (authority !== undefined && authority !== headers['host']) hosts += 1;
  const length = headers['content-length'];
  if (length !== undefined && !LENGTH.test(length)) return null;
  return {
    method: pseudo[':method'] ?? '',
    target: pseudo[':path'] ?? '',
    headers,
    hosts,
    contentLength: length === undefined ? null : Number(length),
  };
}

const isPseudo = (name: string): name is Pseudo => (PSEUDO as readonly string[]).includes(name);

/** What a request must say about itself. CONNECT names a host and nothing else. Source: RFC 9113, sections 8.3.1 and 8.5. */
function isWhole(pseudo: Partial<Record<Pseudo, string>>): boolean {
  const { ':method': method, ':scheme': scheme, ':path': path, ':authority': authority } = pseudo;
  if (method === undefined || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method) || authority?.includes('@')) return false;
  if (method === 'CONNECT') return scheme === undefined && path === undefined && authority !== undefined;
  return scheme !== undefined && scheme !== '' && path !== undefined && path !== '';
}
