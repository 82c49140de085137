import { beforeEach, describe, expect, test } from 'vitest';
import type { KeyKind } from '../platform/contract/records.ts';
import { classifyTag } from './flv-tag.ts';
import { Publisher, SILENT_MS } from './publisher.ts';
import { PublisherPair } from './publisher-pair.ts';
import type { EndReason } from './rtmp-protocol.ts';

let now: number;
/** What the ring got: session beginnings and tags. */
let out: string[];
let changes: number;
let pair: PublisherPair;
let ended: string[];
let names: Map<string, string>;

beforeEach(() => {
  now = 1_000_000;
  out = [];
  changes = 0;
  ended = [];
  names = new Map();
  const sink = {
    beginSession: (session: string) => void out.push(`session ${names.get(session) ?? 'new'}`),
    push: (tag: { body: Buffer }) => void out.push(tag.body.subarray(5).toString()),
  };
  pair = new PublisherPair(
    () => sink,
    { wall: () => now, steady: () => now },
    () => {
      changes += 1;
    },
  );
});

function publisher(key: KeyKind, name: string = key): Publisher {
  const made: Publisher = new Publisher(
    {
      remote: name,
      close(reason: EndReason) {
        if (ended.some((end) => end.startsWith(`${name}:`))) return;
        ended.push(`${name}: ${reason}`);
        pair.leave(made);
      },
    },
    { key, hash: name },
    { wall: () => now, steady: () => now },
  );
  names.set(made.session, name);
  return made;
}
function joined(key: KeyKind, name?: string): Publisher {
  const made = publisher(key, name);
  pair.join(made);
  return made;
}
/** A video tag `ms` later. */
function sends(from: Publisher, text: string, isKey = false, ms = 0): void {
  now += ms;
  const body = Buffer.concat([Buffer.from([isKey ? 0x17 : 0x27, 1, 0, 0, 0]), Buffer.from(text)]);
  const tag = classifyTag({ type: 9, timestamp: now, body });
  if (tag === null) throw new Error('not a tag');
  from.note(body.length, tag);
  pair.receive(from, tag);
}
/** Both send a group of pictures of `frames` frames, 100 ms apart. */
function bothSend(a: Publisher, b: Publisher, round: number, frames = 3): void {
  for (let i = 0; i < frames; i++) {
    sends(a, `a${round}.${i}`, i === 0, 100);
    sends(b, `b${round}.${i}`, i === 0);
  }
}

describe('two publishers', () => {
  test('the first is on air at once, the other stands by', () => {
    const a = joined('primary');
    sends(a, 'a0', true);
    const b = joined('backup');
    sends(b, 'b0', true);
    sends(a, 'a1');
    expect(out).toEqual(['session primary', 'a0', 'a1']);
    expect(pair.onAir).toBe(a);
    expect(pair.hasStandby).toBe(true);
  });

  test('the connection of the one on air ends: the other goes on at its next key frame, and no picture comes twice', () => {
    const [a, b] = [joined('primary'), joined('backup')];
    bothSend(a, b, 0);
    pair.leave(a);
    expect(pair.onAir).toBe(b);
    expect(b.claim).toBe('standby');
    out = [];
    sends(b, 'b0.3', false, 100);
    expect(out).toEqual([]);
    sends(b, 'b1.0', true, 100);
    sends(b, 'b1.1', false, 100);
    expect(out).toEqual(['session backup', 'b1.0', 'b1.1']);
  });

  test('the one on air falls silent: the other goes on from its first key frame after the last picture', () => {
    const [a, b] = [joined('primary'), joined('backup')];
    bothSend(a, b, 0);
    out = [];
    for (let i = 0; i < 4; i++) {
      sends(b, `b${i + 1}.0`, true, 400);
      sends(b, `b${i + 1}.1`, false, 100);
      pair.tick();
    }
    expect(out).toEqual([]);
    now += 1;
    sends(b, 'b5.0', true);
    expect(out).toEqual(['session backup', 'b1.0', 'b1.1', 'b2.0', 'b2.1', 'b3.0', 'b3.1', 'b4.0', 'b4.1', 'b5.0']);
    expect(pair.onAir).toBe(b);
  });

  test('whoever fell silent comes back as the one that stands by, in a session of its own', () => {
    const [a, b] = [joined('primary'), joined('backup')];
    bothSend(a, b, 0);
    const before = a.session;
    sends(b, 'b1', true, SILENT_MS + 1);
    expect(pair.onAir).toBe(b);
    out = [];
    sends(a, 'a1', true, 10);
    sends(a, 'a2', false, 10);
    expect(out).toEqual([]);
    expect(pair.onAir).toBe(b);
    // Both after the last picture of the other one.
    pair.leave(b);
    expect(pair.onAir).toBe(a);
    expect(a.session).not.toBe(before);
    sends(a, 'a3', true, 10);
    expect(out).toEqual(['session new', 'a1', 'a2', 'a3']);
  });

  test('a silent one that stands by is nobody to go on with', () => {
    const [a, b] = [joined('primary'), joined('backup')];
    bothSend(a, b, 0);
    for (let i = 0; i < 30; i++) sends(a, 'a', true, 100);
    expect(pair.hasStandby).toBe(false);
    pair.leave(a);
    expect(pair.onAir).toBeNull();
    out = [];
    sends(b, 'b1', true, 100);
    expect(out).toEqual(['session backup', 'b1']);
  });

  test('of one key the newer one replaces the older, on air and standing by', () => {
    const a = joined('primary');
    sends(a, 'a0', true);
    const b = joined('backup');
    const a2 = joined('primary', 'primary 2');
    sends(a2, 'a2', true);
    expect(out).toEqual(['session primary', 'a0', 'session primary 2', 'a2']);
    const b2 = joined('backup', 'backup 2');
    sends(b2, 'b2', true);
    expect(ended).toEqual(['primary: replaced', 'backup: replaced']);
    expect(pair.onAir).toBe(a2);
    expect(pair.with('backup')).toBe(b2);
    expect(pair.all).not.toContain(a);
    expect(pair.all).not.toContain(b);
  });

  test('a command changes over at the next key frame, without a gap; and back', () => {
    const [a, b] = [joined('primary'), joined('backup')];
    bothSend(a, b, 0);
    expect(pair.switchTo('backup')).toBe(true);
    out = [];
    sends(a, 'a0.3', false, 100);
    sends(b, 'b0.3');
    sends(a, 'a1.0', true, 100);
    sends(b, 'b1.0', true);
    sends(a, 'a1.1', false, 100);
    sends(b, 'b1.1');
    expect(out).toEqual(['a0.3', 'a1.0', 'session backup', 'b1.0', 'b1.1']);
    expect(b.claim).toBe('command');
    expect(pair.switchTo('backup')).toBe(false);
    expect(pair.switchTo('primary')).toBe(true);
    sends(a, 'a2.0', true, 100);
    expect(out.slice(-2)).toEqual(['session new', 'a2.0']);
  });

  test('a command for a key nobody publishes with does nothing', () => {
    const a = joined('primary');
    expect(pair.switchTo('backup')).toBe(false);
    const b = joined('backup');
    sends(b, 'b0', true);
    expect(pair.onAir).toBe(a);
  });

  test('the last one leaves: nobody is on air, and somebody is told', () => {
    const a = joined('primary');
    const before = changes;
    pair.leave(a);
    expect(pair.onAir).toBeNull();
    expect(changes).toBeGreaterThan(before);
  });
});

describe('while another node is on air', () => {
  test('nobody of ours is, whatever comes', () => {
    const a = joined('primary');
    pair.hold();
    out = [];
    sends(a, 'a0', true);
    const b = joined('backup');
    sends(b, 'b0', true);
    now += SILENT_MS * 2;
    pair.tick();
    pair.leave(b);
    expect(out).toEqual([]);
    expect(pair.onAir).toBeNull();
    expect(b.isNewcomer).toBe(true);
  });

  test('the one released goes on with what it holds from that moment', () => {
    const a = joined('primary');
    pair.hold();
    sends(a, 'a0', true, 100);
    const left = now + 50;
    sends(a, 'a1', true, 100);
    sends(a, 'a2', false, 100);
    out = [];
    pair.release(a, 'standby', left);
    sends(a, 'a3', false, 100);
    expect(out).toEqual(['session new', 'a1', 'a2', 'a3']);
    expect(pair.onAir).toBe(a);
  });

  test('a command is due when the wanted one has sent a key frame since', () => {
    const a = joined('primary');
    pair.hold();
    sends(a, 'a0', true, 100);
    pair.switchTo('primary');
    expect(pair.dueByCommand()).toBeNull();
    const before = changes;
    sends(a, 'a1', true, 100);
    expect(pair.dueByCommand()).toBe(a);
    expect(changes).toBeGreaterThan(before);
  });

  test('a silent one steps down for the other node', () => {
    const a = joined('primary');
    sends(a, 'a0', true);
    expect(pair.yieldSilent()).toBe(false);
    now += SILENT_MS + 1;
    expect(pair.yieldSilent()).toBe(true);
    expect(pair.onAir).toBeNull();
    expect(pair.all).toEqual([a]);
  });
});
