import { acknowledgedFigures } from './acknowledged.ts';
import { archiveFigures } from './archive.ts';
import { exportFigures } from './export.ts';
import { fairnessFigures } from './fairness.ts';
import { footprintFigures } from './footprint.ts';
import { ingestFigures } from './ingest.ts';
import { latencyFigures } from './latency.ts';
import { pageFigures } from './pages.ts';
import { popFigures } from './pops.ts';
import { rareSensorFigures } from './rare-sensor.ts';
import { line, machine } from './report.ts';

// `npm run bench`: all figures, or those whose group is named.

const groups = {
  latency: latencyFigures,
  ingest: ingestFigures,
  acknowledged: acknowledgedFigures,
  fairness: fairnessFigures,
  pops: popFigures,
  footprint: footprintFigures,
  archive: archiveFigures,
  export: exportFigures,
  'rare-sensor': rareSensorFigures,
  pages: pageFigures,
};
const wanted = process.argv.slice(2);

console.log(machine());
for (const [name, measure] of Object.entries(groups)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const figure of await measure()) console.log(line(figure));
}
