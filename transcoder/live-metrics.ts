// Counters of the live worker.
import {
  type CounterMetric,
  type HistogramMetric,
  type Metrics,
  SECONDS_BUCKETS,
} from '../platform/runtime/metrics.ts';

export type LiveMetrics = {
  partStore: HistogramMetric;
  encodeLag: HistogramMetric;
  publishLag: HistogramMetric;
  /** outcome: stored, step_back, left, discarded. */
  parts: CounterMetric;
  takeovers: CounterMetric;
  encoderRestarts: CounterMetric;
  /** verdict: lighter, heavier, rejoin. */
  loadChanges: CounterMetric;
  /** Second workers that went on as the first. */
  promotions: CounterMetric;
};

export function createLiveMetrics(metrics: Metrics): LiveMetrics {
  return {
    partStore: metrics.histogram(
      'headwater_live_part_store_seconds',
      'Time from a part being cut to its object being stored.',
      SECONDS_BUCKETS,
    ),
    encodeLag: metrics.histogram(
      'headwater_live_encode_lag_seconds',
      'Age of the last frame of a part (arrival at the ingest) when the encoder hands the part out.',
      SECONDS_BUCKETS,
    ),
    publishLag: metrics.histogram(
      'headwater_live_publish_lag_seconds',
      'Age of the last frame of a part (arrival at the ingest) when the part is named in the timeline.',
      SECONDS_BUCKETS,
    ),
    parts: metrics.counter('headwater_live_parts_total', 'Parts by outcome, all renditions of a part as one.', [
      'outcome',
    ]),
    takeovers: metrics.counter('headwater_live_takeovers_total', 'Broadcasts taken over from an earlier worker.'),
    encoderRestarts: metrics.counter(
      'headwater_live_encoder_restarts_total',
      'Encoders that ended early and were started again.',
    ),
    loadChanges: metrics.counter(
      'headwater_live_load_changes_total',
      'Times that an encoder fell behind and lost a rendition (lighter) or content (rejoin), or got a rendition back (heavier).',
      ['verdict'],
    ),
    promotions: metrics.counter('headwater_live_promotions_total', 'Second workers that took the place of the first.'),
  };
}
