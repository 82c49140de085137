// Prometheus metrics of one process. The one file that names prom-client. Base units, no ids as labels.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type Labels = Record<string, string>;
export interface CounterMetric {
  add(labels?: Labels, value?: number): void;
}
export interface GaugeMetric {
  set(value: number, labels?: Labels): void;
  /** Forgets every label set, before a gauge is filled anew. */
  reset(): void;
}
export interface HistogramMetric {
  observe(value: number, labels?: Labels): void;
}

export interface Metrics {
  /** @param name `headwater_..._total` */
  counter(name: string, help: string, labels?: string[]): CounterMetric;
  /** @param collect called at each scrape, to set the value then */
  gauge(
    name: string,
    help: string,
    labels?: string[],
    collect?: (gauge: GaugeMetric) => void | Promise<void>,
  ): GaugeMetric;
  /** @param name `headwater_..._seconds` or `_bytes`; @param buckets upper bounds in that unit */
  histogram(name: string, help: string, buckets: number[], labels?: string[]): HistogramMetric;
  /** Text in the Prometheus exposition format. */
  expose(): Promise<string>;
}

/** Buckets for request and operation times. Unit: s. */
export const SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Gauges of the library whose names end like counters, which promtool refuses. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

const gaugeOf = (gauge: Gauge): GaugeMetric => ({
  set: (value, labels = {}) => gauge.set(labels, value),
  reset: () => gauge.reset(),
});

/**
 * @param defaults also process and event-loop metrics (`nodejs_eventloop_lag_seconds` and its kin)
 */
export function createMetrics(defaults = true): Metrics {
  const registry = new Registry();
  if (defaults) collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const registers = [registry];
  return {
    counter(name, help, labelNames = []) {
      const counter = new Counter({ name, help, labelNames, registers });
      if (labelNames.length === 0) counter.inc(0);
      return { add: (labels = {}, value = 1) => counter.inc(labels, value) };
    },
    gauge(name, help, labelNames = [], collect) {
      const gauge: Gauge = new Gauge({
        name,
        help,
        labelNames,
        registers,
        ...(collect ? { collect: () => collect(gaugeOf(gauge)) } : {}),
      });
      return gaugeOf(gauge);
    },
    histogram(name, help, buckets, labelNames = []) {
      const histogram = new Histogram({ name, help, buckets, labelNames, registers });
      return { observe: (value, labels = {}) => histogram.observe(labels, value) };
    },
    expose: () => registry.metrics(),
  };
}
