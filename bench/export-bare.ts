import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

// What exporters are held against, as a process of its own: a bare loop that sends lines as fast as it goes, over UDP a
// datagram for each, over TCP and TLS a write for each. Arguments: udp, tcp or tls; port; number of lines; bytes of each.

const [mode, port, count, bytes] = process.argv.slice(2);
const line = Buffer.alloc(Number(bytes), 'a line of some log 0123456789 ');
line[line.length - 1] = 0x0a;
/** Datagrams before the loop lets the socket say what became of them. */
const BURST = 32;

if (mode === 'udp') {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(Number(port), '127.0.0.1', () => resolve()));
  let answered = 0;
  const onAnswer = () => {
    answered++;
  };
  for (let sent = 0; sent < Number(count); sent += BURST) {
    for (let i = 0; i < BURST; i++) socket.send(line, onAnswer);
    while (answered < sent + BURST) await turn();
  }
  socket.close();
} else {
  const target = { host: '127.0.0.1', port: Number(port) };
  const socket = mode === 'tls' ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
  await once(socket, mode === 'tls' ? 'secureConnect' : 'connect');
  for (let sent = 0; sent < Number(count); sent++) if (!socket.write(line)) await once(socket, 'drain');
  socket.end();
  await once(socket.resume(), 'close');
}
