// The bare ceiling: accept, recv, sendfile and nothing of HTTP but a fixed header. Built from peers/sendfile.c where a C compiler is at hand.
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { freePort } from '../../test/support/ports.ts';
import { answers, type Peer } from './peer.ts';
import { SERVER_CORE, startPinned, versionOf } from './processes.ts';

export const sendfileLoop: Peer = {
  name: 'sendfile',
  isCache: false,
  speaks: ['plain'],
  version: () => (versionOf('cc', ['--version'], /(\d+\.\d+\.\d+)/) === null ? null : '1'),
  wants: 'apt-get install gcc libc6-dev',
  async start({ folder, www }) {
    const program = join(folder, 'sendfile');
    execFileSync('cc', ['-O2', '-o', program, resolve('bench/edge/peers/sendfile.c')]);
    const port = await freePort();
    const server = await startPinned(
      SERVER_CORE,
      program,
      [String(port), www],
      { cwd: folder },
      answers(`http://127.0.0.1:${port}/`),
    );
    return { ...server, bases: { plain: `http://127.0.0.1:${port}` } };
  },
};
