import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewriteExportFlags } from './export-flags.ts';

const rewritten = (kind: string, line: string): string => rewriteExportFlags(kind, line.split(' ')).join(' ');

describe('rewriteExportFlags', () => {
  it('rewrites the flags of the reference, with and without "="', () => {
    const line = '-t maltrail -u Q -i ::1 -p 8337 -n -ri 10.0.0.1 -rp 6380';
    const long = '--type maltrail --queue Q --ip ::1 --port 8337 --newline --redis-host 10.0.0.1 --redis-port 6380';
    assert.equal(rewritten('udp', line), long);
    assert.equal(rewritten('udp', '-ri=h -rp=1 -p=2'), '--redis-host=h --redis-port=1 --port=2');
    assert.equal(rewritten('udp', '--uuid Q --redis_ip=h --redis_port 1'), '--queue Q --redis-host=h --redis-port 1');
    assert.equal(rewritten('tcp', '--Keepalive 9'), '--keep-alive 9');
    assert.equal(rewritten('syslog', '-l INFO -v'), '--level INFO -v');
    assert.equal(rewritten('unix', '-s /x'), '--socket /x');
  });

  it('knows what the same letter means for another exporter', () => {
    assert.equal(rewritten('tls', '-v false -c ca.pem -k 5'), '--verify false --ca ca.pem --keep-alive 5');
    assert.equal(rewritten('stdout', '-i redis -p 6380 -f'), '--redis-host redis --redis-port 6380 --files');
    assert.equal(rewritten('d4', '-c conf -v'), '--config conf -v');
  });

  it('leaves everything else alone, and changes nothing the second time', () => {
    for (const line of ['-v --rate 5 -p8337', '-- -ri h', '--redis-host h -rix', 'constructor']) {
      assert.equal(rewritten('udp', line), line);
    }
  });
});
