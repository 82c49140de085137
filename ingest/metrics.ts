// Counters of the ingest. Labels are closed lists, never ids.
import type { CounterMetric, Metrics } from '../platform/runtime/metrics.ts';

export type IngestMetrics = {
  received: CounterMetric;
  refused: CounterMetric;
  dropped: CounterMetric;
  jobs: CounterMetric;
  lagged: CounterMetric;
};

/** What is measured at each scrape. */
export type IngestGauges = {
  publishers(): number;
  connections(): number;
  broadcasts(): number;
  readers(): number;
  ringBytes(): number;
  /** All publishers together. Unit: bit/s. */
  bitrateBps(): number;
  /** Streams whose signal viewers see stall, or will. */
  starving(): number;
};

export function createIngestMetrics(metrics: Metrics): IngestMetrics {
  return {
    received: metrics.counter('headwater_ingest_received_bytes_total', 'Media bytes accepted from publishers.'),
    refused: metrics.counter('headwater_ingest_refused_total', 'Connections turned away before publishing.', [
      'reason',
    ]),
    dropped: metrics.counter('headwater_ingest_ended_total', 'Publishers that ended, by reason.', ['reason']),
    jobs: metrics.counter('headwater_ingest_live_jobs_total', 'Live jobs put into the queue.'),
    lagged: metrics.counter('headwater_ingest_ring_lagged_total', 'Ring readers cut off because they fell behind.'),
  };
}

export function registerIngestGauges(metrics: Metrics, read: IngestGauges): void {
  const gauge = (name: string, help: string, value: () => number) =>
    metrics.gauge(name, help, [], (target) => target.set(value()));
  gauge('headwater_ingest_publishers', 'Publishers connected.', read.publishers);
  gauge('headwater_ingest_connections', 'Open RTMP connections, publishers among them.', read.connections);
  gauge(
    'headwater_ingest_broadcasts',
    'Broadcasts held, those inside their reconnect window among them.',
    read.broadcasts,
  );
  gauge('headwater_ingest_ring_readers', 'Workers that read a ring.', read.readers);
  gauge('headwater_ingest_ring_bytes', 'Media held in the rings of this node.', read.ringBytes);
  gauge(
    'headwater_ingest_bitrate_bytes',
    'Media received from all publishers over the last five seconds, bytes per second.',
    () => read.bitrateBps() / 8,
  );
  gauge(
    'headwater_ingest_starving',
    'Streams whose signal is too slow, silent or of no use to viewers.',
    read.starving,
  );
}
