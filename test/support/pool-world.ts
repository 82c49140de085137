// A pool of three origins that are functions, with a clock that the test moves.
import { Readable } from 'node:stream';
import type { Selector } from '../../edge-cache/balancer.ts';
import { createOriginMetrics, type OriginMetrics } from '../../edge-cache/metrics.ts';
import { OriginPool, type OriginTuning } from '../../edge-cache/origins.ts';
import { UpstreamFailed } from '../../platform/runtime/http-client.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';

export const A = 'http://a:1';
export const B = 'http://b:1';
export const C = 'http://c:1';

export type PoolWorld = {
  pool: OriginPool;
  /** Origins that refuse their health checks. */
  dead: Set<string>;
  /** What was counted, in order: `circuit open`, `ejection`. */
  counted: string[];
  /** The registry's list from now on. */
  list(urls: string[]): void;
  /** Moves the clock. Unit: ms. */
  pass(ms: number): void;
  /** One round of health checks. */
  check(): Promise<void>;
};

/** @param weights by address; 1 where none is given */
export function poolOver(
  selector: Selector,
  tuning?: Partial<OriginTuning>,
  weights: Record<string, number> = {},
): PoolWorld {
  const dead = new Set<string>();
  const counted: string[] = [];
  let listed = [C, A, B];
  let nowMs = 0;
  const metrics: OriginMetrics = {
    ...createOriginMetrics(createMetrics(false), () => ({})),
    ejections: { add: () => void counted.push('ejection') },
    circuits: { add: (labels = {}) => void counted.push(`circuit ${labels['to']}`) },
  };
  const pool = new OriginPool({
    source: { urls: () => listed, weightOf: (url) => weights[url] ?? 1 },
    selector,
    http: {
      async request(origin) {
        if (dead.has(origin)) throw new UpstreamFailed('refused', origin);
        return { status: 200, headers: {}, body: Readable.from([Buffer.from('ok')]) };
      },
      close: async () => undefined,
    },
    log: silentLogger,
    metrics,
    now: () => nowMs,
    ...(tuning === undefined ? {} : { tuning: { slowStartMs: 0, probes: { window: 2, threshold: 1 }, ...tuning } }),
  });
  return {
    pool,
    dead,
    counted,
    list: (urls) => {
      listed = urls;
    },
    pass: (ms) => {
      nowMs += ms;
    },
    check: () => pool.check(new AbortController().signal),
  };
}
