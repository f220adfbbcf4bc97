/**
 * Prometheus metrics: the counters that every part keeps anyway, read when somebody asks.
 *
 * Each part registers its own, beside its code. Nothing is pushed here from a hot path but latencies, which are rare.
 * Names and labels are a contract with dashboards; label values are few by nature, or bounded by the part.
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type Labelled = Iterable<readonly [label: string, value: number]>;

/** Where parts register; names get the prefix `rogue_smtp_`. `read` is called at each scrape. */
export interface MetricRegistry {
  counter(name: string, help: string, label: string, read: () => Labelled): void;
  gauge(name: string, help: string, label: string, read: () => Labelled): void;
  /** A counter without a label. */
  total(name: string, help: string, read: () => number): void;
  /** A gauge without a label. */
  level(name: string, help: string, read: () => number): void;
  /** A histogram of seconds, and what takes an observation. */
  latency(name: string, help: string): (seconds: number) => void;
}

export interface Metrics extends MetricRegistry {
  render(): Promise<{ readonly text: string; readonly contentType: string }>;
}

/** From what a fast path takes to what is a failure: 2 s is promised. */
const LATENCY_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300];

const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Holds the metrics of the process itself (CPU, memory, event loop) and nothing else yet. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges that are named like counters, which Prometheus' own check refuses. Others tell the same by type.
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const described = (name: string, help: string) => ({
    name: `rogue_smtp_${name}`,
    help,
    registers: [registry],
  });
  return {
    counter(name, help, label, read) {
      const metric: Counter = new Counter({
        ...described(name, help),
        labelNames: [label],
        collect() {
          metric.reset();
          for (const [value, count] of read()) metric.inc({ [label]: value }, count);
        },
      });
    },
    gauge(name, help, label, read) {
      const metric: Gauge = new Gauge({
        ...described(name, help),
        labelNames: [label],
        collect() {
          metric.reset();
          for (const [value, amount] of read()) metric.set({ [label]: value }, amount);
        },
      });
    },
    total(name, help, read) {
      const metric: Counter = new Counter({
        ...described(name, help),
        collect() {
          metric.reset();
          metric.inc(read());
        },
      });
    },
    level(name, help, read) {
      const metric: Gauge = new Gauge({
        ...described(name, help),
        collect() {
          metric.set(read());
        },
      });
    },
    latency(name, help) {
      const histogram = new Histogram({ ...described(name, help), buckets: LATENCY_BUCKETS_SECONDS });
      return (seconds) => {
        // A clock that was set back must not spoil the sum.
        if (Number.isFinite(seconds)) histogram.observe(Math.max(0, seconds));
      };
    },
    render: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
  };
}
