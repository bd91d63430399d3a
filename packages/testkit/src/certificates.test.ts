import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { makeTestCertificates } from './certificates.ts';

test('a TLS client that trusts the authority accepts the server', async () => {
  const made = await makeTestCertificates();
  const server = tls.createServer({ cert: made.cert, key: made.key }, (socket) => socket.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({ host: '127.0.0.1', port, ca: made.ca });
  const [greeting] = await once(socket, 'data');
  assert.equal(String(greeting), 'hello');
  assert.equal(socket.authorized, true);
  const plain = new X509Certificate(made.cert).fingerprint256.replaceAll(':', '').toLowerCase();
  assert.equal(plain, made.fingerprint);
  socket.destroy();
  server.close();
});
