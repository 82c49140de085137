// The edge's counters. No ids, no addresses in labels.
import {
  type CounterMetric,
  type HistogramMetric,
  type Metrics,
  SECONDS_BUCKETS,
} from '../platform/runtime/metrics.ts';

/** What the gauges show, read at each scrape. */
export type EdgeGauges = {
  cacheBytes(): number;
  cacheObjects(): number;
  viewers(): number;
  originsUp(): number;
  connections(): number;
  waiting(): number;
  blocked(): number;
  fills(): number;
  reservedBytes(): number;
};

export type EdgeMetrics = {
  requests: CounterMetric;
  requestSeconds: HistogramMetric;
  upstreamRequests: CounterMetric;
  upstreamRetries: CounterMetric;
  fillResumes: CounterMetric;
  coalesced: CounterMetric;
  prefetches: CounterMetric;
  sessionsClosed: CounterMetric;
  hedges: CounterMetric;
  retriesRefused: CounterMetric;
  steered: CounterMetric;
  connectionsCut: CounterMetric;
};

/** What the pool of origins decides. */
export type OriginMetrics = {
  picks: CounterMetric;
  ejections: CounterMetric;
  circuits: CounterMetric;
  probes: CounterMetric;
};

/** @param states number of origins by state, called at each scrape */
export function createOriginMetrics(metrics: Metrics, states: () => Record<string, number>): OriginMetrics {
  metrics.gauge('headwater_edge_origins', 'Origins by state: up, failed, ejected, open', ['state'], (gauge) => {
    for (const [state, count] of Object.entries(states())) gauge.set(count, { state });
  });
  return {
    picks: metrics.counter('headwater_edge_origin_picks_total', 'Choices of an origin: sound, last_resort, none', [
      'choice',
    ]),
    ejections: metrics.counter('headwater_edge_origin_ejections_total', 'Origins left alone after failures in a row'),
    circuits: metrics.counter('headwater_edge_origin_circuit_changes_total', "Changes of an origin's circuit", ['to']),
    probes: metrics.counter('headwater_edge_origin_probes_total', 'Health checks of origins', ['result']),
  };
}

/** @param gauges called at each scrape */
export function createEdgeMetrics(metrics: Metrics, gauges: EdgeGauges): EdgeMetrics {
  showGauges(metrics, gauges);
  return {
    requests: metrics.counter('headwater_edge_requests_total', 'Viewer requests', ['kind', 'result', 'status']),
    requestSeconds: metrics.histogram(
      'headwater_edge_request_seconds',
      'From the request to the head of the answer, seconds',
      SECONDS_BUCKETS,
      ['result'],
    ),
    upstreamRequests: metrics.counter('headwater_edge_upstream_requests_total', 'Requests to origins', [
      'kind',
      'outcome',
    ]),
    upstreamRetries: metrics.counter(
      'headwater_edge_upstream_retries_total',
      'Requests sent to another origin inside one viewer request',
      ['reason'],
    ),
    fillResumes: metrics.counter(
      'headwater_edge_fill_resumes_total',
      'Broken bodies continued from another origin by Range',
    ),
    coalesced: metrics.counter(
      'headwater_edge_coalesced_total',
      'Viewer requests that waited on an upstream request already under way',
    ),
    prefetches: metrics.counter('headwater_edge_prefetches_total', 'Hinted parts asked for ahead of viewers', [
      'outcome',
    ]),
    sessionsClosed: metrics.counter(
      'headwater_edge_http2_sessions_closed_total',
      'HTTP/2 sessions that this edge ended',
      ['reason'],
    ),
    hedges: metrics.counter(
      'headwater_edge_hedges_total',
      'Late requests that a second origin was asked for: won, lost, failed; refused by the retry budget; skipped, this process being busy',
      ['outcome'],
    ),
    retriesRefused: metrics.counter(
      'headwater_edge_upstream_retries_refused_total',
      'Requests that failed because the retry budget was spent',
      ['reason'],
    ),
    steered: metrics.counter('headwater_edge_steering_total', 'Steering manifests answered', ['reason']),
    connectionsCut: metrics.counter(
      'headwater_edge_connections_cut_total',
      'Viewer connections that this edge refused or ended',
      ['reason'],
    ),
  };
}

function showGauges(metrics: Metrics, gauges: EdgeGauges): void {
  const show = (name: string, help: string, value: () => number) =>
    metrics.gauge(name, help, [], (gauge) => gauge.set(value()));
  show('headwater_edge_cache_bytes', 'Memory held by the cache, bytes', gauges.cacheBytes);
  show('headwater_edge_cache_objects', 'Objects in the memory cache', gauges.cacheObjects);
  show('headwater_edge_viewers', 'Viewers seen in the last 15 seconds', gauges.viewers);
  show('headwater_edge_origins_up', 'Origins that answer their health check', gauges.originsUp);
  show('headwater_edge_connections', 'Open viewer connections', gauges.connections);
  show('headwater_edge_waiting_viewers', 'Viewer requests that wait for an origin', gauges.waiting);
  show('headwater_edge_blocked_viewers', 'Those among them that wait for news of a live stream', gauges.blocked);
  show('headwater_edge_fills', 'Requests to origins under way', gauges.fills);
  show(
    'headwater_edge_fill_bytes',
    'Memory of bodies on their way from origins and to and from the disk, bytes',
    gauges.reservedBytes,
  );
}
