import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewriteExportFlags } from './export-flags.ts';

const rewritten = (line: string): string => rewriteExportFlags(line.split(' ')).join(' ');

describe('rewriteExportFlags', () => {
  it('rewrites the flags of the reference, with and without "="', () => {
    const line = 'udp -t maltrail -u Q -i ::1 -p 8337 -n -ri 10.0.0.1 -rp 6380';
    const long = 'udp --type maltrail --queue Q --ip ::1 --port 8337 --newline --redis-host 10.0.0.1 --redis-port 6380';
    assert.equal(rewritten(line), long);
    assert.equal(rewritten('udp -ri=h -rp=1 -p=2'), 'udp --redis-host=h --redis-port=1 --port=2');
    assert.equal(rewritten('udp --uuid Q --redis_ip=h --redis_port 1'), 'udp --queue Q --redis-host=h --redis-port 1');
  });

  it('leaves everything else alone, and changes nothing the second time', () => {
    for (const line of ['udp -v --rate 5 -p8337', 'udp -- -ri h', 'udp --redis-host h -rix']) {
      assert.equal(rewritten(line), line);
    }
  });
});
