// Counters of the api role.
import type { JobName } from '../platform/contract/jobs.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import {
  type CounterMetric,
  type HistogramMetric,
  type Metrics,
  SECONDS_BUCKETS,
} from '../platform/runtime/metrics.ts';

export type ApiMetrics = {
  requests: CounterMetric;
  seconds: HistogramMetric;
  receivedBytes: CounterMetric;
  repairs: CounterMetric;
};

export function createApiMetrics(metrics: Metrics): ApiMetrics {
  return {
    requests: metrics.counter('headwater_api_requests_total', 'Requests by route and status.', ['route', 'status']),
    seconds: metrics.histogram('headwater_api_request_seconds', 'Time to answer, by route.', SECONDS_BUCKETS, [
      'route',
    ]),
    receivedBytes: metrics.counter('headwater_uploads_received_bytes_total', 'Upload bytes made durable.'),
    repairs: metrics.counter('headwater_reconciler_repairs_total', 'Things the reconciler put right, by kind.', [
      'kind',
    ]),
  };
}

/** What the queue gauges read. */
export interface QueueFigures {
  counts(name: JobName): Promise<Record<string, number>>;
  oldestWaitingAgeMs(name: JobName): Promise<number>;
}

/** Gauges read from the queue at each scrape; without Redis they keep their last values. */
export function createQueueGauges(metrics: Metrics, queue: QueueFigures, log: Logger): void {
  const names: JobName[] = ['vod', 'live'];
  const read = async (step: (name: JobName) => Promise<void>) => {
    try {
      for (const name of names) await step(name);
    } catch (thrown) {
      log.warn('queue figures unread', { reason: messageOf(thrown) });
    }
  };
  metrics.gauge('headwater_queue_depth', 'Jobs by queue and state.', ['queue', 'state'], (gauge) =>
    read(async (name) => {
      for (const [state, value] of Object.entries(await queue.counts(name))) gauge.set(value, { queue: name, state });
    }),
  );
  metrics.gauge('headwater_queue_oldest_age_seconds', 'Age of the oldest waiting job.', ['queue'], (gauge) =>
    read(async (name) => gauge.set((await queue.oldestWaitingAgeMs(name)) / 1_000, { queue: name })),
  );
}
