import { createHmac } from 'node:crypto';
import { createServer } from 'node:tls';
import { FrameDecoder } from '@d4ts/protocol';

// The references, as a process of its own: `r0` reads TLS and throws everything away, `r1` decodes the frames and
// checks each HMAC with `createHmac`. Arguments: mode, key, certificate and key as JSON.

const [mode, key, identity] = process.argv.slice(2);
const server = createServer(JSON.parse(identity ?? '{}'), (socket) => {
  socket.on('error', () => undefined);
  if (mode === 'r0') {
    socket.on('data', () => undefined);
    return;
  }
  const zeros = Buffer.alloc(32);
  const decoder = new FrameDecoder({
    header: () => true,
    frame(header, payload) {
      const { bytes, at } = header;
      const mac = createHmac('sha256', key ?? '')
        .update(bytes.subarray(at, at + 26))
        .update(zeros)
        .update(bytes.subarray(at + 58, at + 62))
        .update(payload)
        .digest();
      return mac.equals(bytes.subarray(at + 26, at + 58));
    },
  });
  socket.on('data', (chunk) => decoder.push(chunk));
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
});
