// Reads the head of one HTTP/1.1 request, strictly: what has two readings is refused, what is rare goes to node:http. Source: RFC 9112.

export type Fields = {
  /** By lower-case name; of a repeated one the first. */
  headers: Readonly<Record<string, string | undefined>>;
  /** The viewer wants no answer after this one. */
  isLast: boolean;
  /** A field that asks for more than this reader does: a body, an upgrade, an expectation. */
  isUnusual: boolean;
};

export type Head =
  | { type: 'request'; method: 'GET' | 'HEAD'; target: string; fields: Fields; end: number }
  /** The end of the head has not come yet. */
  | { type: 'incomplete' }
  /** Well formed, but another method, another form of target, HTTP/1.0 or an unusual field. */
  | { type: 'unusual' }
  | { type: 'refused'; status: 400 | 414 | 431 };

export const headLimits = {
  /** Request line and fields. */
  bytes: 16_384,
  /** Request target. */
  targetBytes: 4_096,
  fields: 64,
} as const;

/** Fields after which a head may mean more than GET or HEAD of a target. */
const UNUSUAL = new Set(['content-length', 'transfer-encoding', 'trailer', 'upgrade', 'expect', 'http2-settings']);
const [TAB, LF, CR, SPACE, SLASH, COLON, DELETE] = [9, 10, 13, 32, 47, 58, 127] as const;
const HEAD_END = Buffer.from('\r\n\r\n');
const VERSION = Buffer.from(' HTTP/1.1\r\n');
const VERSION_1_0 = Buffer.from(' HTTP/1.0\r\n');
/** What a Host may consist of: names, addresses, a port. Source: RFC 3986, section 3.2.2. */
const HOST = /^[\w.~!$&'()*+,;=%:[\]-]*$/;
const METHOD = /^[A-Z]+(?:-[A-Z]+)*$/;
const LONGEST_METHOD = 16;

const tableOf = (is: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (is(byte) ? 1 : 0));
const IS_TOKEN = tableOf((byte) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte)));
const IS_VALUE = tableOf((byte) => byte === TAB || (byte >= SPACE && byte !== DELETE));
const IS_TARGET = tableOf((byte) => byte > SPACE && byte < DELETE);

const INCOMPLETE: Head = { type: 'incomplete' };
const UNUSUAL_HEAD: Head = { type: 'unusual' };
const refused = (status: 400 | 414 | 431): Head => ({ type: 'refused', status });

/**
 * Reads the head that begins at `from`.
 * @param readFields reads a block of fields; a connection remembers the block before (FieldMemory)
 * @returns `end`: where the next request begins
 */
export function readHead(bytes: Buffer, from: number, readFields: FieldReader = parseFields): Head {
  const headEnd = bytes.indexOf(HEAD_END, from);
  if (headEnd === -1) return judgeIncomplete(bytes, from);
  const methodEnd = bytes.indexOf(SPACE, from);
  const method = methodOf(bytes, from, methodEnd);
  if (method === null) return refused(400);
  const targetEnd = endOf(bytes, methodEnd + 1, IS_TARGET);
  if (targetEnd === methodEnd + 1) return refused(400);
  if (targetEnd - methodEnd - 1 > headLimits.targetBytes) return refused(414);
  if (headEnd - from > headLimits.bytes) return refused(431);
  const isCurrent = startsWith(bytes, targetEnd, VERSION);
  if (!isCurrent && !startsWith(bytes, targetEnd, VERSION_1_0)) return refused(400);
  const fields = readFields(bytes, targetEnd + VERSION.length, headEnd + 2);
  if (typeof fields === 'number') return refused(fields);
  const isRead = method === 'GET' || method === 'HEAD';
  const isOriginForm = bytes[methodEnd + 1] === SLASH;
  if (!isRead || !isCurrent || !isOriginForm || fields.isUnusual) return UNUSUAL_HEAD;
  const target = bytes.toString('latin1', methodEnd + 1, targetEnd);
  return { type: 'request', method, target, fields, end: headEnd + HEAD_END.length };
}

/** Bytes that cannot become a request are refused before their end has come. */
function judgeIncomplete(bytes: Buffer, from: number): Head {
  const length = bytes.length - from;
  if (length > headLimits.bytes) {
    const isTarget = bytes.indexOf(CR, from) === -1;
    return refused(isTarget ? 414 : 431);
  }
  const first = bytes[from] ?? 0;
  if (length > 0 && (first < 65 || first > 90)) return refused(400);
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (at === from || bytes[at - 1] !== CR) return refused(400);
  }
  return INCOMPLETE;
}

function methodOf(bytes: Buffer, from: number, end: number): string | null {
  if (end - from > LONGEST_METHOD || end < from) return null;
  if (end - from === 3 && bytes[from] === 71 && bytes[from + 1] === 69 && bytes[from + 2] === 84) return 'GET';
  const method = bytes.toString('latin1', from, end);
  return METHOD.test(method) ? method : null;
}

function endOf(bytes: Buffer, from: number, table: Uint8Array): number {
  let at = from;
  while (table[bytes[at] ?? 0] === 1) at += 1;
  return at;
}

function startsWith(bytes: Buffer, at: number, text: Buffer): boolean {
  for (let i = 0; i < text.length; i += 1) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** Fields of the lines in [from, to), or the status that refuses them. */
export type FieldReader = (bytes: Buffer, from: number, to: number) => Fields | 400 | 431;

/** Reads field lines, each with its line end. @throws never */
export const parseFields: FieldReader = (bytes, from, to) => {
  const headers: Record<string, string | undefined> = Object.create(null);
  let [count, hosts, isLast, isUnusual] = [0, 0, false, false];
  for (let at = from; at < to; ) {
    const nameEnd = endOf(bytes, at, IS_TOKEN);
    if (nameEnd === at || bytes[nameEnd] !== COLON) return 400;
    const lineEnd = endOf(bytes, nameEnd + 1, IS_VALUE);
    if (bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF) return 400;
    count += 1;
    if (count > headLimits.fields) return 431;
    const name = bytes.toString('latin1', at, nameEnd).toLowerCase();
    const value = trimmed(bytes, nameEnd + 1, lineEnd);
    if (name === 'host') {
      hosts += 1;
      if (!HOST.test(value)) return 400;
    } else if (name === 'connection') {
      const option = value.toLowerCase();
      if (option === 'close') isLast = true;
      else if (option !== 'keep-alive') isUnusual = true;
    } else if (UNUSUAL.has(name)) isUnusual = true;
    headers[name] ??= value;
    at = lineEnd + 2;
  }
  return hosts === 1 ? { headers, isLast, isUnusual } : 400;
};

/** Without the blanks around it. */
function trimmed(bytes: Buffer, from: number, to: number): string {
  let [first, last] = [from, to];
  while (first < last && isBlank(bytes[first])) first += 1;
  while (last > first && isBlank(bytes[last - 1])) last -= 1;
  return bytes.toString('latin1', first, last);
}
const isBlank = (byte: number | undefined): boolean => byte === SPACE || byte === TAB;

/** Longest block of fields that a connection remembers: 20,000 connections hold 40 MB of them at most. */
const REMEMBERED_BYTES = 2_048;

/** The fields of the request before on one connection: players send the same ones again and again, and comparing is cheaper than reading. */
export class FieldMemory {
  #block: Buffer | null = null;
  #fields: Fields | null = null;

  readonly read: FieldReader = (bytes, from, to) => {
    const length = to - from;
    const [block, known] = [this.#block, this.#fields];
    if (block?.length === length && known !== null && block.compare(bytes, from, to) === 0) return known;
    const fields = parseFields(bytes, from, to);
    if (typeof fields === 'number' || length > REMEMBERED_BYTES) return fields;
    this.#block = Buffer.from(bytes.subarray(from, to));
    this.#fields = fields;
    return fields;
  };
}
