// The RTMP door's limits over real sockets: what refused publishers are told, who guesses keys, who only waits; and RTMPS.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WRONG_KEYS } from '../../ingest/address-guard.ts';
import type { RefusalReason } from '../../ingest/errors.ts';
import { createRtmpDoor, type RtmpDoor } from '../../ingest/rtmp-door.ts';
import type { EndReason, PublisherConnection, PublisherGate } from '../../ingest/rtmp-protocol.ts';
import { WAITING } from '../../ingest/waiting-room.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { within } from '../../platform/runtime/waits.ts';
import { makeCertificate } from '../support/certificate.ts';
import { connectRtmp, publishLikeObs, type RtmpClient } from '../support/rtmp-client.ts';
import { tempDir } from '../support/temp.ts';
import { waitUntil } from '../support/wait-until.ts';

const CLIP = 'test/media/rabbit320.mp4';
const KEY = 'the-right-key';

let door: RtmpDoor;
let answer: RefusalReason | null;
let admitted: { connection: PublisherConnection; ended: EndReason | null; videoTags: number }[];
let turnedAway: string[];
let sockets: Socket[];

const gate: PublisherGate = {
  admit(key, connection) {
    if (key !== KEY) return 'key';
    if (answer !== null) return answer;
    const entry = { connection, ended: null as EndReason | null, videoTags: 0 };
    admitted.push(entry);
    return {
      onTag(tag) {
        if (tag.type === 9) entry.videoTags += 1;
      },
      onEnd(reason) {
        entry.ended = reason;
      },
    };
  },
  turnedAway: (reason) => void turnedAway.push(reason),
};

async function open(tls: { cert: string; key: string } | null = null): Promise<void> {
  const secure = tls === null ? null : { port: 0, files: tls };
  const options = { port: 0, bind: '127.0.0.1', tls: secure, silenceMs: 5_000, maxPublishers: 10 };
  door = createRtmpDoor(options, gate, silentLogger);
  await door.start();
}

beforeEach(() => {
  answer = null;
  admitted = [];
  turnedAway = [];
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await door.close();
});

async function client(): Promise<RtmpClient> {
  const made = await connectRtmp(door.port());
  sockets.push(made.socket);
  return made;
}
/** What the server said to a publisher that it did not let in. */
async function refused(key: string): Promise<string> {
  const made = await client();
  await expect(publishLikeObs(made, door.port(), key)).rejects.toThrow();
  await within(made.closed, 2_000, 'cut off');
  return made.received.toString('latin1');
}
async function idle(): Promise<Socket> {
  const socket = connect(door.port(), '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

describe('who is not let in is told why', () => {
  beforeEach(() => open());

  test.each([
    ['key', 'NetStream.Publish.Denied', 'not valid'],
    ['full', 'NetStream.Publish.Rejected', 'no more publishers'],
    ['draining', 'NetStream.Publish.Rejected', 'about to stop'],
  ] as const)('%s', async (reason, code, words) => {
    if (reason !== 'key') answer = reason;
    const said = await refused(reason === 'key' ? 'wrong' : KEY);
    expect(said).toContain(code);
    expect(said).toContain(words);
    expect(said).not.toContain('NetStream.Publish.Start');
    expect(turnedAway).toEqual([reason]);
  });

  test('and who is cut off later too', async () => {
    const publisher = await client();
    await publishLikeObs(publisher, door.port(), KEY);
    admitted[0]?.connection.close('bitrate');
    await within(publisher.closed, 2_000, 'cut off');
    expect(publisher.received.toString('latin1')).toContain('Lower the bitrate');
    expect(admitted[0]?.ended).toBe('bitrate');
  });
});

describe('who guesses keys', () => {
  beforeEach(() => open());

  test('is answered no more after ten, while the right key gets in from the same address', async () => {
    for (let i = 0; i < WRONG_KEYS.most; i++) expect(await refused(`guess ${i}`)).toContain('Denied');
    expect(await refused('one more')).not.toContain('NetStream.Publish');
    expect(turnedAway.filter((reason) => reason === 'key').length).toBe(WRONG_KEYS.most);
    expect(turnedAway.at(-1)).toBe('back-off');
    const publisher = await client();
    await publishLikeObs(publisher, door.port(), KEY);
    expect(admitted.length).toBe(1);
    // Guesses leave a slow encoder behind the same gateway its place.
    const slow = await client();
    for (let i = 1; i < WAITING.perAddress; i++) await refused(`guess ${i}`);
    await publishLikeObs(slow, door.port(), KEY);
    expect(admitted.length).toBe(2);
    expect(turnedAway).not.toContain('crowded');
    expect(publisher.isClosed).toBe(false);
  });
});

describe('who only waits', () => {
  beforeEach(() => open());

  test('keeps nobody out', async () => {
    const first = await idle();
    const firstGone = once(first, 'close');
    for (let i = 0; i < WAITING.perAddress; i++) await idle();
    await within(firstGone, 2_000, 'the one that waits longest gives way');
    expect(turnedAway).toEqual(['crowded']);
    const publisher = await client();
    await publishLikeObs(publisher, door.port(), KEY);
    // A publisher does not wait any more, however many come.
    for (let i = 0; i < WAITING.perAddress + 5; i++) await idle();
    await waitUntil('the others give way', () => turnedAway.length > WAITING.perAddress);
    expect(publisher.isClosed).toBe(false);
    expect(admitted[0]?.ended).toBeNull();
  });
});

describe('RTMPS', () => {
  let folder: string;
  let files: { cert: string; key: string };
  beforeEach(async () => {
    folder = await tempDir('rtmps');
    files = await makeCertificate(folder, 'first');
    await open(files);
  });

  async function hello(): Promise<TLSSocket> {
    const socket = connectTls({ port: door.tlsPort() ?? 0, host: '127.0.0.1', rejectUnauthorized: false });
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  }
  const nameOf = (socket: TLSSocket) => socket.getPeerCertificate().subject.CN;

  test('ffmpeg publishes over it', async () => {
    const address = `rtmps://127.0.0.1:${door.tlsPort()}/live/${KEY}`;
    const args = ['-v', 'error', '-i', CLIP, '-t', '2', '-c', 'copy', '-f', 'flv', address];
    const child = spawn('nice', ['ffmpeg', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
    await once(child, 'exit');
    expect(child.exitCode).toBe(0);
    await waitUntil('the end', () => admitted[0]?.ended);
    expect(admitted[0]?.videoTags).toBeGreaterThan(50);
  });

  test('a renewed certificate is served without a restart; a half-written one changes nothing', async () => {
    expect(nameOf(await hello())).toBe('first');
    const second = await makeCertificate(folder, 'second');
    await copyFile(second.cert, files.cert);
    // The certificate without its key: whoever looks now must go on with the old pair.
    expect(nameOf(await hello())).toBe('first');
    await copyFile(second.key, files.key);
    await waitUntil('the new certificate', async () => nameOf(await hello()) === 'second', 12_000);
  });

  test('files that are no certificate stop the start', async () => {
    await copyFile(files.cert, files.key);
    const other = createRtmpDoor(
      { port: 0, bind: '127.0.0.1', tls: { port: 0, files }, silenceMs: 5_000, maxPublishers: 10 },
      gate,
      silentLogger,
    );
    await expect(other.start()).rejects.toThrow('HEADWATER_TLS_CERT');
    await other.close();
  });

  test('a peer that does not speak TLS, or not at all, is dropped', async () => {
    const silent = connect(door.tlsPort() ?? 0, '127.0.0.1');
    sockets.push(silent);
    silent.on('error', () => undefined);
    const gone = once(silent, 'close');
    const babbling = connect(door.tlsPort() ?? 0, '127.0.0.1');
    sockets.push(babbling);
    babbling.on('error', () => undefined);
    const cut = once(babbling, 'close');
    babbling.write('GET / HTTP/1.1\r\n\r\n');
    babbling.resume();
    await within(cut, 2_000, 'babble is cut off');
    silent.resume();
    await within(gone, 7_000, 'silence is cut off');
    expect(turnedAway.length).toBe(2);
  });
});
