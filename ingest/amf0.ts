// Reads AMF0, the encoding of RTMP commands and metadata, with a limit on nesting and on the number of values.
// The library's own decoder recurses without a limit and misreads what follows an associative array, so it never sees a peer's bytes.
import { RtmpMalformed } from './errors.ts';

export type AmfLimits = { maxDepth: number; maxValues: number };

/** Commands and metadata of real encoders nest two deep and hold some forty values. */
export const AMF_LIMITS: AmfLimits = { maxDepth: 8, maxValues: 512 };

/** Objects have no prototype: names are the peer's choice. */
export type AmfObject = { [name: string]: AmfValue };
export type AmfValue = number | boolean | string | null | undefined | AmfValue[] | AmfObject;

const KIND = {
  number: 0,
  boolean: 1,
  string: 2,
  object: 3,
  null: 5,
  undefined: 6,
  reference: 7,
  associativeArray: 8,
  objectEnd: 9,
  strictArray: 10,
  date: 11,
  longString: 12,
  unsupported: 13,
  xml: 15,
  typedObject: 16,
} as const;

/**
 * All values of a body.
 * @throws RtmpMalformed when a value is cut, unknown, nested too deep, or one too many
 * Source: Action Message Format AMF 0, section 2.
 */
export function readAmf0(body: Buffer, limits: AmfLimits = AMF_LIMITS): AmfValue[] {
  const reader = new AmfReader(body, limits);
  const values: AmfValue[] = [];
  do values.push(reader.value(0));
  while (!reader.isAtEnd());
  return values;
}

class AmfReader {
  private readonly body: Buffer;
  private readonly limits: AmfLimits;
  private at = 0;
  private values = 0;

  constructor(body: Buffer, limits: AmfLimits) {
    this.body = body;
    this.limits = limits;
  }

  isAtEnd(): boolean {
    return this.at >= this.body.length;
  }

  value(depth: number): AmfValue {
    this.values += 1;
    if (this.values > this.limits.maxValues) throw new RtmpMalformed('too many AMF values');
    if (depth > this.limits.maxDepth) throw new RtmpMalformed('AMF values nested too deep');
    const kind = this.take(1).readUInt8(0);
    switch (kind) {
      case KIND.number:
        return this.take(8).readDoubleBE(0);
      case KIND.boolean:
        return this.take(1).readUInt8(0) !== 0;
      case KIND.string:
        return this.text(this.take(2).readUInt16BE(0));
      case KIND.longString:
      case KIND.xml:
        return this.text(this.take(4).readUInt32BE(0));
      case KIND.null:
        return null;
      case KIND.undefined:
      case KIND.unsupported:
        return undefined;
      case KIND.reference:
        this.take(2);
        return undefined;
      case KIND.date:
        return this.take(10).readDoubleBE(0);
      default:
        return this.container(kind, depth);
    }
  }

  private container(kind: number, depth: number): AmfValue {
    if (kind === KIND.strictArray) {
      const count = this.take(4).readUInt32BE(0);
      const items: AmfValue[] = [];
      while (items.length < count) items.push(this.value(depth + 1));
      return items;
    }
    if (kind === KIND.associativeArray) this.take(4);
    else if (kind === KIND.typedObject) this.text(this.take(2).readUInt16BE(0));
    else if (kind !== KIND.object) throw new RtmpMalformed(`AMF kind ${kind}`);
    return this.fields(depth);
  }

  private fields(depth: number): AmfObject {
    const fields = Object.create(null) as AmfObject;
    while (true) {
      const name = this.text(this.take(2).readUInt16BE(0));
      if (name === '' && this.body[this.at] === KIND.objectEnd) {
        this.at += 1;
        return fields;
      }
      fields[name] = this.value(depth + 1);
    }
  }

  private text(bytes: number): string {
    return this.take(bytes).toString('utf8');
  }

  private take(bytes: number): Buffer {
    const end = this.at + bytes;
    if (end > this.body.length) throw new RtmpMalformed('a cut AMF value');
    const taken = this.body.subarray(this.at, end);
    this.at = end;
    return taken;
  }
}
