// A process that has loaded a role's code and waits for its word: when the role's process dies, this one takes over at once.
// argv: the role's service file (loading it has no effects), then its main file. Ends when the supervisor's channel closes.
import { pathToFileURL } from 'node:url';

const [service = '', main = ''] = process.argv.slice(2);
const leave = (): void => process.exit(0);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('disconnect', leave);
const told = new Promise<void>((resolve) => process.once('message', () => resolve()));

await import(pathToFileURL(service).href);
await told;
process.off('disconnect', leave);
await import(pathToFileURL(main).href);
