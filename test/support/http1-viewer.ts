// Viewers who speak HTTP/1.1 byte by byte, over a network and without one.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';

export type Viewer = {
  socket: Socket;
  /** All that has come. */
  text(): string;
  /** The same, as soon as it is enough or the server has closed. */
  until(isEnough: (text: string) => boolean): Promise<string>;
};

/** A viewer's connection to a listener on this machine. */
export async function openViewer(port: number): Promise<Viewer> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let look: () => void = () => undefined;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    look();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => look());
  await once(socket, 'connect');
  return {
    socket,
    text: () => text,
    until: (isEnough) =>
      new Promise((resolve) => {
        look = () => {
          if (isEnough(text) || socket.closed) resolve(text);
        };
        look();
      }),
  };
}

/** A connection without a network: what is pushed is what the viewer sends; what is written comes as 'sent'. */
export function fakeSocket(
  remoteAddress: string,
  take: (chunk: Buffer, done: () => void) => void = (_, done) => done(),
): Socket {
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      socket.emit('sent', chunk);
      take(chunk, done);
    },
  });
  return Object.assign(socket, { remoteAddress }) as unknown as Socket;
}
