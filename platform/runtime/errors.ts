// The one error base: whose fault it is and whether another try can help. Status codes are chosen at the HTTP door alone.
export type ErrorSource = 'client' | 'upstream' | 'internal';
export type AppErrorOptions = ErrorOptions & { source: ErrorSource; retryable: boolean };

export class AppError extends Error {
  readonly code: string;
  readonly source: ErrorSource;
  readonly retryable: boolean;

  /**
   * @param code SCREAMING_SNAKE, unique, listed in docs/errors.md
   * @param message one sentence that names what is wrong and, where known, what to do
   */
  constructor(code: string, message: string, options: AppErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.source = options.source;
    this.retryable = options.retryable;
  }
}

/** A wait reached its limit. */
export class TimedOut extends AppError {
  constructor(what: string, ms: number) {
    super('TIMED_OUT', `${what} took longer than ${ms} ms`, { source: 'upstream', retryable: true });
  }
}

/** The port a role shall listen on belongs to another process. */
export class PortInUse extends AppError {
  constructor(port: number, variable: string, options?: ErrorOptions) {
    super(
      'PORT_IN_USE',
      `port ${port} (${variable}) is in use by another process: stop that process or set ${variable} to a free port`,
      { source: 'internal', retryable: false, ...options },
    );
  }
}

/** Settings that cannot be used; lists every fault. */
export class SettingsInvalid extends AppError {
  constructor(faults: { variable: string; message: string }[]) {
    const lines = faults.map((fault) => `  ${fault.variable}: ${fault.message}`);
    super('SETTINGS_INVALID', `these settings cannot be used:\n${lines.join('\n')}`, {
      source: 'client',
      retryable: false,
    });
  }
}

/** Text of anything thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
/** `code` of a Node or AppError, or null. */
export const codeOf = (thrown: unknown): string | null =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : null;
