import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import type { ServerProcess } from '@d4ts/testkit';

const KEY = 'a key of its own';
/** How long something that must happen may take, in ms. */
const PATIENCE = 20_000;

/** For tests: a sensor on the wire. */
export interface WiredSensor {
  readonly uuid: SensorId;
  readonly socket: TLSSocket;
  /** Sends one frame. */
  send(payload: string | Buffer, options?: { type?: number; key?: string }): void;
  /** Ends the connection and waits until the server has, too. */
  end(): Promise<void>;
}

/** For tests: asks as the local administrator, unless another token is given. @returns the response, unread */
export async function openStream(
  server: ServerProcess,
  path: string,
  options: { method?: string; json?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const { method = 'GET', json, token = server.info.token, headers = {} } = options;
  const body = json === undefined ? undefined : JSON.stringify(json);
  const asked = request(`${server.info.url}${path}`, {
    method,
    ca: server.info.ca,
    agent: false,
    checkServerIdentity: () => undefined,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
  });
  asked.end(body);
  const [response] = await once(asked, 'response');
  return response;
}

/** As `openStream`, of `/api/v1`: reads the answer, which must be a good one. */
export async function ask<T>(server: ServerProcess, path: string, json?: unknown, method?: string): Promise<T> {
  const with_ = { method: method ?? (json === undefined ? 'GET' : 'POST'), ...(json !== undefined && { json }) };
  const response = await openStream(server, `/api/v1${path}`, with_);
  const answer = await text(response);
  assert.ok((response.statusCode ?? 500) < 300, `${path}: ${response.statusCode} ${answer}`);
  return (answer === '' ? undefined : JSON.parse(answer)) as T;
}

/** Registers a sensor, approved. */
export async function addSensor(server: ServerProcess, more: object = {}): Promise<SensorId> {
  const uuid = newSensorId();
  await ask(server, '/sensors', { uuid, key: KEY, approve: true, ...more });
  return uuid;
}

/** Connects as a sensor. */
export async function wire(server: ServerProcess, uuid: SensorId, type = 3): Promise<WiredSensor> {
  const [host = '', port] = server.info.listen.split(':');
  const socket = connect({ host, port: Number(port), ca: server.info.ca, checkServerIdentity: () => undefined });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.resume();
  return {
    uuid,
    socket,
    send: (payload, options = {}) => {
      const encoder = new FrameEncoder({ sensor: uuid, key: Buffer.from(options.key ?? KEY), version: 1 });
      socket.write(encoder.encode(options.type ?? type, Buffer.from(payload), Math.floor(Date.now() / 1_000)));
    },
    async end() {
      const closed = once(socket, 'close');
      socket.end();
      await closed;
    },
  };
}

/** Waits until something is so. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `${what}: not within ${PATIENCE} ms`);
    await setTimeout(20);
  }
}
