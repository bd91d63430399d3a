import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { D4Error } from '@d4ts/protocol';
import { pino } from 'pino';
import { loadConfig } from './config/load.ts';
import { listening, sensorAddress } from './listen.ts';

const LOG = pino({ level: 'silent' });
const SENSORS = { title: 'sensors', flag: '--listen' } as const;

describe("the sensors' address", () => {
  const without = async () => false;
  const configured = (flags: Record<string, string>) => loadConfig({ flags, environment: {}, directory: '/nowhere' });

  it('is 0.0.0.0 by default where there is no IPv6', async () => {
    assert.deepEqual(await sensorAddress(configured({}), LOG, without), { host: '0.0.0.0', port: 4443 });
    assert.deepEqual(await sensorAddress(configured({}), LOG, async () => true), { host: '::', port: 4443 });
  });

  it('is never another one than the operator has chosen', async () => {
    const listen = { host: '::', port: 1 };
    assert.deepEqual(await sensorAddress(configured({ listen: '[::]:1' }), LOG, without), listen);
  });
});

describe('a socket that cannot listen', () => {
  it('is named with address, reason and remedy, however deep the reason lies', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
    const start = async () => {
      const second = createServer().listen(at);
      await once(second, 'listening').catch((error: unknown) => {
        throw new D4Error('D4_LISTEN', 'inner', error);
      });
    };
    await assert.rejects(listening(SENSORS, at, start), {
      code: 'D4_LISTEN',
      message: `cannot listen for sensors at 127.0.0.1:${at.port}: the port is in use; stop the program that has it, or choose another address with --listen HOST:PORT`,
    });
    server.close();
  });

  it('keeps other errors as they are', async () => {
    const error = new Error('another');
    const start = () => Promise.reject(error);
    await assert.rejects(listening(SENSORS, { host: 'h', port: 1 }, start), error);
  });
});
