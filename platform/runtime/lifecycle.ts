// The life of a role: settings, create, start, ready, drain, close. The only file beside ops/ that reads the environment, handles signals, exits.
import { type NodeId, newId } from '../contract/ids.ts';
import type { Role } from '../contract/nodes.ts';
import { parseSettings, type Settings } from '../contract/settings.ts';
import { messageOf, SettingsInvalid } from './errors.ts';
import { createLogger, type Logger } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { within } from './waits.ts';

/** Something with a life. close() may be called twice and works after a failed start(). */
export interface Component {
  start(): Promise<void>;
  /** Takes no new work, finishes the old. */
  drain?(): Promise<void>;
  close(): Promise<void>;
}

export type ServiceContext = { role: Role; node: NodeId; log: Logger; metrics: Metrics };

/** Where a started role answers; handed to the supervisor. */
export type Addresses = { url: string; public_url: string | null; private_url: string };
export interface Service extends Component {
  /** Known after start(). */
  addresses(): Addresses;
}

/** IPC between supervisor and role. Closing the channel means: stop now. */
export type FromRole = { type: 'started'; addresses: Addresses; node: string } | { type: 'failed'; message: string };
/** `go`: to a waiting spare only (ops/standby.ts). */
export type ToRole = { type: 'stop' } | { type: 'go' };

export type NamedComponent = { name: string; component: Component };

/**
 * Several components as one: started in order; drained and closed in reverse, every step run even when one throws.
 * @throws AggregateError from close() when a step failed, after all have run
 */
export function sequence(parts: NamedComponent[], log: Logger): Component & { drain(): Promise<void> } {
  let started = 0;
  const backwards = async (verb: 'drain' | 'close') => {
    const faults: unknown[] = [];
    for (const { name, component } of parts.slice(0, started).reverse()) {
      try {
        await component[verb]?.();
      } catch (thrown) {
        log.error(`${verb} failed`, { component: name, err: thrown });
        faults.push(thrown);
      }
    }
    if (verb === 'close') started = 0;
    if (faults.length > 0) throw new AggregateError(faults, `${faults.length} components failed to ${verb}`);
  };
  return {
    async start() {
      for (const { component } of parts) {
        started += 1;
        await component.start();
      }
    },
    drain: () => backwards('drain'),
    close: () => backwards('close'),
  };
}

/**
 * Runs one role to its end: `main.ts` of every service folder is this call.
 * Exit codes: 0 stopped, 78 unusable settings, 1 anything else.
 * @param select picks the role's config from all settings
 * @param create free of effects
 */
export async function runService<C>(
  role: Role,
  select: (settings: Settings) => C,
  create: (config: C, context: ServiceContext) => Service,
): Promise<void> {
  const { settings, config } = await configure(select);
  const node = newId<NodeId>();
  const log = createLogger(settings.LOG_LEVEL, { service: role, node });
  const service = create(config, { role, node, log, metrics: createMetrics() });
  const stop = stopper(service, log, settings.SHUTDOWN_TIMEOUT_MS);
  process.on('uncaughtException', (thrown) => {
    log.error('uncaught exception', { err: thrown });
    process.exit(1);
  });
  process.on('unhandledRejection', (thrown) => {
    log.error('unhandled rejection', { err: thrown });
    process.exit(1);
  });
  try {
    await service.start();
  } catch (thrown) {
    log.error('start failed', { err: thrown });
    await tell({ type: 'failed', message: messageOf(thrown) });
    await stop('start failed', 1);
    return;
  }
  log.info('started', { ...service.addresses() });
  await tell({ type: 'started', addresses: service.addresses(), node });
}

/** Settings that cannot be used end the process with 78, all faults listed. */
async function configure<C>(select: (settings: Settings) => C): Promise<{ settings: Settings; config: C }> {
  try {
    const parsed = parseSettings(process.env);
    if ('faults' in parsed) throw new SettingsInvalid(parsed.faults);
    return { settings: parsed.settings, config: select(parsed.settings) };
  } catch (thrown) {
    if (!(thrown instanceof SettingsInvalid)) throw thrown;
    process.stderr.write(`${thrown.message}\n`);
    await tell({ type: 'failed', message: thrown.message });
    process.exit(78);
  }
}

/** Under a supervisor a role obeys its channel alone; on its own it obeys signals. A second request stops at once. */
function stopper(service: Service, log: Logger, timeoutMs: number): (reason: string, code: number) => Promise<void> {
  let isStopping = false;
  const stop = async (reason: string, code: number): Promise<void> => {
    if (isStopping) process.exit(code === 0 ? 1 : code);
    isStopping = true;
    log.info('stopping', { reason });
    let exitCode = code;
    const step = async (verb: 'drain' | 'close', work: Promise<void> | undefined) => {
      try {
        await within(work ?? Promise.resolve(), timeoutMs, verb);
      } catch (thrown) {
        log.error(`${verb} failed`, { err: thrown });
        exitCode = exitCode === 0 && verb === 'close' ? 1 : exitCode;
      }
    };
    if (code === 0) await step('drain', service.drain?.());
    await step('close', service.close());
    log.info('stopped', { reason });
    process.exit(exitCode);
  };
  if (process.send !== undefined) {
    const ignore = () => undefined;
    process.on('SIGINT', ignore);
    process.on('SIGTERM', ignore);
    process.on('SIGHUP', ignore);
    process.on('message', (message: ToRole) => {
      if (message.type === 'stop') void stop('supervisor', 0);
    });
    process.on('disconnect', () => void stop('supervisor is gone', 0));
  } else {
    process.on('SIGINT', () => void stop('SIGINT', 0));
    process.on('SIGTERM', () => void stop('SIGTERM', 0));
  }
  return stop;
}

async function tell(message: FromRole): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}
