// The Range header: single byte ranges, as far as an origin serves them.
import type { ByteRange } from '../platform/adapters/storage.ts';

/**
 * Parses a Range header against an object's length.
 * @param header the field's value, or undefined
 * @param bytes length of the object
 * @returns the range clipped to the object; `unsatisfiable`: answer 416; null: no usable single range, answer the whole (RFC 9110, 14.2)
 */
export function parseRange(header: string | undefined, bytes: number): ByteRange | 'unsatisfiable' | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? '');
  if (!match) return null;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return null;
  if (first === '') {
    const suffix = Number(last);
    return suffix === 0 || bytes === 0 ? 'unsatisfiable' : { first: Math.max(0, bytes - suffix), last: bytes - 1 };
  }
  if (last !== '' && Number(last) < Number(first)) return null;
  if (Number(first) >= bytes) return 'unsatisfiable';
  return { first: Number(first), last: last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1) };
}
