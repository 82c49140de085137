// Gauges of the spool.
import type { CounterMetric, Metrics } from '../platform/runtime/metrics.ts';

export type SpoolMetrics = { spooled: CounterMetric };
/** What waits for the store now. */
export type SpoolGauges = { objects: number; bytes: number; oldestS: number; isAway: boolean };

/** @param read called at each scrape */
export function createSpoolMetrics(metrics: Metrics, read: () => SpoolGauges): SpoolMetrics {
  const gauge = (name: string, help: string, value: (gauges: SpoolGauges) => number) =>
    metrics.gauge(name, help, [], (target) => target.set(value(read())));
  gauge('headwater_live_spool_objects', 'Live objects on the disk that wait for the store.', (now) => now.objects);
  gauge('headwater_live_spool_bytes', 'Bytes of live objects that wait for the store.', (now) => now.bytes);
  gauge('headwater_live_spool_oldest_seconds', 'Age of the live object that waits longest.', (now) => now.oldestS);
  gauge('headwater_live_store_away', '1 while live media goes to the disk because the store is away.', (now) =>
    now.isAway ? 1 : 0,
  );
  return {
    spooled: metrics.counter('headwater_live_spooled_total', 'Live objects that the disk took in place of the store.'),
  };
}
