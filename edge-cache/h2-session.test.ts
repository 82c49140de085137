// One HTTP/2 connection, frame by frame. Source of the rules: RFC 9113.
import { describe, expect, it } from 'vitest';
import {
  answerOf,
  blockOf,
  engineOf,
  frameBytes,
  get,
  openPeer,
  PREFACE,
  setting,
  uint32,
} from '../test/support/raw-h2.ts';
import type { EdgeAnswer, EdgeRequest } from './messages.ts';

const [DATA, HEADERS, RESET, SETTINGS, PING, WINDOW, CONTINUATION] = [0, 1, 3, 4, 6, 8, 9];
const [END_STREAM, END_HEADERS] = [1, 4];
const WHOLE = END_STREAM | END_HEADERS;
const SMALL = answerOf(Buffer.from('hello'), { 'x-cache': 'HIT' });

/** An engine whose answers are given by hand. */
function lateEngine() {
  const waiting: { request: EdgeRequest; answer: (answer: EdgeAnswer) => void; fail: (thrown: Error) => void }[] = [];
  const left: string[] = [];
  const engine = engineOf(
    () => null,
    (request) =>
      new Promise((answer, fail) => {
        waiting.push({ request, answer, fail });
        request.onLeft = () => left.push(request.target);
      }),
  );
  return { engine, waiting, left };
}

/** A body that comes piece by piece. */
function growing() {
  const { readable, writable } = new TransformStream<Buffer, Buffer>(undefined, undefined, { highWaterMark: 100 });
  const writer = writable.getWriter();
  return { body: readable as AsyncIterable<Buffer>, writer };
}

describe('requests', () => {
  it('are answered at once from memory: a head, then the body', async () => {
    const asked: EdgeRequest[] = [];
    const peer = await openPeer(
      engineOf((request) => {
        asked.push(request);
        return SMALL;
      }),
    );
    peer.send(HEADERS, WHOLE, 1, get('/a?b', ['range', 'bytes=0-'], ['host', 'edge']));
    await peer.settle();
    expect(asked).toMatchObject([
      { method: 'GET', target: '/a?b', headers: { range: 'bytes=0-' }, hosts: 1, hasBody: false, client: '192.0.2.1' },
    ]);
    expect(peer.frames.map(({ type, flags }) => [type, flags])).toEqual([
      [HEADERS, END_HEADERS],
      [DATA, END_STREAM],
    ]);
    expect(peer.fields()).toEqual({ ':status': '200', 'x-cache': 'HIT', date: expect.stringMatching(/ GMT$/) });
    expect(peer.body(1).toString()).toBe('hello');
  });

  it('are answered later in the order in which the answers come', async () => {
    const { engine, waiting } = lateEngine();
    const peer = await openPeer(engine);
    for (const id of [1, 3]) peer.send(HEADERS, WHOLE, id, get('/'));
    await peer.settle();
    expect(peer.frames).toEqual([]);
    waiting[1]?.answer(SMALL);
    await peer.settle();
    waiting[0]?.answer({ ...SMALL, status: 304, body: null });
    await peer.settle();
    expect(peer.frames.map(({ stream, type, flags }) => [stream, type, flags])).toEqual([
      [3, HEADERS, END_HEADERS],
      [3, DATA, END_STREAM],
      [1, HEADERS, WHOLE],
    ]);
  });

  it('are the same however the bytes are cut', async () => {
    const asked: string[] = [];
    const peer = await openPeer(
      engineOf(({ target }) => {
        asked.push(target);
        return SMALL;
      }),
      null,
    );
    const long = `/${'x'.repeat(300)}`;
    const bytes = Buffer.concat([
      PREFACE,
      frameBytes(SETTINGS, 0, 0),
      frameBytes(HEADERS, WHOLE, 1, get('/a')),
      frameBytes(HEADERS, END_STREAM, 3, get(long).subarray(0, 100)),
      frameBytes(CONTINUATION, END_HEADERS, 3, get(long).subarray(100)),
      frameBytes(PING, 0, 0, Buffer.from('12345678')),
    ]);
    for (const byte of bytes) peer.raw(Buffer.from([byte]));
    await peer.settle();
    expect(asked).toEqual(['/a', long]);
    expect(peer.frames).toContainEqual({ type: PING, flags: 1, stream: 0, payload: Buffer.from('12345678') });
  });

  it('with the same header block are the same request only while the table is the same', async () => {
    const asked: string[] = [];
    const peer = await openPeer(
      engineOf(({ target }) => {
        asked.push(target);
        return SMALL;
      }),
    );
    const [newest, kept] = [Buffer.from([0x82, 0x87, 0xbe]), Buffer.from([0x82, 0x87, 0x44, 2])];
    const blocks = [Buffer.concat([kept, Buffer.from('/a')]), newest, newest, Buffer.concat([kept, Buffer.from('/b')])];
    for (const [i, block] of [...blocks, newest, newest].entries()) peer.send(HEADERS, WHOLE, 2 * i + 1, block);
    await peer.settle();
    expect(asked).toEqual(['/a', '/a', '/a', '/b', '/b', '/b']);
  });

  it.each([
    ['an upper-case name', get('/', ['X-A', '1'])],
    ['a line break in a value', get('/', ['x-a', '1\r\nhost: b'])],
    ['a space before a value', get('/', ['x-a', ' 1'])],
    ['a header of a connection', get('/', ['connection', 'close'])],
    ['transfer-encoding', get('/', ['transfer-encoding', 'chunked'])],
    ['te', get('/', ['te', 'gzip'])],
    ['a length of a body that is none', get('/', ['content-length', '5'])],
    ['a length that is no number', get('/', ['content-length', '+0'])],
    ['two paths', get('/', [':path', '/b'])],
    [
      'a pseudo-header behind others',
      blockOf([
        [':method', 'GET'],
        [':scheme', 'https'],
        ['a', 'b'],
        [':path', '/'],
      ]),
    ],
    ['an unknown pseudo-header', get('/', [':protocol', 'websocket'])],
    [
      'no path',
      blockOf([
        [':method', 'GET'],
        [':scheme', 'https'],
      ]),
    ],
    [
      'a user name',
      blockOf([
        [':method', 'GET'],
        [':scheme', 'https'],
        [':authority', 'a@b'],
        [':path', '/'],
      ]),
    ],
    [
      'CONNECT with a path',
      blockOf([
        [':method', 'CONNECT'],
        [':scheme', 'https'],
        [':authority', 'a'],
        [':path', '/'],
      ]),
    ],
    ['nothing', Buffer.alloc(0)],
  ])('with %s are malformed, and no engine hears of them', async (_name, block) => {
    const peer = await openPeer(
      engineOf(() => {
        throw new Error('asked');
      }),
    );
    peer.send(HEADERS, WHOLE, 1, block);
    await peer.settle();
    expect([peer.code(1), peer.code(0)]).toEqual([1, null]);
  });

  it('with more header than allowed get 431, and the next one is read', async () => {
    const peer = await openPeer(engineOf(() => SMALL));
    peer.send(HEADERS, WHOLE, 1, get('/', ...Array.from({ length: 70 }, (): [string, string] => ['a', 'b'])));
    peer.send(HEADERS, WHOLE, 3, get('/'));
    await peer.settle();
    expect([peer.fields(0)[':status'], peer.fields(1)[':status']]).toEqual(['431', '200']);
  });

  it('with a body are answered; the body is let pass for a moment, then stopped', async () => {
    const seen: boolean[] = [];
    const peer = await openPeer(
      engineOf(({ hasBody }) => {
        seen.push(hasBody);
        return SMALL;
      }),
    );
    peer.send(HEADERS, END_HEADERS, 1, get('/'));
    for (let i = 0; i < 3; i += 1) peer.send(DATA, 0, 1, Buffer.alloc(16_000));
    await peer.settle();
    expect(seen).toEqual([true]);
    expect(peer.frames.filter(({ type }) => type === WINDOW)).toMatchObject([{ stream: 0, payload: uint32(48_000) }]);
    peer.session.tick(0);
    peer.session.tick(1_000);
    await peer.settle();
    expect(peer.code(1)).toBe(0);
    // Late frames of it break nothing.
    peer.send(DATA, END_STREAM, 1, Buffer.alloc(10));
    await peer.settle();
    expect(peer.code(0)).toBeNull();
  });

  it('that an engine throws at end their connection with INTERNAL_ERROR, and no other', async () => {
    const engine = engineOf(({ target }) => {
      if (target === '/bug') throw new Error('bug');
      return SMALL;
    });
    const [peer, other] = [await openPeer(engine), await openPeer(engine)];
    peer.send(HEADERS, WHOLE, 1, get('/bug'));
    other.send(HEADERS, WHOLE, 1, get('/'));
    await Promise.all([peer.settle(), other.settle()]);
    expect([peer.code(0), peer.ended, peer.reported.length]).toEqual([2, ['internal'], 1]);
    expect([other.code(0), other.body(1).toString()]).toEqual([null, 'hello']);
  });

  it('of viewers who leave are let go: by RST_STREAM or with the connection', async () => {
    const { engine, waiting, left } = lateEngine();
    const peer = await openPeer(engine);
    for (const [i, path] of ['/a', '/b'].entries()) peer.send(HEADERS, WHOLE, 2 * i + 1, get(path));
    peer.send(RESET, 0, 1, uint32(8));
    await peer.settle();
    expect(left).toEqual(['/a']);
    let isLetGo = false;
    const body: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(new Error('read')),
        return: () => {
          isLetGo = true;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    waiting[0]?.answer(answerOf(body));
    await peer.settle();
    expect([isLetGo, peer.frames]).toEqual([true, []]);
    peer.socket.destroy();
    await peer.settle();
    expect(left).toEqual(['/a', '/b']);
  });
});

describe('bodies', () => {
  const large = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
  const ofLarge = engineOf(() => answerOf(large));

  it('stay within the window of the stream, byte by byte', async () => {
    const peer = await openPeer(ofLarge, setting(4, 0));
    peer.send(HEADERS, WHOLE, 1, get('/'));
    await peer.settle();
    expect(peer.frames.map(({ type }) => type)).toEqual([HEADERS]);
    for (const bytes of [1, 2, 30_000]) peer.send(WINDOW, 0, 1, uint32(bytes));
    await peer.settle();
    expect(peer.body(1)).toEqual(large.subarray(0, 30_003));
    peer.send(SETTINGS, 0, 0, setting(4, 10));
    await peer.settle();
    expect(peer.body(1)).toEqual(large.subarray(0, 30_013));
    // Smaller than what has been sent: below zero, so the next bytes wait until it is above.
    peer.send(SETTINGS, 0, 0, setting(4, 0));
    peer.send(WINDOW, 0, 1, uint32(10));
    await peer.settle();
    expect(peer.body(1).length).toBe(30_013);
    peer.send(WINDOW, 0, 1, uint32(5));
    await peer.settle();
    expect(peer.body(1)).toEqual(large.subarray(0, 30_018));
  });

  it('stay within the window of the connection, and share it a frame at a time', async () => {
    const peer = await openPeer(ofLarge, setting(4, 1_000_000));
    peer.raw(Buffer.concat([1, 3].map((id) => frameBytes(HEADERS, WHOLE, id, get('/')))));
    await peer.settle();
    const order = peer.frames
      .filter(({ type }) => type === DATA)
      .map(({ stream, payload }) => [stream, payload.length]);
    expect(order).toEqual([
      [1, 16_384],
      [3, 16_384],
      [1, 16_384],
      [3, 16_383],
    ]);
    peer.send(WINDOW, 0, 0, uint32(1_000_000));
    await peer.settle();
    expect([peer.body(1).equals(large), peer.body(3).equals(large)]).toEqual([true, true]);
    expect(peer.frames.filter(({ type, flags }) => type === DATA && flags === END_STREAM)).toHaveLength(2);
  });

  it('wait for a peer who does not read; a small one waits for no large one to end', async () => {
    const engine = engineOf(({ target }) => (target === '/small' ? SMALL : answerOf(large)));
    const peer = await openPeer(engine, setting(4, 1_000_000));
    peer.send(WINDOW, 0, 0, uint32(10_000_000));
    peer.pause();
    for (let id = 1; id < 100; id += 2) peer.send(HEADERS, WHOLE, id, get('/'));
    await peer.settle();
    expect(peer.socket.writableLength).toBeLessThan(100_000);
    peer.send(HEADERS, WHOLE, 101, get('/small'));
    await peer.settle();
    peer.resume();
    await peer.settle();
    await peer.settle();
    for (let id = 1; id < 100; id += 2) expect(peer.body(id).equals(large)).toBe(true);
    const isEnd = ({ type, flags }: { type: number; flags: number }): boolean => type === DATA && flags === END_STREAM;
    expect(peer.frames.find(isEnd)?.stream).toBe(101);
  });

  it('that grow are sent as they come, and end with the last byte', async () => {
    const { body, writer } = growing();
    const peer = await openPeer(engineOf(() => answerOf(body)));
    peer.send(HEADERS, WHOLE, 1, get('/'));
    for (const piece of ['one ', 'two ']) {
      await writer.write(Buffer.from(piece));
      await peer.settle();
      expect(peer.body(1).toString().endsWith(piece)).toBe(true);
    }
    await writer.close();
    await peer.settle();
    expect([peer.body(1).toString(), peer.frames.at(-1)?.flags]).toEqual(['one two ', END_STREAM]);
  });

  it('that grow are let go when their viewer leaves', async () => {
    let isLetGo = false;
    const pieces: IteratorResult<Buffer>[] = [{ done: false, value: Buffer.from('one') }];
    const body: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => pieces.shift() ?? new Promise(() => undefined),
        return: async () => {
          isLetGo = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const peer = await openPeer(engineOf(() => answerOf(body)));
    peer.send(HEADERS, WHOLE, 1, get('/'));
    await peer.settle();
    expect([peer.body(1).toString(), isLetGo]).toEqual(['one', false]);
    peer.send(RESET, 0, 1, uint32(8));
    await peer.settle();
    expect(isLetGo).toBe(true);
  });

  it('that break off are cut with INTERNAL_ERROR, and nobody else notices', async () => {
    const { body, writer } = growing();
    const peer = await openPeer(engineOf(({ target }) => (target === '/' ? answerOf(body) : SMALL)));
    peer.send(HEADERS, WHOLE, 1, get('/'));
    await writer.write(Buffer.from('one'));
    await writer.abort(new Error('broken'));
    await peer.settle();
    expect(peer.code(1)).toBe(2);
    peer.send(HEADERS, WHOLE, 3, get('/b'));
    await peer.settle();
    expect([peer.body(3).toString(), peer.code(0)]).toEqual(['hello', null]);
  });

  it.each([
    ['longer', 'onetwo', '5'],
    ['shorter', 'onetwo', '7'],
  ])('%s than announced are cut, and never ended as if they were whole', async (_name, text, length) => {
    const { body, writer } = growing();
    const peer = await openPeer(engineOf(() => answerOf(body, { 'content-length': length })));
    peer.send(HEADERS, WHOLE, 1, get('/'));
    await writer.write(Buffer.from(text.slice(0, 3)));
    await peer.settle();
    await writer.write(Buffer.from(text.slice(3)));
    await peer.settle();
    writer.close().catch(() => undefined);
    await peer.settle();
    expect([peer.code(1), peer.frames.some(({ type, flags }) => type === DATA && flags === END_STREAM)]).toEqual([
      2,
      false,
    ]);
    expect(peer.body(1).length).toBeLessThan(Number(length));
  });

  it('of an engine that fails, and heads that cannot be sent, are reset and reported', async () => {
    const { engine, waiting } = lateEngine();
    const peer = await openPeer(engine);
    for (const id of [1, 3, 5]) peer.send(HEADERS, WHOLE, id, get('/'));
    await peer.settle();
    waiting[0]?.fail(new Error('bug'));
    waiting[1]?.answer(answerOf(null, { 'x-long': 'a'.repeat(17_000) }));
    waiting[2]?.answer(answerOf(null, { 'x-a': '1\r\nx-b: 2' }));
    await peer.settle();
    expect([peer.code(1), peer.code(3), peer.code(5), peer.reported.length]).toEqual([2, 2, 2, 3]);
  });
});
