// JSON logs, one event per line: a fixed verb phrase plus fields. The one file that names pino.
import { destination, type Logger as PinoLogger, pino } from 'pino';

export type LogFields = Record<string, unknown>;
/** `event` is a fixed phrase (`segment stored`); what varies goes into `fields`. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger whose lines all carry `fields`: service, node, stream, job, request. */
  child(fields: LogFields): Logger;
}

/** Field names that never reach a line, at any of the first three depths. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'key',
  'password',
  'secret',
  'stream_key',
  'streamKey',
  'token',
  'headwater-internal',
];
const redactPaths = SECRET_FIELDS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]);

function wrap(target: PinoLogger): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields: LogFields = {}) => {
      target[level]('err' in fields ? { ...fields, err: describe(fields['err']) } : fields, event);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(target.child(fields)),
  };
}

/** What a log line keeps of something thrown: type, message, code, causes and a short stack. */
function describe(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { message: String(thrown) };
  const code = 'code' in thrown ? { code: thrown.code } : {};
  const cause = thrown.cause === undefined ? {} : { cause: describe(thrown.cause) };
  return {
    type: thrown.name,
    message: thrown.message,
    ...code,
    ...cause,
    stack: thrown.stack?.split('\n').slice(1, 5).join('\n'),
  };
}

/**
 * The process's logger: JSON lines on stdout.
 * @param level least level that is written
 * @param fields on every line
 */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error', fields: LogFields): Logger {
  const options = {
    level,
    base: fields,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redactPaths, censor: '[redacted]' },
  };
  return wrap(pino(options, destination({ fd: 1, sync: true })));
}

/** A logger that writes nothing, for tests. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
