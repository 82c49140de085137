// What one HTTP/2 connection may cost: floods, endless headers, peers who do not read, the end of the edge.
import { describe, expect, it } from 'vitest';
import { answerOf, engineOf, frameBytes, get, openPeer, type Peer, setting, uint32 } from '../test/support/raw-h2.ts';

const [DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION] = [0, 1, 2, 3, 4, 6, 7, 8, 9];
const [END_STREAM, END_HEADERS, WHOLE] = [1, 4, 5];
const [ENHANCE_YOUR_CALM, REFUSED_STREAM, CANCEL, NO_ERROR] = [11, 7, 8, 0];
const SMALL = answerOf(Buffer.from('hello'));
const small = engineOf(() => SMALL);
/** Holds every viewer for ever; tells how many have left. */
function holding() {
  const seen = { asked: 0, left: 0 };
  const engine = engineOf(
    () => null,
    (request) => {
      seen.asked += 1;
      request.onLeft = () => {
        seen.left += 1;
      };
      return new Promise(() => undefined);
    },
  );
  return { engine, seen };
}

const large = Buffer.alloc(200_000, 'x');
const ofLarge = engineOf(() => answerOf(large));

async function flood(peer: Peer, count: number, frame: (i: number) => Buffer): Promise<void> {
  for (let i = 0; i < count; i += 1) peer.raw(frame(i));
  await peer.settle();
}

describe('a peer is told to calm down', () => {
  it('after 100 requests taken back in 10 s, and no request of theirs goes on', async () => {
    const { engine, seen } = holding();
    const peer = await openPeer(engine);
    const takeBack = (i: number): Buffer => {
      const id = 2 * i + 1;
      return Buffer.concat([frameBytes(HEADERS, WHOLE, id, get('/')), frameBytes(RESET, 0, id, uint32(8))]);
    };
    await flood(peer, 100, takeBack);
    expect(peer.ended).toEqual([]);
    await flood(peer, 50, (i) => takeBack(100 + i));
    expect([peer.code(0), peer.ended]).toEqual([ENHANCE_YOUR_CALM, ['resets']]);
    expect(seen.left).toBe(seen.asked);
    expect(seen.asked).toBe(101);
  });

  it('but not after as many in twice the time', async () => {
    const peer = await openPeer(holding().engine);
    for (const nowMs of [0, 10_000, 20_000]) {
      peer.session.tick(nowMs);
      await flood(peer, 80, (i) => {
        const id = 2 * (i + nowMs / 100) + 1;
        return Buffer.concat([frameBytes(HEADERS, WHOLE, id, get('/')), frameBytes(RESET, 0, id, uint32(8))]);
      });
    }
    expect(peer.ended).toEqual([]);
  });

  it('when it makes the edge reset its requests instead', async () => {
    const { engine, seen } = holding();
    const peer = await openPeer(engine);
    await flood(peer, 150, (i) =>
      Buffer.concat([frameBytes(HEADERS, WHOLE, 2 * i + 1, get('/')), frameBytes(WINDOW, 0, 2 * i + 1, uint32(0))]),
    );
    expect([peer.code(0), peer.ended, seen.left]).toEqual([ENHANCE_YOUR_CALM, ['resets'], 101]);
  });

  it.each([
    ['PING', () => frameBytes(PING, 0, 0, Buffer.alloc(8))],
    ['PING acknowledged unasked', () => frameBytes(PING, 1, 0, Buffer.alloc(8))],
    ['SETTINGS', () => frameBytes(SETTINGS, 0, 0, setting(4, 10))],
    ['PRIORITY', () => frameBytes(PRIORITY, 0, 1, Buffer.alloc(5))],
    ['unknown frames', () => frameBytes(0xbe, 0, 0, Buffer.alloc(1))],
    ['windows a byte at a time', () => frameBytes(WINDOW, 0, 0, uint32(1))],
  ])('by a flood of %s', async (_name, frame) => {
    const peer = await openPeer(small);
    await flood(peer, 900, frame);
    expect(peer.ended).toEqual([]);
    await flood(peer, 200, frame);
    expect([peer.code(0), peer.ended]).toEqual([ENHANCE_YOUR_CALM, ['flood']]);
  });

  it('by a flood of empty DATA', async () => {
    const peer = await openPeer(holding().engine);
    peer.send(HEADERS, END_HEADERS, 1, get('/'));
    await flood(peer, 1_100, () => frameBytes(DATA, 0, 1));
    expect(peer.ended).toEqual(['flood']);
  });

  it('by headers without end, empty or not', async () => {
    for (const [count, piece] of [
      [9, Buffer.alloc(0)],
      [3, Buffer.alloc(16_000)],
    ] as const) {
      const peer = await openPeer(small);
      peer.send(HEADERS, END_STREAM, 1, get('/'));
      await flood(peer, count, () => frameBytes(CONTINUATION, 0, 1, piece));
      expect([peer.code(0), peer.ended]).toEqual([ENHANCE_YOUR_CALM, ['headers']]);
    }
  });

  it('when it reads none of the answers to its PINGs', async () => {
    const peer = await openPeer(small);
    peer.pause();
    // Within what is allowed in one window; the windows pass.
    for (let i = 0; i < 8; i += 1) {
      peer.session.tick(i * 10_000);
      await flood(peer, 900, () => frameBytes(PING, 0, 0, Buffer.alloc(8)));
    }
    expect(peer.ended).toEqual(['flood']);
  });

  it('not by a viewer who reads a long body with many small windows', async () => {
    const peer = await openPeer(ofLarge);
    for (let id = 1; id < 200; id += 2) {
      peer.send(HEADERS, WHOLE, id, get('/'));
      for (let i = 0; i < 13; i += 1) {
        peer.send(WINDOW, 0, 0, uint32(16_384));
        peer.send(WINDOW, 0, id, uint32(16_384));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await peer.settle();
      expect(peer.body(id).length).toBe(large.length);
      peer.frames.length = 0;
    }
    expect(peer.ended).toEqual([]);
  });
});

describe('requests at a time', () => {
  it('are 100; the next one is refused and may come again', async () => {
    const { engine, seen } = holding();
    const peer = await openPeer(engine);
    await flood(peer, 101, (i) => frameBytes(HEADERS, WHOLE, 2 * i + 1, get('/')));
    expect([seen.asked, peer.code(201), peer.ended]).toEqual([100, REFUSED_STREAM, []]);
  });
});

describe('in time', () => {
  it('a frame or header that is begun is ended within 10 s, however steadily its bytes come', async () => {
    const begin = frameBytes(HEADERS, WHOLE, 1, get('/')).subarray(0, 20);
    const open = frameBytes(HEADERS, END_STREAM, 1, get('/'));
    for (const first of [begin, open]) {
      const peer = await openPeer(small);
      peer.raw(first);
      for (let s = 0; s < 10; s += 1) {
        await peer.settle();
        peer.session.tick(s * 1_000);
        if (first === begin) peer.raw(get('/').subarray(11 + s, 12 + s));
      }
      expect(peer.ended).toEqual([]);
      peer.session.tick(10_000);
      await peer.settle();
      expect(peer.ended).toEqual(['slow']);
    }
  });

  it('and so is the preface', async () => {
    const peer = await openPeer(small, null);
    peer.raw(Buffer.from('PRI * '));
    peer.session.tick(0);
    peer.session.tick(10_000);
    expect(peer.ended).toEqual(['slow']);
  });

  it('a connection without a byte for 30 s is closed; one that waits for an answer too, but not before', async () => {
    const peer = await openPeer(small);
    peer.session.tick(0);
    peer.session.tick(29_999);
    expect(peer.ended).toEqual([]);
    peer.session.tick(30_000);
    expect([peer.ended, peer.socket.destroyed]).toEqual([['idle'], true]);
  });

  it('an answer that its viewer takes nothing of for 30 s is reset; those beside it go on', async () => {
    const peer = await openPeer(ofLarge, setting(4, 0));
    for (const id of [1, 3]) peer.send(HEADERS, WHOLE, id, get('/'));
    for (let s = 0; s <= 31; s += 1) {
      peer.send(WINDOW, 0, 3, uint32(1_000));
      peer.send(WINDOW, 0, 1, uint32(1));
      await peer.settle();
      peer.session.tick(s * 1_000);
    }
    await peer.settle();
    expect([peer.code(1), peer.code(3), peer.ended]).toEqual([CANCEL, null, []]);
  });

  it('a peer who reads nothing is cut, however much it sends', async () => {
    const peer = await openPeer(ofLarge, setting(4, 1_000_000));
    peer.pause();
    peer.send(WINDOW, 0, 0, uint32(10_000_000));
    peer.send(HEADERS, WHOLE, 1, get('/'));
    for (let s = 0; s <= 31; s += 1) {
      peer.send(PING, 0, 0, Buffer.alloc(8));
      await peer.settle();
      peer.session.tick(s * 1_000);
    }
    expect([peer.ended, peer.socket.destroyed]).toEqual([['idle'], true]);
  });

  it('a peer who does not go after GOAWAY is cut', async () => {
    const peer = await openPeer(small);
    peer.send(DATA, 0, 0);
    await peer.settle();
    expect([peer.code(0), peer.ended]).toEqual([1, ['protocol']]);
    peer.session.tick(0);
    expect(peer.socket.destroyed).toBe(false);
    peer.session.tick(1_000);
    expect(peer.socket.destroyed).toBe(true);
  });
});

describe('a drain', () => {
  it('ends the connection with its last answer, and takes no request after it', async () => {
    const asked: string[] = [];
    let answer: (given: typeof SMALL) => void = () => undefined;
    const engine = engineOf(
      () => null,
      ({ target }) => {
        asked.push(target);
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    );
    const peer = await openPeer(engine);
    peer.send(HEADERS, WHOLE, 1, get('/a'));
    await peer.settle();
    peer.session.drain();
    peer.send(HEADERS, WHOLE, 3, get('/b'));
    await peer.settle();
    const goaway = peer.frames.find(({ type }) => type === GOAWAY);
    expect([goaway?.payload.readUInt32BE(0), peer.code(0), asked]).toEqual([1, NO_ERROR, ['/a']]);
    expect(peer.socket.writableEnded).toBe(false);
    answer(SMALL);
    await peer.settle();
    expect([peer.body(1).toString(), peer.socket.writableEnded, peer.ended]).toEqual(['hello', true, []]);
  });

  it('ends a connection without requests at once', async () => {
    const peer = await openPeer(small);
    peer.session.drain();
    await peer.settle();
    expect([peer.code(0), peer.socket.writableEnded]).toEqual([NO_ERROR, true]);
  });
});
