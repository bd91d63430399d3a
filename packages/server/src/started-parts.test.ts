import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { StartedParts } from './started-parts.ts';

describe('what has been started', () => {
  it('is stopped in reverse, once, whatever one of them does', async () => {
    const lines: string[] = [];
    const parts = new StartedParts(pino({ level: 'error' }, { write: (line: string) => lines.push(line) }));
    const stopped: string[] = [];
    parts.add('first', 1_000, async () => void stopped.push('first'));
    parts.add('stuck', 1, () => new Promise(() => {}));
    parts.add('failing', 1_000, () => Promise.reject(new Error('broken')));
    parts.add('last', 1_000, async () => void stopped.push('last'));
    await Promise.all([parts.stop(), parts.stop()]);
    await parts.stop();
    assert.deepEqual(stopped, ['last', 'first']);
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /failing/);
    assert.match(lines[1] ?? '', /stuck/);
  });
});
