// One piece of work as a job in the queue: put in again, under a new name and ever more slowly, for as long as nobody does it. When that is,
// term-watch.ts and hot-watch.ts know.
import type { JobState, LiveJob } from '../platform/contract/jobs.ts';

/** What is asked of the queue. */
export interface JobSource {
  jobState(jobId: string): Promise<JobState | null>;
  enqueue(jobId: string, payload: LiveJob): Promise<'added' | 'present'>;
}

/** A job taken by a worker that does not take the lease in this time died with its worker. Unit: ms. */
const TAKE_MS = 3_000;
const BACKOFF_CAP_MS = 10_000;

export class JobRounds {
  private readonly source: JobSource;
  private number = 0;
  private activeSince: number | null = null;
  private attempts = 0;
  private notBefore = Number.NEGATIVE_INFINITY;

  constructor(source: JobSource) {
    this.source = source;
  }

  /** Part of the job's name; counts up from 0. */
  get round(): number {
    return this.number;
  }

  /** @param now steady clock, ms, as everywhere here. @returns whether the last job is too fresh for another one */
  isBackedOff(now: number): boolean {
    return now < this.notBefore;
  }

  /** Somebody does the work: when he leaves, the next job waits for nothing. */
  forgive(): void {
    this.attempts = 0;
    this.notBefore = Number.NEGATIVE_INFINITY;
  }

  /** The work is another one from here on. */
  startOver(): void {
    this.number = 0;
    this.activeSince = null;
  }

  /**
   * Puts a job into the queue unless one waits or has just been taken.
   * @param idOf its name in a round
   * @returns what the queue said; null: nothing was put in now
   */
  async ensure(idOf: (round: number) => string, payload: LiveJob, now: number): Promise<'added' | 'present' | null> {
    const jobId = idOf(this.number);
    const state = await this.source.jobState(jobId);
    if (state === 'waiting' || state === 'delayed') return null;
    if (state === 'active') {
      this.activeSince ??= now;
      if (now - this.activeSince >= TAKE_MS) this.nextRound();
      return null;
    }
    if (state !== null) {
      // Done with, yet nobody holds the lease: once more, under a new name.
      this.nextRound();
      return null;
    }
    const answer = await this.source.enqueue(jobId, payload);
    this.notBefore = now + Math.min(BACKOFF_CAP_MS, 500 * 2 ** this.attempts);
    this.attempts += 1;
    return answer;
  }

  private nextRound(): void {
    this.number += 1;
    this.activeSince = null;
  }
}
