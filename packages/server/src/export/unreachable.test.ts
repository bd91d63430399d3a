import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { newSensorId } from '@d4ts/protocol';
import { makeTestCertificates, temporaryFolder } from '@d4ts/testkit';
import { ExportUnderTest } from './export-fixture.ts';
import type { CommandTarget } from './queue-export.ts';

/** Not in the certificate; and nobody else takes its ports. */
const HOST = '127.0.0.35';

const TARGETS: Readonly<Record<string, (port: number, ca: string) => CommandTarget>> = {
  tls: (port, ca) => ({ kind: 'tls', host: HOST, port, ca }),
  'syslog over tls': (port, ca) => ({ kind: 'syslog', transport: 'tls', host: HOST, port, ca }),
  http: (port, ca) => ({ kind: 'http', url: `https://${HOST}:${port}/in`, ca }),
  d4: (port, ca) => ({ kind: 'd4', host: HOST, port, sensor: newSensorId(), ca }),
};

for (const [name, target] of Object.entries(TARGETS)) {
  test(`${name}: a certificate of another host, and a receiver that is not there: all is held, and it says why`, async (t) => {
    const folder = temporaryFolder(t);
    const made = await makeTestCertificates();
    writeFileSync(join(folder, 'ca'), made.ca);
    const server = createServer({ ...made, allowHalfOpen: false }).listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const under = await ExportUnderTest.for(t, '3');
    under.queue.add('a', 'b');
    const start = () => under.start(target(port, join(folder, 'ca')), { secrets: { key: 'a key' } });
    start();
    await under.said.until(
      /its certificate is not accepted \(.*127\.0\.0\.35 is not in the cert's list.*\): it is another host's; give a name that stands in it: records are held/,
    );
    assert.equal(await under.stop(), 0);
    assert.deepEqual(await under.left(), ['a', 'b']);
    server.close();
    await once(server, 'close');
    start();
    await under.said.until(/cannot (?:reach|post to) .*: connect ECONNREFUSED .*: records are held/);
    assert.equal(await under.stop(), 0);
    assert.deepEqual(await under.left(), ['a', 'b']);
  });
}
