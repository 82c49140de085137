// Runs a step again and again until it says that it is done: soon after a nudge, else after a pause. A step that fails is reported now and then.
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';

const REPORT_EVERY_MS = 10_000;

export class StepLoop {
  private readonly step: () => Promise<'again' | 'done'>;
  private readonly pauseMs: number;
  private readonly log: () => Logger;
  private wake = new AbortController();
  private isClosing = false;
  private running: Promise<void> | null = null;
  private failures = 0;
  private reportedAt = Number.NEGATIVE_INFINITY;

  /** @param pauseMs between two steps, ms */
  constructor(step: () => Promise<'again' | 'done'>, pauseMs: number, log: () => Logger) {
    this.step = step;
    this.pauseMs = pauseMs;
    this.log = log;
  }

  /** Later calls do nothing. */
  start(): void {
    this.running ??= this.run();
  }

  /** The next step comes at once. */
  nudge(): void {
    this.wake.abort();
  }

  /** Resolves when the step under way is over. */
  async close(): Promise<void> {
    this.isClosing = true;
    this.nudge();
    await this.running;
  }

  private async run(): Promise<void> {
    let outcome: 'again' | 'done' = 'again';
    while (!this.isClosing && outcome === 'again') {
      this.wake = new AbortController();
      try {
        outcome = await this.step();
        this.failures = 0;
      } catch (thrown) {
        this.report(thrown);
        // Nudges that came meanwhile do not turn a failing step into a busy one.
        if (!this.isClosing) this.wake = new AbortController();
      }
      if (!this.isClosing && outcome === 'again') await delay(this.pauseMs, this.wake.signal);
    }
  }

  private report(thrown: unknown): void {
    this.failures += 1;
    const now = performance.now();
    if (now - this.reportedAt < REPORT_EVERY_MS) return;
    this.reportedAt = now;
    this.log().warn('broadcast step failed', { reason: messageOf(thrown), failures: this.failures });
  }
}
