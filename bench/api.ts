import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { ServerProcess } from '@d4ts/testkit';

/** Asks a server over one connection that stays open: a `d4` command takes a core for a while at each start. */
export class Api implements Disposable {
  readonly #server: ServerProcess;
  readonly #agent: Agent;

  constructor(server: ServerProcess) {
    this.#server = server;
    this.#agent = new Agent({ keepAlive: true, ca: server.info.ca });
  }

  /** @param path below `/api/v1` @throws where the answer is no success */
  async call(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const { url, token } = this.#server.info;
    const headers = { authorization: token, ...(body !== undefined && { 'content-type': 'application/json' }) };
    const asked = request(`${url}/api/v1${path}`, { method, agent: this.#agent, headers });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const text = Buffer.concat(await answer.toArray()).toString();
    if ((answer.statusCode ?? 500) >= 300) throw new Error(`${method} ${path} was answered with ${text}`);
    return JSON.parse(text);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
