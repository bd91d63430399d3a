import type { SensorId } from '@d4ts/protocol';
import type { PlacedEntry } from './batch.ts';
import { ENTRY_KIND } from './port.ts';
import type { Segment } from './segment.ts';
import type { SegmentIndex } from './segment-index.ts';
import type { SensorSelection } from './sensor-selection.ts';

/** The selections of a topic that follow its commits, by sensor. */
export class Selections {
  readonly #bySensor = new Map<SensorId, Set<SensorSelection>>();

  add(selection: SensorSelection): void {
    for (const sensor of selection.sensors) {
      const known = this.#bySensor.get(sensor);
      if (known === undefined) this.#bySensor.set(sensor, new Set([selection]));
      else known.add(selection);
    }
  }

  delete(selection: SensorSelection): void {
    for (const sensor of selection.sensors) {
      const known = this.#bySensor.get(sensor);
      known?.delete(selection);
      if (known?.size === 0) this.#bySensor.delete(sensor);
    }
  }

  /** Tells those whom it concerns of a batch, which stands at `position` of the open segment. */
  committed(segment: Segment, index: SegmentIndex, entries: readonly PlacedEntry[], position: number): void {
    if (this.#bySensor.size === 0) return;
    for (const { header, at } of entries) {
      if (header.kind !== ENTRY_KIND.data && header.kind !== ENTRY_KIND.file) continue;
      const sensor = index.streams.get(header.stream)?.definition.sensor;
      const selections = sensor === undefined ? undefined : this.#bySensor.get(sensor);
      if (selections === undefined) continue;
      for (const selection of selections) selection.committed(segment, header, position + at);
    }
  }

  /** The oldest segment is gone. */
  removed(segment: Segment): void {
    for (const selections of this.#bySensor.values()) {
      for (const selection of selections) selection.removed(segment);
    }
  }
}
