import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { makeTestCertificates, type Recorder, startRecorder, type TestCertificates } from '@d4ts/testkit';
import { type ClientChanges, startClient, TEST_KEY } from './client-under-test.ts';

let certificates: TestCertificates;
let others: TestCertificates;
let recorder: Recorder;
/** Sends its authority's certificate along. */
let chained: Recorder;

before(async () => {
  certificates = await makeTestCertificates();
  others = await makeTestCertificates();
  recorder = await startRecorder({ key: TEST_KEY, tls: certificates });
  const { cert, key, ca } = certificates;
  chained = await startRecorder({ key: TEST_KEY, tls: { key, cert: `${cert}\n${ca}` } });
});

after(async () => {
  await recorder.close();
  await chained.close();
});

/** Runs a client to its end; it gives up on the first failure. */
async function attempt(address: string, changes: ClientChanges): Promise<{ code: number; said: string }> {
  const client = startClient(address, { ...changes, options: { tls: true, retryMs: 0, ...changes.options } });
  client.stdin.end('line\n');
  return { code: await client.exit, said: client.stderr() };
}

async function delivers(address: string, changes: ClientChanges): Promise<string> {
  const { code, said } = await attempt(address, changes);
  assert.equal(code, 0, said);
  return said.replace(/^d4 client: .* takes no acknowledged streams.*\n/, '');
}

async function refuses(address: string, changes: ClientChanges, expected: RegExp, expectedCode = 1): Promise<void> {
  const { code, said } = await attempt(address, changes);
  assert.match(said, expected);
  assert.equal(code, expectedCode);
}

test('checked against rootCA.crt: by address, by name, and each tells the server what it may', async () => {
  const files = { 'rootCA.crt': certificates.ca };
  assert.equal(await delivers(`127.0.0.1:${recorder.port}`, { files }), '');
  assert.equal(recorder.connections.at(-1)?.serverName, false);
  assert.equal(recorder.payload(3, recorder.connections.length - 1).toString(), 'line\n');
  assert.equal(await delivers(`localhost:${recorder.port}`, { files }), '');
  assert.equal(recorder.connections.at(-1)?.serverName, 'localhost');
});

test('an authority that did not issue the certificate', async () => {
  const files = { 'rootCA.crt': others.ca };
  await refuses(`127.0.0.1:${recorder.port}`, { files }, /was not issued by an authority in rootCA\.crt/);
});

test('a certificate for other addresses', async () => {
  const elsewhere = await startRecorder({ key: TEST_KEY, tls: certificates, host: '127.0.0.2' });
  const address = `127.0.0.2:${elsewhere.port}`;
  const other = /127\.0\.0\.2 is not in the cert's list: 127\.0\.0\.1/;
  await refuses(address, { files: { 'rootCA.crt': certificates.ca } }, other);
  await delivers(address, { options: { pin: certificates.fingerprint } });
  await elsewhere.close();
});

test('a pinned certificate, also with colons and capitals; another one', async () => {
  const address = `127.0.0.1:${recorder.port}`;
  assert.equal(await delivers(address, { options: { pin: certificates.fingerprint } }), '');
  const pin = certificates.fingerprint.toUpperCase().replace(/..(?=.)/g, '$&:');
  assert.equal(await delivers(address, { options: { pin } }), '');
  const wrong = new RegExp(
    `the certificate ${certificates.fingerprint}, which is not the pinned ${others.fingerprint}`,
  );
  await refuses(address, { options: { pin: others.fingerprint } }, wrong);
  await refuses(address, { options: { pin: 'abc' } }, /--pin "abc" is wrong; allowed is the SHA-256/, 2);
});

test('a pinned authority that the server sends along vouches for its certificate and name', async () => {
  await delivers(`127.0.0.1:${chained.port}`, { options: { pin: certificates.caFingerprint } });
  const { cert, key } = certificates;
  const impostor = await startRecorder({ key: TEST_KEY, tls: { key, cert: `${cert}\n${others.ca}` } });
  const options = { pin: others.caFingerprint };
  await refuses(`127.0.0.1:${impostor.port}`, { options }, /not the pinned|does not vouch/);
  await impostor.close();
  const elsewhere = await startRecorder({
    key: TEST_KEY,
    tls: { key, cert: `${cert}\n${certificates.ca}` },
    host: '127.0.0.2',
  });
  const pin = certificates.caFingerprint;
  await refuses(
    `127.0.0.2:${elsewhere.port}`,
    { options: { pin } },
    /it is not for 127\.0\.0\.2, but for DNS:localhost/,
  );
  await elsewhere.close();
});

test('nothing to check against is an error that says what to do', async () => {
  const address = `127.0.0.1:${recorder.port}`;
  const expected = /rootCA\.crt, or give .* --pin SHA256; -cc=false .*; -ce=false is plain TCP/;
  await refuses(address, {}, expected, 2);
  await refuses(address, { options: { checkCertificate: true } }, expected, 2);
});

test('-cc=false takes any certificate, with a warning', async () => {
  const files = { 'rootCA.crt': others.ca };
  const said = await delivers(`127.0.0.1:${recorder.port}`, { files, options: { checkCertificate: false } });
  assert.match(said, /warning: -cc=false: the server's certificate is not checked/);
});

test('the close of TLS is seen from both sides', async () => {
  let ended = 0;
  const closing = await startRecorder({
    key: TEST_KEY,
    tls: certificates,
    onConnection: ({ socket }) => socket.once('end', () => ended++),
  });
  await delivers(`127.0.0.1:${closing.port}`, { files: { 'rootCA.crt': certificates.ca } });
  assert.equal(ended, 1);
  await closing.close();
});

test('a server that accepts and says nothing ends with the time limit for connecting', async () => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const sockets: net.Socket[] = [];
  silent.on('connection', (socket) => sockets.push(socket));
  const { port } = silent.address() as AddressInfo;
  const changes = { files: { 'rootCA.crt': certificates.ca }, options: { connectTimeoutMs: 100 } };
  await refuses(`127.0.0.1:${port}`, changes, /cannot reach .*: no connection within 0\.1 s/);
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('a server that closes within the handshake', async () => {
  const rude = net.createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(rude, 'listening');
  const { port } = rude.address() as AddressInfo;
  await refuses(`127.0.0.1:${port}`, { files: { 'rootCA.crt': certificates.ca } }, /cannot reach /);
  rude.close();
});

test('a server that speaks no TLS is called that', async () => {
  const plain = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const { port } = plain.address() as AddressInfo;
  await refuses(`127.0.0.1:${port}`, { files: { 'rootCA.crt': certificates.ca } }, /does not speak TLS .*-ce=false/);
  plain.close();
});

/** A SOCKS5 proxy for one kind of request (RFC 1928): CONNECT without authentication. */
async function socksProxy(targets: string[], answer = 0): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (request: Buffer) => {
        const byName = request[3] === 3;
        const length = request[4] ?? 0;
        const host = byName ? request.toString('latin1', 5, 5 + length) : [...request.subarray(4, 8)].join('.');
        const port = request.readUInt16BE(byName ? 5 + length : 8);
        targets.push(`${host}:${port}`);
        const reply = Buffer.from([5, answer, 0, 1, 0, 0, 0, 0, 0, 0]);
        if (answer !== 0) {
          socket.end(reply);
          return;
        }
        const onward = net.connect(port, host, () => {
          socket.write(reply);
          socket.pipe(onward).pipe(socket);
        });
        onward.on('error', () => socket.destroy());
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('through a SOCKS5 proxy, which resolves the name; with and without TLS', async () => {
  const targets: string[] = [];
  const proxy = await socksProxy(targets);
  const environment = { socksProxy: { host: '127.0.0.1', port: (proxy.address() as AddressInfo).port } };
  const files = { 'rootCA.crt': certificates.ca };
  await delivers(`localhost:${recorder.port}`, { files, environment, options: { tor: true } });
  assert.equal(recorder.payload(3, recorder.connections.length - 1).toString(), 'line\n');
  const plain = await startRecorder({ key: TEST_KEY });
  await delivers(`127.0.0.1:${plain.port}`, { environment, options: { tor: true, tls: false } });
  assert.equal(plain.payload(3).toString(), 'line\n');
  assert.deepEqual(targets, [`localhost:${recorder.port}`, `127.0.0.1:${plain.port}`]);
  await plain.close();
  proxy.close();
});

test('a SOCKS5 proxy that is not there, that refuses, that says nothing', async () => {
  const options = { tor: true, tls: false, connectTimeoutMs: 100 };
  const through = (port: number) => ({ options, environment: { socksProxy: { host: '127.0.0.1', port } } });
  await refuses('127.0.0.1:9', through(9), /the SOCKS5 proxy at 127\.0\.0\.1:9: connect ECONNREFUSED/);
  const refusing = await socksProxy([], 5);
  await refuses('127.0.0.1:9', through((refusing.address() as AddressInfo).port), /the SOCKS5 proxy: .*reject/i);
  refusing.close();
  const sockets: net.Socket[] = [];
  const silent = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  await refuses('127.0.0.1:9', through((silent.address() as AddressInfo).port), /no connection within 0\.1 s/);
  for (const socket of sockets) socket.destroy();
  silent.close();
});
