import { Counter, Gauge, Registry } from 'prom-client';

/** A value and its labels. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/**
 * Values that others keep, in the text format of Prometheus; made anew for each scrape.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export class Exposition {
  readonly #registry = new Registry();

  /** What only grows. @param name ends in `_total` */
  counter(name: string, help: string, samples: Iterable<Sample>): void {
    const all = [...samples];
    const counter = new Counter({ name, help, labelNames: labelNames(all), registers: [this.#registry] });
    // A counter without a label starts with a sample of its own.
    for (const [labels, value] of all) counter.inc(labels, Math.max(0, value));
  }

  gauge(name: string, help: string, samples: Iterable<Sample>): void {
    const all = [...samples];
    const gauge = new Gauge({ name, help, labelNames: labelNames(all), registers: [this.#registry] });
    for (const [labels, value] of all) gauge.set(labels, value);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

function labelNames(samples: readonly Sample[]): string[] {
  return Object.keys(samples[0]?.[0] ?? {});
}
