// What the disk cache counts.
import type { CounterMetric, Metrics } from '../platform/runtime/metrics.ts';

/** Read at each scrape. */
export type DiskGauges = { bytes(): number; objects(): number; isWriting(): boolean };

export type DiskMetrics = { reads: CounterMetric; writes: CounterMetric; evictions: CounterMetric };

export function createDiskMetrics(metrics: Metrics, gauges: DiskGauges): DiskMetrics {
  metrics.gauge('headwater_edge_disk_bytes', 'Disk held by the cache, bytes', [], (gauge) => gauge.set(gauges.bytes()));
  metrics.gauge('headwater_edge_disk_objects', 'Objects in the disk cache', [], (gauge) => gauge.set(gauges.objects()));
  metrics.gauge(
    'headwater_edge_disk_writing',
    '0 while the disk is full or failing and nothing is written',
    [],
    (gauge) => gauge.set(gauges.isWriting() ? 1 : 0),
  );
  return {
    reads: metrics.counter('headwater_edge_disk_reads_total', 'Objects looked for on disk where they were said to be', [
      'outcome',
    ]),
    writes: metrics.counter('headwater_edge_disk_writes_total', 'Objects offered to the disk cache', ['outcome']),
    evictions: metrics.counter('headwater_edge_disk_evictions_total', 'Objects that gave way on disk'),
  };
}
