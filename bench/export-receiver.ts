import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

// Takes what exporters send, as a process of its own: says its port, and after each run (nothing came for half a second)
// the ms from the first to the last of what came, and how many lines there were. Arguments: udp, tcp or tls; certificate
// and key as JSON.

const [mode, identity] = process.argv.slice(2);
const QUIET_MS = 500;
const NEWLINE = 0x0a;
let first = 0;
let last = 0;
let lines = 0;

function came(bytes: Buffer): void {
  last = performance.now();
  if (lines === 0) first = last;
  if (mode === 'udp') lines++;
  else for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
}

setInterval(() => {
  if (lines === 0 || performance.now() - last < QUIET_MS) return;
  process.stdout.write(`${JSON.stringify({ ms: last - first, lines })}\n`);
  lines = 0;
}, 50);

const say = (port: number): void => void process.stdout.write(`${port}\n`);
if (mode === 'udp') {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  socket.on('message', came);
  socket.bind(0, '127.0.0.1', () => say(socket.address().port));
} else {
  const server = mode === 'tls' ? createTlsServer(JSON.parse(identity ?? '{}')) : createServer();
  server.on(mode === 'tls' ? 'secureConnection' : 'connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', came);
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    say(typeof address === 'object' && address !== null ? address.port : 0);
  });
}
