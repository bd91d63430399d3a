/** `npm run check`: types, style, unused code, dependency rules. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChecks } from './checks.js';

const passed = await runChecks(dirname(dirname(fileURLToPath(import.meta.url))));
process.exitCode = passed ? 0 : 1;
