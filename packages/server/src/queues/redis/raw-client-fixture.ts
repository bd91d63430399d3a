import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** For tests: a client that says and expects exact bytes. */
export class RawClient {
  readonly socket: Socket;
  /** Resolved with all that came, less what was expected before, when the server has closed the connection. */
  readonly ended: Promise<string>;
  #received = Buffer.alloc(0);
  #wake: () => void = () => {};
  #closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
      resolve(this.#received.toString('latin1'));
    });
  }

  static async connect(address: { host: string; port: number }): Promise<RawClient> {
    const socket = connect(address);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Sends one request for each list of words. */
  send(...requests: readonly (readonly (string | Buffer)[])[]): void {
    const parts: Buffer[] = [];
    for (const words of requests) {
      parts.push(Buffer.from(`*${words.length}\r\n`));
      for (const word of words) {
        const bytes = typeof word === 'string' ? Buffer.from(word, 'latin1') : word;
        parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
      }
    }
    this.socket.write(Buffer.concat(parts));
  }

  /** Sends bytes as they are. */
  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Waits for as many bytes as `text` has, and checks them. */
  async expect(text: string): Promise<void> {
    await this.#until(() => this.#received.length >= text.length);
    assert.equal(this.#received.toString('latin1', 0, text.length), text);
    this.#received = this.#received.subarray(text.length);
  }

  /** Waits for one line, and returns it without its end. */
  async line(): Promise<string> {
    await this.#until(() => this.#received.includes('\r\n'));
    const end = this.#received.indexOf('\r\n');
    const line = this.#received.toString('latin1', 0, Math.max(end, 0));
    this.#received = this.#received.subarray(end + 2);
    return line;
  }

  /** Sends a request, and returns the first line of the answer. */
  ask(...words: readonly (string | Buffer)[]): Promise<string> {
    this.send(words);
    return this.line();
  }

  /** Waits until a PING is answered: everything before has been done. */
  async sync(): Promise<void> {
    this.send(['PING']);
    await this.expect('+PONG\r\n');
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.ended;
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done() && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
