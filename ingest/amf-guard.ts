// Walks an AMF0 body before the library's recursive decoder sees it: nesting, number of values and every length are checked.
import { RtmpMalformed } from './errors.ts';

export type AmfLimits = { maxDepth: number; maxValues: number };

/** Commands and metadata of real encoders nest two deep and hold some thirty values. */
export const AMF_LIMITS: AmfLimits = { maxDepth: 8, maxValues: 512 };

/** Bytes after the marker of kinds with a fixed length: number, boolean, null, undefined, reference, date, unsupported. */
const FIXED: Record<number, number> = { 0: 8, 1: 1, 5: 0, 6: 0, 7: 2, 11: 10, 13: 0 };
const STRING = 2;
const OBJECT = 3;
const ECMA_ARRAY = 8;
const OBJECT_END = 9;
const STRICT_ARRAY = 10;
const LONG_STRING = 12;
const XML = 15;
const TYPED_OBJECT = 16;

/** An open container: `left` values to come in a strict array, null in one that ends with a marker. */
type Open = { left: number | null };

/**
 * Checks that a body is a row of well-formed AMF0 values within the limits. Iterative: nesting costs no stack.
 * @throws RtmpMalformed
 * Source: Action Message Format AMF 0, section 2.
 */
export function checkAmf0(body: Buffer, limits: AmfLimits = AMF_LIMITS): void {
  if (body.length === 0) throw new RtmpMalformed('an empty AMF body');
  const open: Open[] = [];
  let at = 0;
  let values = 0;
  while (at < body.length || open.length > 0) {
    const container = open.at(-1);
    if (container !== undefined && container.left === 0) {
      open.pop();
      continue;
    }
    if (container?.left === null) {
      const nameBytes = read(body, at, 2);
      at += 2 + nameBytes;
      if (nameBytes === 0 && read(body, at, 1) === OBJECT_END) {
        at += 1;
        open.pop();
        continue;
      }
    } else if (container !== undefined && container.left !== null) container.left -= 1;
    values += 1;
    if (values > limits.maxValues) throw new RtmpMalformed('too many AMF values');
    at = skipValue(body, at, open);
    if (open.length > limits.maxDepth) throw new RtmpMalformed('AMF values nested too deep');
  }
}

/** Steps over a scalar, or opens a container. @returns the offset behind it */
function skipValue(body: Buffer, start: number, open: Open[]): number {
  const kind = read(body, start, 1);
  const at = start + 1;
  const fixed = FIXED[kind];
  if (fixed !== undefined) return within(body, at + fixed);
  if (kind === STRING) return within(body, at + 2 + read(body, at, 2));
  if (kind === LONG_STRING || kind === XML) return within(body, at + 4 + read(body, at, 4));
  if (kind === STRICT_ARRAY) {
    open.push({ left: read(body, at, 4) });
    return at + 4;
  }
  if (kind === OBJECT || kind === ECMA_ARRAY || kind === TYPED_OBJECT) {
    open.push({ left: null });
    if (kind === TYPED_OBJECT) return within(body, at + 2 + read(body, at, 2));
    return within(body, kind === ECMA_ARRAY ? at + 4 : at);
  }
  throw new RtmpMalformed(`AMF kind ${kind}`);
}

function read(body: Buffer, at: number, bytes: 1 | 2 | 4): number {
  if (at + bytes > body.length) throw new RtmpMalformed('a cut AMF value');
  return body.readUIntBE(at, bytes);
}

function within(body: Buffer, end: number): number {
  if (end > body.length) throw new RtmpMalformed('a cut AMF value');
  return end;
}
