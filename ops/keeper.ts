// Keeps one foreign server (Redis, MinIO) as a child: it ends when the supervisor's channel closes, also after kill -9 of the supervisor.
// argv: command and its arguments. Signals are ignored: only the supervisor decides, so that roles can drain first.
import { spawn } from 'node:child_process';
import type { ToRole } from '../platform/runtime/lifecycle.ts';

const STOP_LIMIT_MS = 8_000;
const [command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });

let isStopping = false;
const stop = (): void => {
  if (isStopping) return;
  isStopping = true;
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS).unref();
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', stop);
process.on('message', (message: ToRole) => {
  if (message.type === 'stop') stop();
});
child.on('error', (thrown) => {
  process.stderr.write(`${command}: ${thrown.message}\n`);
  process.exit(1);
});
child.on('exit', (code) => process.exit(isStopping ? 0 : (code ?? 1)));
