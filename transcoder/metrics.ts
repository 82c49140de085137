// Counters of the transcoder: jobs by queue and outcome, how fast renditions are made.
import type { JobName } from '../platform/contract/jobs.ts';
import type { CounterMetric, Metrics } from '../platform/runtime/metrics.ts';

export interface TranscoderMetrics {
  /** @param outcome `ready`, `idle`, `yielded`, `ended`, `refused`, `failed`; @param seconds length of the run */
  jobEnded(queue: JobName, outcome: string, seconds: number): void;
  /** @param change +1 at the start of a run, -1 at its end */
  activeJobs(queue: JobName, change: 1 | -1): void;
  /** @param speed seconds of media made per second */
  renditionMade(kind: 'video' | 'audio', speed: number): void;
  /** Jobs running now. */
  active(queue: JobName): number;
  /** Live jobs that this node gave back; reason: full, elsewhere. */
  liveRefused: CounterMetric;
}

/** outcome: stored, skipped, failed. */
export const pictureCounter = (metrics: Metrics): CounterMetric =>
  metrics.counter('headwater_live_pictures_total', 'Pictures of running broadcasts by outcome.', ['outcome']);

const JOB_BUCKETS = [1, 5, 15, 60, 300, 900, 3_600, 14_400];
const SPEED_BUCKETS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128];

/** Registers the counters. */
export function createTranscoderMetrics(metrics: Metrics): TranscoderMetrics {
  const duration = metrics.histogram(
    'headwater_job_duration_seconds',
    'Length of transcoding jobs by queue and outcome.',
    JOB_BUCKETS,
    ['queue', 'outcome'],
  );
  const gauge = metrics.gauge('headwater_jobs_active', 'Transcoding jobs running in this process.', ['queue']);
  const speed = metrics.histogram(
    'headwater_transcode_speed_ratio',
    'Seconds of media made per second of an on-demand transcode, one rendition each.',
    SPEED_BUCKETS,
    ['kind'],
  );
  const running: Record<JobName, number> = { vod: 0, live: 0 };
  gauge.set(0, { queue: 'vod' });
  gauge.set(0, { queue: 'live' });
  return {
    jobEnded: (queue, outcome, seconds) => duration.observe(seconds, { queue, outcome }),
    activeJobs(queue, change) {
      running[queue] += change;
      gauge.set(running[queue], { queue });
    },
    renditionMade: (kind, ratio) => speed.observe(ratio, { kind }),
    active: (queue) => running[queue],
    liveRefused: metrics.counter('headwater_live_jobs_refused_total', 'Live jobs given back to the queue, by reason.', [
      'reason',
    ]),
  };
}
