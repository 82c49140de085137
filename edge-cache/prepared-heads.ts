// Heads of HTTP/1.1 answers as text. What all answers that show one cached object have in common is put into text once.
import { STATUS_CODES } from 'node:http';
import type { EdgeAnswer, Headers } from './messages.ts';

/** A viewer can count on an idle connection for this long. Unit: s. */
const KEPT_S = 30;
/** A name or value that would be read as more than one line. */
const BROKEN = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * Makes the text of heads: status line, the answer's headers, Date, Connection, the empty line.
 * @param wallClock ms since epoch
 * @returns a function of the answer and whether the connection ends with it. It throws on a header that is no single line.
 */
export function createHeads(wallClock: () => number = Date.now): (answer: EdgeAnswer, isLast: boolean) => string {
  const texts = new WeakMap<Readonly<Headers>, string>();
  const ending = createEndings(wallClock);
  const fixedText = (fixed: Readonly<Headers>): string => {
    const known = texts.get(fixed);
    if (known !== undefined) return known;
    const text = linesOf(fixed);
    texts.set(fixed, text);
    return text;
  };
  return (answer, isLast) => {
    const { status, parts } = answer;
    const lines = parts === undefined ? linesOf(answer.headers) : fixedText(parts.fixed) + linesOf(parts.moment);
    return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}${ending(isLast)}`;
  };
}

function linesOf(headers: Readonly<Headers>): string {
  let lines = '';
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (BROKEN.test(value) || BROKEN.test(name)) throw new TypeError(`header ${name} is no single line`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** The lines that depend on the second and the connection alone. */
function createEndings(wallClock: () => number): (isLast: boolean) => string {
  let second = -1;
  let [kept, last] = ['', ''];
  return (isLast) => {
    const now = Math.floor(wallClock() / 1_000);
    if (now !== second) {
      second = now;
      const date = `date: ${new Date(now * 1_000).toUTCString()}\r\n`;
      kept = `${date}connection: keep-alive\r\nkeep-alive: timeout=${KEPT_S}\r\n\r\n`;
      last = `${date}connection: close\r\n\r\n`;
    }
    return isLast ? last : kept;
  };
}
