import { describe, expect, it } from 'vitest';
import type { EdgeAnswer, Headers } from './messages.ts';
import { createHeads } from './prepared-heads.ts';

const answerOf = (headers: Headers): EdgeAnswer => ({
  kind: 'segment',
  result: 'hit',
  status: 200,
  headers,
  body: null,
});
const shown = (fixed: Headers, moment: Headers): EdgeAnswer => ({ ...answerOf({}), parts: { fixed, moment } });

describe('a head', () => {
  it('is the status, the headers, the date and what becomes of the connection', () => {
    const headOf = createHeads(() => Date.UTC(2026, 4, 1, 12, 30, 15, 999));
    const lines = (isLast: boolean) => headOf({ ...answerOf({ etag: '"a"' }), status: 416 }, isLast).split('\r\n');
    const first = ['HTTP/1.1 416 Range Not Satisfiable', 'etag: "a"', 'date: Fri, 01 May 2026 12:30:15 GMT'];
    expect(lines(false)).toEqual([...first, 'connection: keep-alive', 'keep-alive: timeout=30', '', '']);
    expect(lines(true)).toEqual([...first, 'connection: close', '', '']);
  });

  it('follows the clock', () => {
    let nowMs = 0;
    const headOf = createHeads(() => nowMs);
    expect(headOf(answerOf({}), false)).toContain('00:00:00 GMT');
    nowMs = 1_000;
    expect(headOf(answerOf({}), false)).toContain('00:00:01 GMT');
  });

  it('of an object in memory is made once but for what depends on the moment', () => {
    const headOf = createHeads(() => 0);
    let looks = 0;
    const fixed = new Proxy<Headers>(
      { etag: '"a"' },
      {
        get(target, name) {
          looks += 1;
          return Reflect.get(target, name);
        },
      },
    );
    const heads = ['1', '2'].map((age) => headOf(shown(fixed, { age }), false));
    expect(looks).toBe(1);
    for (const [i, head] of heads.entries()) {
      expect(head).toContain('etag: "a"\r\n');
      expect(head).toContain(`age: ${i + 1}\r\n`);
    }
  });

  it.each([
    ['a value of two lines', { etag: 'a\r\nset-cookie: b' }],
    ['a value with a line feed', { etag: 'a\nb' }],
    ['a value with NUL', { etag: 'a\0b' }],
    ['a value beyond Latin-1', { etag: '\u{1f600}' }],
    ['a name of two lines', { 'a\r\nb': 'c' }],
  ])('with %s is none', (_name, headers: Headers) => {
    const headOf = createHeads();
    expect(() => headOf(answerOf(headers), false)).toThrow('no single line');
    expect(() => headOf(shown(headers, {}), false)).toThrow('no single line');
    expect(() => headOf(shown({}, headers), false)).toThrow('no single line');
  });
});
