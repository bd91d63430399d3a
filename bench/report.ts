import { cpus, totalmem } from 'node:os';

/** One measured value, and what it is held against, in the same unit and the same run. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly references?: Readonly<Record<string, number>>;
}

/** The machine and versions, for the head of the results. */
export function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${cpus().length} × ${cpu?.model}, ${memory} GiB`;
}

/** A figure as one line: the value, then each reference with the ratio to it. */
export function line(figure: Figure): string {
  const references = Object.entries(figure.references ?? {}).map(
    ([name, value]) => `${(figure.value / value).toFixed(2)} of ${name} (${show(value)})`,
  );
  return [`${figure.name}: ${show(figure.value)} ${figure.unit}`, ...references].join(', ');
}

/** The value in the middle, or half-way between the two there. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [upper = 0, lower = upper] = [sorted[sorted.length >> 1], sorted[(sorted.length - 1) >> 1]];
  return (upper + lower) / 2;
}

function show(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
