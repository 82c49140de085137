// What an origin counts. Kinds are the viewer routes (`master`, `segment`, ...) and `other`.
import {
  type CounterMetric,
  type HistogramMetric,
  type Metrics,
  SECONDS_BUCKETS,
} from '../platform/runtime/metrics.ts';

export type OriginMetrics = {
  requests: CounterMetric;
  seconds: HistogramMetric;
  storageErrors: CounterMetric;
  playlistSeconds: HistogramMetric;
  workerObjects: CounterMetric;
};

/** What the live gauges show at a scrape. */
export interface FollowedBroadcasts {
  /** Broadcasts whose timeline is followed. */
  count(): number;
  /** Requests that wait for a timeline to grow. */
  blockedRequests(): number;
  /** Age of the end of the newest segment, the oldest over all broadcasts on air; 0 without any. Unit: s. */
  oldestSegmentAgeS(): number;
}

export function createOriginMetrics(metrics: Metrics): OriginMetrics {
  return {
    requests: metrics.counter('headwater_origin_requests_total', 'Requests answered, by kind and status.', [
      'kind',
      'status',
    ]),
    seconds: metrics.histogram(
      'headwater_origin_request_seconds',
      'Time from request to the last byte of the answer, by kind. Seconds.',
      SECONDS_BUCKETS,
      ['kind'],
    ),
    storageErrors: metrics.counter('headwater_origin_storage_errors_total', 'Reads that the object store failed.'),
    playlistSeconds: metrics.histogram(
      'headwater_origin_playlist_build_seconds',
      'Time to write the text of one live playlist. Seconds.',
      SECONDS_BUCKETS,
    ),
    workerObjects: metrics.counter(
      'headwater_origin_worker_objects_total',
      'Media of running broadcasts asked for at a transcoder instead of the store, by result.',
      ['result'],
    ),
  };
}

/** Gauges read from the live windows at each scrape. */
export function exposeFollowed(metrics: Metrics, followed: FollowedBroadcasts): void {
  metrics.gauge(
    'headwater_live_segment_age_seconds',
    'Age of the end of the newest closed segment, the largest over followed broadcasts on air. Seconds.',
    [],
    (gauge) => gauge.set(followed.oldestSegmentAgeS()),
  );
  metrics.gauge('headwater_origin_followed_broadcasts', 'Broadcasts whose timeline this origin follows.', [], (gauge) =>
    gauge.set(followed.count()),
  );
  metrics.gauge('headwater_origin_blocked_requests', 'Requests that wait for a live timeline to grow.', [], (gauge) =>
    gauge.set(followed.blockedRequests()),
  );
}
