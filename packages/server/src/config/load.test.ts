import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { D4Error } from '@d4ts/protocol';
import { describeConfig } from './describe.ts';
import { formatHostPort, parseHostPort } from './host-port.ts';
import { loadConfig } from './load.ts';

describe('loadConfig', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'd4-config-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function load(options: {
    flags?: Record<string, string>;
    environment?: Record<string, string>;
    file?: string;
  }): ReturnType<typeof loadConfig> {
    if (options.file !== undefined) writeFileSync(join(directory, 'd4.yaml'), options.file);
    return loadConfig({
      flags: { home: directory, ...options.flags },
      environment: options.environment ?? {},
      directory,
    });
  }

  function refusal(options: Parameters<typeof load>[0]): string {
    try {
      load(options);
    } catch (error) {
      assert.ok(error instanceof D4Error);
      assert.equal(error.code, 'D4_CONFIG');
      return error.message;
    }
    return assert.fail('the configuration was taken');
  }

  it('has the defaults of the contract', () => {
    const config = loadConfig({ flags: {}, environment: {}, directory });
    assert.equal(config.home, join(directory, 'data'));
    assert.deepEqual(config.listen, { host: '::', port: 4443 });
    assert.deepEqual(config.web, { host: '127.0.0.1', port: 7000 });
    assert.deepEqual(config.redis, { host: '127.0.0.1', port: 6380 });
    assert.equal(config.mode, 'registration');
    assert.equal(config.defaultKey, undefined);
    assert.equal(config.limits.maxPayloadBytes, 1_000_000);
    assert.equal(config.journal.policy, 'fsync');
  });

  it('keeps the password of the analyzers’ port to itself', () => {
    const config = load({ environment: { D4_REDIS_PASSWORD: 'hush' }, file: 'redis-socket: d4.sock\n' });
    assert.deepEqual([config.redisPassword, config.redisSocket], ['hush', 'd4.sock']);
    const reports = describeConfig(config).map(({ name, value }) => `${name} ${value}`);
    assert.ok(reports.includes('redis-password ********'));
    assert.ok(!refusal({ environment: { D4_REDIS_PASSWORD: 'x'.repeat(513) } }).includes('xxx'));
  });

  it('takes a flag before a variable, that before the file, that before the default', () => {
    const file = 'listen: 127.0.0.1:1\nweb: 127.0.0.1:2\nredis: "[::1]:3"\nlimits:\n  max-payload-bytes: 5000\n';
    const environment = { D4_LISTEN: '127.0.0.1:4', D4_WEB: '127.0.0.1:5', D4_REDIS: '' };
    const config = load({ file, environment, flags: { listen: '127.0.0.1:6' } });
    assert.deepEqual([config.listen.port, config.web.port, config.redis.port], [6, 5, 3]);
    assert.equal(config.limits.maxPayloadBytes, 5000);
    const reports = new Map(describeConfig(config).map((report) => [report.name, report]));
    assert.equal(reports.get('listen')?.source, '--listen');
    assert.equal(reports.get('web')?.source, 'D4_WEB');
    assert.equal(reports.get('redis')?.source, join(directory, 'd4.yaml'));
    assert.equal(reports.get('redis')?.value, '[::1]:3');
    assert.equal(reports.get('mode')?.source, 'default');
  });

  it('finds the home by a variable, and its file there', () => {
    writeFileSync(join(directory, 'd4.yaml'), 'mode: shared-secret\ndefault-key: shared\n');
    const config = loadConfig({ flags: {}, environment: { D4_HOME: directory }, directory: '/' });
    assert.equal(config.home, directory);
    assert.equal(config.defaultKey, 'shared');
  });

  it('does not show a secret', () => {
    const config = load({ flags: { mode: 'shared-secret', 'default-key': 'very secret' } });
    assert.doesNotMatch(JSON.stringify(describeConfig(config)), /very secret/);
  });

  it('names the file and the key of what is wrong in it', () => {
    assert.match(refusal({ file: 'lisen: 127.0.0.1:1\n' }), /d4\.yaml: "lisen" is no setting; allowed here: listen, /);
    assert.match(
      refusal({ file: 'limits:\n  payload: 1\n' }),
      /"limits\.payload" is no setting; allowed here: max-payload-bytes, /,
    );
    assert.match(refusal({ file: 'limits: 5\n' }), /"limits" is 5, but it is a section/);
    assert.match(refusal({ file: 'mode: open\n' }), /"mode" is "open"; allowed: registration, shared-secret/);
    assert.match(refusal({ file: 'listen: 4443\n' }), /"listen" is 4443; allowed: HOST:PORT/);
    assert.match(refusal({ file: 'listen: "::1:4443"\n' }), /"listen": "::1:4443" is not HOST:PORT/);
    assert.match(refusal({ file: 'listen: [::]:4443\n' }), /not YAML.*quotes/s);
    assert.match(
      refusal({ file: 'limits:\n  max-payload-bytes: "5"\n' }),
      /is "5"; allowed: a whole number from 1 to 67108864/,
    );
    assert.match(refusal({ file: 'home: /elsewhere\n' }), /"home" cannot be set here/);
    assert.match(refusal({ file: '- a\n' }), /a mapping of keys/);
  });

  it('names the variable or the flag of what is wrong', () => {
    assert.match(refusal({ environment: { D4_LISTEM: 'x' } }), /D4_LISTEM is no setting.*D4_LISTEN/);
    assert.match(refusal({ environment: { D4_MODE: 'x' } }), /D4_MODE is "x"; allowed: registration/);
    assert.match(refusal({ flags: { web: '127.0.0.1' } }), /--web: "127\.0\.0\.1" is not HOST:PORT/);
    assert.match(refusal({ environment: { D4_LIMITS_MAX_PAYLOAD_BYTES: '0' } }), /is 0; allowed: a whole number/);
    assert.match(refusal({ flags: { mode: 'shared-secret' } }), /needs the key that the sensors share/);
  });

  it('leaves alone what is set for others', () => {
    load({ environment: { D4_DEBUG: '1', D4_TOKEN: 'x', D4_SERVICE_HOST: '10.0.0.1', D4_PORT_4443_TCP: 'tcp://x' } });
  });
});

describe('HOST:PORT', () => {
  it('is read and written', () => {
    for (const text of ['127.0.0.1:0', '[::]:4443', 'localhost:65535', '[fe80::1%eth0]:1']) {
      assert.equal(formatHostPort(parseHostPort(text)), text);
    }
  });

  it('is refused where it is not one', () => {
    for (const text of ['', ':4443', '4443', '127.0.0.1', '::1:4443', '[::1]', '[zz]:1', 'a:65536', 'a b:1', 'a:-1']) {
      assert.throws(() => parseHostPort(text), { code: 'D4_CONFIG' }, text);
    }
  });
});
