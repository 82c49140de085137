// What the reader of heads takes, leaves to node:http, and refuses: a table of attacks, raw bytes included.
import { describe, expect, it } from 'vitest';
import { FieldMemory, type Head, headLimits, parseFields, readHead } from './http1-request.ts';

const read = (text: string): Head => readHead(Buffer.from(text, 'latin1'), 0);
const verdict = (text: string): string | number => {
  const head = read(text);
  return head.type === 'refused' ? head.status : head.type;
};
const get = (more = '', line = 'GET /a HTTP/1.1') => `${line}\r\nHost: edge\r\n${more}\r\n`;

describe('a request of a player', () => {
  it('is read field by field', () => {
    const text = get('Range: bytes=0-1\r\nX-Empty:\r\nUser-Agent: \t a b \t\r\nRANGE: second\r\n');
    const head = read(text);
    expect(head).toMatchObject({ type: 'request', method: 'GET', target: '/a', end: text.length });
    const { fields } = head as Extract<Head, { type: 'request' }>;
    expect({ ...fields.headers }).toEqual({ host: 'edge', range: 'bytes=0-1', 'x-empty': '', 'user-agent': 'a b' });
    expect(fields.isLast).toBe(false);
  });

  it.each([
    ['HEAD', get('', 'HEAD /a HTTP/1.1')],
    ['with an address and port as Host', get().replace('edge', '[::1]:8080')],
    ['with an empty Host', get().replace('edge', '')],
    ['with bytes above ASCII in a value', get('X-Name: \xe9\r\n')],
    ['with Connection: keep-alive', get('Connection: Keep-Alive\r\n')],
    ['with a field named as an object has it', get('__proto__: x\r\nconstructor: y\r\n')],
  ])('%s is taken', (_name, text) => {
    expect(verdict(text)).toBe('request');
  });

  it('says when it is the last', () => {
    expect(read(get('Connection: close\r\n'))).toMatchObject({ fields: { isLast: true } });
    expect(read(get('Connection: keep-alive\r\nConnection: Close\r\n'))).toMatchObject({ fields: { isLast: true } });
  });

  it('ends where the next begins', () => {
    const first = get('X: 1\r\n');
    const bytes = Buffer.from(first + get('', 'HEAD /b HTTP/1.1'), 'latin1');
    expect(readHead(bytes, first.length)).toMatchObject({ method: 'HEAD', target: '/b', end: bytes.length });
  });

  it('is incomplete at every length before its last byte', () => {
    const text = get('Range: bytes=0-1\r\n');
    for (let length = 0; length < text.length; length += 1) expect(verdict(text.slice(0, length))).toBe('incomplete');
  });
});

describe('left to node:http', () => {
  it.each([
    ['POST', get('', 'POST /a HTTP/1.1')],
    ['OPTIONS', get('', 'OPTIONS * HTTP/1.1')],
    ['a method with a dash', get('', 'M-SEARCH /a HTTP/1.1')],
    ['absolute form', get('', 'GET http://edge/a HTTP/1.1')],
    ['a target that does not begin with a slash', get('', 'GET a HTTP/1.1')],
    ['HTTP/1.0', get('', 'GET /a HTTP/1.0')],
    ['Content-Length', get('Content-Length: 5\r\n')],
    ['Content-Length: 0', get('Content-Length: 0\r\n')],
    ['Content-Length twice', get('Content-Length: 5\r\nContent-Length: 6\r\n')],
    ['Content-Length +5', get('Content-Length: +5\r\n')],
    ['Content-Length 0x5', get('Content-Length: 0x5\r\n')],
    ['an empty Content-Length', get('Content-Length:\r\n')],
    ['Transfer-Encoding', get('Transfer-Encoding: chunked\r\n')],
    ['Transfer-Encoding ,chunked', get('transfer-encoding: ,chunked\r\n')],
    ['Transfer-Encoding twice', get('Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: x\r\n')],
    ['Transfer-Encoding and Content-Length', get('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n')],
    ['Transfer-Encoding of HTTP/1.0', get('Transfer-Encoding: chunked\r\n', 'GET /a HTTP/1.0')],
    ['Upgrade', get('Upgrade: h2c\r\n')],
    ['Connection: Upgrade', get('Connection: keep-alive, Upgrade\r\n')],
    ['a field that Connection names', get('Connection: close, X-A\r\n')],
    ['Expect', get('Expect: 100-continue\r\n')],
    ['Trailer', get('Trailer: x\r\n')],
    ['HTTP2-Settings', get('HTTP2-Settings: x\r\n')],
  ])('%s', (_name, text) => {
    expect(verdict(text)).toBe('unusual');
  });
});

describe('refused', () => {
  it.each([
    ['no Host', 'GET /a HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', get('host: other\r\n'), 400],
    ['two Hosts that agree', get('Host: edge\r\n'), 400],
    ['a Host with a path', get().replace('edge', 'edge/a'), 400],
    ['a Host with a user', get().replace('edge', 'a@edge'), 400],
    ['a Host with a blank', get().replace('edge', 'a b'), 400],
    ['a line feed alone at the end of a line', get('X: 1\nY: 2\r\n'), 400],
    ['line feeds alone', 'GET /a HTTP/1.1\nHost: edge\n\n', 400],
    ['a line feed alone before the end', 'GET /a HTTP/1.1\r\nHost: edge\n', 400],
    ['a carriage return alone', get('X: 1\r Y: 2\r\n'), 400],
    ['a carriage return before the line end', get('X: 1\r\r\n'), 400],
    ['NUL in a value', get('X: a\0b\r\n'), 400],
    ['NUL in a name', get('X\0: a\r\n'), 400],
    ['DEL in a value', get('X: a\x7fb\r\n'), 400],
    ['space before the colon', get('Content-Length : 5\r\n'), 400],
    ['a tab before the colon', get('Transfer-Encoding\t: chunked\r\n'), 400],
    ['a folded line', get('X: a\r\n b\r\n'), 400],
    ['a first field that begins with a space', get().replace('Host', ' Host'), 400],
    ['an empty name', get(': a\r\n'), 400],
    ['a line without colon', get('Transfer-Encoding\r\n'), 400],
    ['a name in brackets', get('(X): a\r\n'), 400],
    ['a name above ASCII', get('X\xe9: a\r\n'), 400],
    ['HTTP/0.9', 'GET /a\r\n\r\n', 400],
    ['HTTP/1.2', get('', 'GET /a HTTP/1.2'), 400],
    ['HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['http/1.1', get('', 'GET /a http/1.1'), 400],
    ['HTTP/1.1 and more', get('', 'GET /a HTTP/1.1 HTTP/1.1'), 400],
    ['two spaces before the target', get('', 'GET  /a HTTP/1.1'), 400],
    ['two spaces after the target', get('', 'GET /a  HTTP/1.1'), 400],
    ['a tab after the method', get('', 'GET\t/a HTTP/1.1'), 400],
    ['a space in the target', get('', 'GET /a b HTTP/1.1'), 400],
    ['a target above ASCII', get('', 'GET /\xe9 HTTP/1.1'), 400],
    ['NUL in the target', get('', 'GET /a\0b HTTP/1.1'), 400],
    ['no target', get('', 'GET HTTP/1.1'), 400],
    ['a method in lower case', get('', 'get /a HTTP/1.1'), 400],
    ['a method that is none', get('', 'G(T /a HTTP/1.1'), 400],
    ['a method without end', get('', `${'A'.repeat(40)} /a HTTP/1.1`), 400],
    ['an empty line first', `\r\n${get()}`, 400],
    ['a greeting of TLS', '\x16\x03\x01\x02\0\x01', 400],
    ['nothing but a space', ' ', 400],
    ['a target too long', get('', `GET /${'a'.repeat(headLimits.targetBytes)} HTTP/1.1`), 414],
    ['a target without end', `GET /${'a'.repeat(headLimits.bytes)}`, 414],
    ['fields too long', get(`X: ${'a'.repeat(headLimits.bytes)}\r\n`), 431],
    ['fields without end', `GET /a HTTP/1.1\r\nX: ${'a'.repeat(headLimits.bytes)}`, 431],
    ['fields too many', get('X: 1\r\n'.repeat(headLimits.fields)), 431],
  ])('%s', (_name, text, status) => {
    expect(verdict(text)).toBe(status);
  });
});

describe('a connection that remembers its fields', () => {
  const block = (text: string) => Buffer.from(text, 'latin1');

  it('reads the same ones once, and any other anew', () => {
    const memory = new FieldMemory();
    const [one, other] = [block('Host: a\r\nX: 1\r\n'), block('Host: a\r\nX: 2\r\n')];
    const first = memory.read(one, 0, one.length);
    expect(memory.read(Buffer.from(one), 0, one.length)).toBe(first);
    expect(memory.read(other, 0, other.length)).toMatchObject({ headers: { x: '2' } });
    expect(memory.read(one, 0, one.length)).toEqual(first);
  });

  it('is not taken in by fields that begin alike', () => {
    const memory = new FieldMemory();
    const [short, long] = [block('Host: a\r\n'), block('Host: a\r\nContent-Length: 5\r\n')];
    memory.read(short, 0, short.length);
    expect(memory.read(long, 0, long.length)).toMatchObject({ isUnusual: true });
  });

  it('keeps its own copy: the bytes it was given are used again', () => {
    const memory = new FieldMemory();
    const bytes = block('Host: a\r\nX: 1\r\n');
    memory.read(bytes, 0, bytes.length);
    bytes.write('2', bytes.indexOf('1'), 'latin1');
    expect(memory.read(bytes, 0, bytes.length)).toMatchObject({ headers: { x: '2' } });
  });

  it('remembers no long ones', () => {
    const memory = new FieldMemory();
    const bytes = block(`Host: a\r\nX: ${'a'.repeat(4_000)}\r\n`);
    const first = memory.read(bytes, 0, bytes.length);
    expect(memory.read(bytes, 0, bytes.length)).not.toBe(first);
    expect(first).toEqual(parseFields(bytes, 0, bytes.length));
  });
});
