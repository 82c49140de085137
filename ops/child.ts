// One supervised process: forked in a process group of its own, restarted when it dies, stopped through its channel.
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Addresses, FromRole } from '../platform/runtime/lifecycle.ts';
import { delay, within } from '../platform/runtime/waits.ts';

export type ChildPlan = {
  name: string;
  role: string;
  /** File to fork, absolute. */
  module: string;
  args: string[];
  env: Record<string, string>;
  /** Where stdout and stderr go. */
  logFile: string;
  /** A spare with the code loaded waits beside it: file to fork, and its arguments. */
  standby?: { module: string; args: string[] };
  /** Foreign servers say nothing over the channel: ready when this resolves. */
  isReady?: () => Promise<void>;
};

/** Delays before restarts in a row, each within 10 s of the last. Unit: ms. */
const RESTART_DELAYS_MS = [0, 200, 500, 1_000, 2_000, 5_000];
const STABLE_MS = 10_000;
/** A spare is made this long after a start, when that one's own work is done. */
const SPARE_DELAY_MS = 2_000;

export class SupervisedChild {
  readonly plan: ChildPlan;
  restarts = 0;
  addresses: Addresses | null = null;
  private process: ChildProcess | null = null;
  private spare: ChildProcess | null = null;
  private startedAt = 0;
  private quickDeaths = 0;
  private isStopping = false;
  private readonly ending = new AbortController();
  private readonly report: (event: string) => void;
  private readonly changed: () => void;

  /**
   * @param report one line for the operator
   * @param changed called when pid or addresses changed
   */
  constructor(plan: ChildPlan, report: (event: string) => void, changed: () => void) {
    this.plan = plan;
    this.report = report;
    this.changed = changed;
  }

  get pid(): number | null {
    return this.process?.pid ?? null;
  }

  /** Starts and waits until it answers. @throws Error with the role's own words when it cannot start */
  async start(limitMs: number): Promise<void> {
    await within(this.launch(), limitMs, `start of ${this.plan.name}`);
  }

  private async launch(): Promise<void> {
    const child = this.takeSpare() ?? this.fork(this.plan.module, this.plan.args);
    this.process = child;
    this.startedAt = Date.now();
    child.once('exit', (code, signal) => this.exited(child, signal ?? `code ${code}`));
    await (this.plan.isReady ? this.answered(child, this.plan.isReady) : this.said(child));
    this.changed();
    this.keepSpare().catch((thrown: Error) => this.report(`no spare of ${this.plan.name}: ${thrown.message}`));
  }

  private fork(module: string, args: string[]): ChildProcess {
    const log = openSync(this.plan.logFile, 'a', 0o600);
    const child = fork(module, args, {
      env: this.plan.env,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [],
    });
    closeSync(log);
    return child;
  }

  private takeSpare(): ChildProcess | null {
    const spare = this.spare;
    this.spare = null;
    if (!spare?.connected) return null;
    spare.send({ type: 'go' }, () => undefined);
    return spare;
  }

  private async keepSpare(): Promise<void> {
    const { standby } = this.plan;
    if (!standby) return;
    await delay(SPARE_DELAY_MS, this.ending.signal);
    if (this.isStopping || this.spare) return;
    const spare = this.fork(standby.module, standby.args);
    this.spare = spare;
    const forget = () => {
      if (this.spare === spare) this.spare = null;
    };
    spare.once('exit', forget);
    spare.once('error', forget);
  }

  private dropSpare(): void {
    if (this.spare) killGroup(this.spare);
    this.spare = null;
  }

  private said(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      child.on('message', (message: FromRole) => {
        if (message.type === 'failed') reject(new Error(`${this.plan.name}: ${message.message}`));
        else {
          this.addresses = message.addresses;
          resolve();
        }
      });
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(
          new Error(
            `${this.plan.name} ended while starting (${signal ?? `code ${code}`}); its log is ${this.plan.logFile}`,
          ),
        ),
      );
    });
  }

  private async answered(child: ChildProcess, isReady: () => Promise<void>): Promise<void> {
    const dead = new Promise<never>((_resolve, reject) => {
      child.once('exit', () =>
        reject(new Error(`${this.plan.name} ended while starting; its log is ${this.plan.logFile}`)),
      );
    });
    await Promise.race([isReady(), dead]);
  }

  private exited(child: ChildProcess, how: string): void {
    if (this.process !== child) return;
    if (this.isStopping) return;
    this.quickDeaths = Date.now() - this.startedAt < STABLE_MS ? this.quickDeaths + 1 : 0;
    const wait = RESTART_DELAYS_MS[Math.min(this.quickDeaths, RESTART_DELAYS_MS.length - 1)] ?? 5_000;
    this.report(`${this.plan.name} died (${how}), restarting${wait > 0 ? ` in ${wait} ms` : ''}`);
    killGroup(child);
    this.restart(wait).catch((thrown: Error) => this.report(thrown.message));
  }

  private async restart(waitMs: number): Promise<void> {
    await delay(waitMs, this.ending.signal);
    if (this.isStopping) return;
    this.restarts += 1;
    await this.launch();
  }

  /** Asks it to stop; kills its whole process group when it has not ended after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    this.isStopping = true;
    this.ending.abort();
    this.dropSpare();
    const child = this.process;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    if (child.connected) child.send({ type: 'stop' }, () => undefined);
    const limit = new AbortController();
    await Promise.race([ended, delay(limitMs, limit.signal)]);
    limit.abort();
    if (child.exitCode === null && child.signalCode === null) {
      this.report(`${this.plan.name} did not stop within ${limitMs} ms, killed`);
      killGroup(child);
      await ended;
    }
    killGroup(child);
  }

  /** Stops and starts again with `env`: for a changed secret. */
  async replace(env: Record<string, string>, limitMs: number): Promise<void> {
    await this.stop(limitMs);
    this.isStopping = false;
    Object.assign(this.plan.env, env);
    await this.launch();
  }

  killNow(): void {
    this.isStopping = true;
    this.dropSpare();
    if (this.process) killGroup(this.process);
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The whole group is gone already: nothing is left to kill.
  }
}
