import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, PROTOCOL_VERSION, type SensorId, sensorIdHex } from '@d4ts/protocol';
import type { ItemView, QueueView, SensorView, Status } from '@d4ts/server';
import { type CommandResult, launchServer, runD4, type ServerProcess, startD4 } from '@d4ts/testkit';
import { Redis } from 'ioredis';

/** How long something that must happen may take, in ms. */
const PATIENCE = 20_000;

describe('the management commands', () => {
  let server: ServerProcess;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'd4-management-'));
    server = await launchServer();
  });
  after(async () => {
    await server.dispose();
    rmSync(folder, { recursive: true });
  });

  /** Runs a command on the server's home. */
  function d4(words: string, input?: Buffer | string): Promise<CommandResult> {
    return runD4([...words.split(' '), '--home', server.home], input === undefined ? {} : { input });
  }

  /** As `d4`, where it must exit 0. @returns what it printed */
  async function done(words: string, input?: Buffer | string): Promise<string> {
    const { code, stdout, stderr } = await d4(words, input);
    assert.equal(code, 0, `d4 ${words}: ${stderr}`);
    assert.equal(stderr, '', words);
    return stdout;
  }

  async function json<T>(words: string): Promise<T> {
    return JSON.parse(await done(`${words} --json`));
  }

  /** As `d4`, where it must fail. @returns its message */
  async function fails(code: number, words: string): Promise<string> {
    const result = await d4(words);
    assert.equal(result.code, code, `d4 ${words}: ${result.stderr}`);
    assert.equal(result.stdout, '', words);
    return result.stderr;
  }

  async function addSensor(key = 'the key'): Promise<{ uuid: SensorId; encoder: FrameEncoder }> {
    const uuid = newSensorId();
    await done(`sensor add --uuid ${uuid} --key-file - --approve`, key);
    return { uuid, encoder: new FrameEncoder({ sensor: uuid, key: Buffer.from(key), version: PROTOCOL_VERSION }) };
  }

  async function connectSensor(): Promise<TLSSocket> {
    const [host, port] = server.info.listen.split(':');
    const socket = connect({ host: host ?? '', port: Number(port), ca: server.info.ca });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.resume();
    return socket;
  }

  /** How often the server has let a sensor in. */
  function connections(): number {
    return server.log().split('"a sensor is connected"').length;
  }

  async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
    const end = Date.now() + PATIENCE;
    while (!(await condition())) {
      assert.ok(Date.now() < end, `${what}: not within ${PATIENCE} ms`);
      await setTimeout(10);
    }
  }

  it('answer the health check', async () => {
    assert.equal(await done('healthcheck'), 'ready\n');
    assert.deepEqual(await json<{ status: string }>('healthcheck'), { status: 'ready' });
  });

  it('take a sensor from registration to removal', async () => {
    const uuid = newSensorId();
    const name = 'roof\x1b[31m';
    const added = await runD4([
      'sensor',
      'add',
      '--uuid',
      sensorIdHex(uuid),
      '--key',
      'k',
      '--description',
      name,
      '--home',
      server.home,
    ]);
    assert.equal(added.code, 0, added.stderr);
    assert.match(added.stdout, new RegExp(`${uuid} is registered and pending`));
    assert.match(await done('sensor list'), new RegExp(`${uuid} +pending .* roof\\\\x1b\\[31m\n`));
    assert.match(await fails(1, `sensor add --uuid ${uuid} --key k`), /D4_CONFLICT/);

    assert.match(await done(`sensor approve ${uuid}`), new RegExp(`${uuid} is approved`));
    await done(`sensor approve ${sensorIdHex(uuid).toUpperCase()}`);
    const shown = await json<SensorView>(`sensor show ${uuid}`);
    assert.equal(shown.state, 'disconnected');
    assert.equal(shown.description, name);
    assert.match(await done(`sensor revoke ${uuid}`), /is revoked/);
    assert.equal((await json<SensorView[]>('sensor list')).find((each) => each.uuid === uuid)?.state, 'revoked');
    await done(`sensor remove ${uuid}`);
    assert.match(await fails(1, `sensor show ${uuid}`), /D4_NOT_FOUND/);
    assert.match(await fails(1, `sensor kick ${uuid}`), /D4_NOT_FOUND/);
  });

  it('show what a sensor sends, and close its connections when it may no longer', async () => {
    const { uuid, encoder } = await addSensor();
    for (const [words, ending] of [
      [`sensor kick ${uuid}`, ''],
      [`sensor revoke ${uuid}`, `sensor approve ${uuid}`],
      [`block add ${uuid}`, `block remove ${uuid}`],
      ['block add 127.0.0.0/8', 'block remove 127.0.0.0/8'],
      [`sensor remove ${uuid}`, ''],
    ] as const) {
      const socket = await connectSensor();
      const connected = connections();
      socket.write(encoder.encode(3, Buffer.from('a line\n'), 1));
      await until(async () => connections() > connected, words);
      const closed = once(socket, 'close');
      if (words.startsWith('sensor kick')) {
        const text = await done(`sensor show ${uuid}`);
        assert.match(text, /^state +receiving$/m);
        assert.match(text, /^SESSION OF .*\n.* 3 +127\.0\.0\.1:/m);
        assert.match(await done('status'), /^sensors +.*1 receiving/m);
      }
      await done(words);
      await closed;
      if (ending !== '') await done(ending);
    }
  });

  it('show refusals: verified ones as the sensor’s own, the others as claimed', async () => {
    const { uuid, encoder } = await addSensor();
    const impostor = new FrameEncoder({ sensor: uuid, key: Buffer.from('another'), version: PROTOCOL_VERSION });
    const stranger = newSensorId();
    const unknown = new FrameEncoder({ sensor: stranger, key: Buffer.from('k'), version: PROTOCOL_VERSION });
    for (const frame of [
      encoder.encode(77, Buffer.from('x'), 1),
      impostor.encode(3, Buffer.from('x\n'), 1),
      unknown.encode(3, Buffer.from('x\n'), 1),
    ]) {
      const socket = await connectSensor();
      const closed = once(socket, 'close');
      socket.write(frame);
      await closed;
    }
    const text = await done(`sensor show ${uuid}`);
    assert.match(text, /^state +refused: type-not-accepted$/m);
    assert.match(text, /^type-not-accepted +1 +\S+Z +127\.0\.0\.1 +verified$/m);
    assert.match(text, /^hmac-wrong +1 +\S+Z +127\.0\.0\.1 +claimed$/m);

    const status = await done('status');
    assert.match(status, /^hmac-wrong +1$/m);
    assert.match(status, /^not-registered +[1-9]\d*$/m);
    assert.match(status, new RegExp(`^not-registered .* ${stranger}$`, 'm'));
    assert.match(status, new RegExp(`^${stranger} +3 +1 `, 'm'));
    const { refusals, knocks } = await json<Status>('status');
    assert.equal(refusals['type-not-accepted'], 1);
    assert.equal(knocks[0]?.uuid, stranger);
  });

  it('accept types, each once', async () => {
    assert.match(await done('type add suricata-eve'), /^type suricata-eve is accepted\n$/);
    assert.equal(await done('type add suricata-eve'), 'type suricata-eve was accepted already\n');
    assert.match(await fails(1, 'type add Suricata-EVE'), /D4_CONFLICT/);
    assert.match(await fails(2, 'type add 255'), /D4_BAD_TYPE/);
    assert.match(await done('type list'), /^3 +log lines .*\n(.*\n)*suricata-eve +meta type /m);
    await done('type remove suricata-eve');
    assert.match(await fails(1, 'type remove suricata-eve'), /D4_NOT_FOUND/);
  });

  it('list queues by type, those of all sensors first, then by description', async () => {
    const { uuid } = await addSensor();
    for (const words of [
      `8 --description a`,
      `3 --description b`,
      `3 --description a --group ${uuid}`,
      `3 --description C`,
    ]) {
      await done(`queue add ${words}`);
    }
    const listed = await json<QueueView[]>('queue list');
    assert.deepEqual(
      listed.map(({ topic, description }) => `${topic} ${description}`),
      ['3 b', '3 C', '3 a', '8 a'],
    );
    for (const queue of listed) await done(`queue remove ${queue.uuid}`);
  });

  it('make queues, and give their items byte for byte', async () => {
    const uuid = (await done('queue add 3 --description alerts --limit 1000')).trimEnd();
    assert.match(uuid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const lines = Buffer.concat([
      Buffer.from('one\r\ntw\0o\n'),
      Buffer.from([0xff, 0x1b, 0x0a]),
      Buffer.from('four\n'),
    ]);
    const { encoder } = await addSensor();
    const socket = await connectSensor();
    socket.end(encoder.encode(3, lines, 1));
    await once(socket, 'close');
    await until(async () => (await json<QueueView>(`queue show ${uuid}`)).length === 4, 'the items');

    const popped = async (words: string): Promise<Buffer> => {
      const child = startD4([...words.split(' '), '--home', server.home]);
      const chunks: Buffer[] = [];
      for await (const chunk of child.stdout) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    assert.deepEqual(await popped(`queue peek ${uuid}`), lines);
    assert.deepEqual(await popped(`queue peek ${uuid} -n 1`), lines.subarray(0, 5));
    assert.deepEqual(await json<ItemView[]>(`queue peek ${uuid} -n 3`), [
      { data: 'one\r', encoding: 'utf8' },
      { data: 'tw\0o', encoding: 'utf8' },
      { data: '/xs=', encoding: 'base64' },
    ]);
    assert.deepEqual(await popped(`queue pop ${sensorIdHex(uuid as SensorId)}`), Buffer.from('one\r\n'));
    assert.deepEqual(await popped(`queue pop -n 2 ${uuid}`), lines.subarray(5, 13));
    assert.match(await done('queue list'), new RegExp(`^${uuid} +3 +all +1 +3 +0 +0 +1000 +alerts$`, 'm'));
    assert.match(await done(`queue flush ${uuid}`), /^1 items /);
    assert.equal(await done(`queue pop ${uuid} -n 5`), '');

    const again = (await done('queue add 3 --from 1h')).trimEnd();
    assert.ok((await json<QueueView>(`queue show ${again}`)).length >= 4);
    assert.match(await fails(1, `queue add 3 --uuid ${again}`), /D4_CONFLICT/);
    for (const each of [uuid, again]) await done(`queue remove ${each}`);
    assert.match(await fails(1, `queue pop ${uuid}`), /D4_NOT_FOUND/);
    assert.match(await fails(1, 'queue add nosuch'), /D4_TYPE_NOT_ACCEPTED/);
  });

  it('make queues of groups, change them, and give them credentials', async () => {
    const [a, b] = [await addSensor(), await addSensor()];
    const send = async ({ encoder }: typeof a, text: string): Promise<void> => {
      const socket = await connectSensor();
      socket.end(encoder.encode(3, Buffer.from(text), 1));
      await once(socket, 'close');
    };
    const uuid = (await done(`queue add 3 --group ${a.uuid},${sensorIdHex(a.uuid)} --limit 100`)).trimEnd();
    await send(a, 'a1\n');
    await send(b, 'b1\n');
    await done(`queue edit ${uuid} --add ${b.uuid} --limit 50 --description both`);
    await send(b, 'b2\n');
    await done(`queue edit ${uuid} --remove ${a.uuid}`);
    await send(a, 'a2\n');
    await send(b, 'b3\n');
    await until(async () => (await json<QueueView>(`queue show ${uuid}`)).length === 3, 'the items');
    assert.equal(await done(`queue peek ${uuid} -n 9`), 'a1\nb2\nb3\n');
    const shown = await json<QueueView>(`queue show ${uuid}`);
    assert.deepEqual([shown.group, shown.limit, shown.description], [[b.uuid], 50, 'both']);
    assert.match(await fails(2, `queue edit ${uuid} --remove ${b.uuid}`), /D4_BAD_GROUP/);
    assert.match(await fails(2, `queue edit ${uuid}`), /say what to change/);
    assert.match(await fails(2, `queue edit ${uuid} --add nonsense`), /Expected a UUID/);

    const secret = (await done(`queue credential ${uuid} --push`)).trimEnd();
    assert.match(secret, /^[\w-]{41}$/);
    assert.match(await done(`queue show ${uuid}`), /^credential +issued \S+, may take and push items$/m);
    const redis = new Redis(`redis://${server.info.redis}/2`, { password: secret, lazyConnect: true });
    await redis.connect();
    assert.equal(await redis.rpop(`analyzer:3:${uuid}`), 'a1');
    assert.equal(await redis.lpush(`analyzer:3:${uuid}`, 'pushed'), 3);
    const ended = once(redis, 'close');
    redis.options.retryStrategy = () => null;
    assert.match(await done(`queue credential ${uuid} --revoke`), /has no credential/);
    await ended;
    redis.disconnect();
    await fails(2, `queue credential ${uuid} --push --revoke`);
    assert.equal(await done(`queue pop ${uuid} -n 9`), 'b2\nb3\npushed\n');
    await done(`queue remove ${uuid}`);
  });

  it('block addresses, networks and sensors, each once', async () => {
    assert.match(await done('block add 192.0.2.77/24'), /^192\.0\.2\.0\/24 is blocked\n$/);
    await done('block add 192.0.2.0/24');
    assert.match(await done('block list'), /^192\.0\.2\.0\/24 +network /m);
    await done('block remove 192.0.2.0/24');
    assert.match(await fails(1, 'block remove 192.0.2.0/24'), /D4_NOT_FOUND/);
    assert.match(await fails(2, 'block add example.org'), /D4_BAD_BLOCK/);
  });

  it('tell wrong use from failure', async () => {
    const uuid = newSensorId();
    const wrong = [
      'sensor show nonsense',
      `sensor add --uuid ${uuid}`,
      'sensor add --uuid 5f2b3c1e-8d44-1c36-9a1f-0c1d2e3f4a5b --key k',
      'queue add 3 --from yesterday',
      `queue pop ${uuid} -n 0`,
      `status --url ${server.info.url}`,
    ];
    await Promise.all(wrong.map((words) => fails(2, words)));
  });

  it('reach a server elsewhere by its address, a token and its CA', async () => {
    const ca = join(folder, 'ca.crt');
    writeFileSync(ca, server.info.ca);
    const token = /API_Key=(\S+)/.exec(readFileSync(join(server.home, 'DEFAULT_PASSWORD'), 'utf8'))?.[1] ?? '';
    const there = ['--url', server.info.url, '--token', token];
    const trusted = await runD4(['type', 'list', ...there, '--ca', ca]);
    assert.equal(trusted.code, 0, trusted.stderr);
    assert.match(trusted.stdout, /log lines/);
    const health = await runD4(['healthcheck', '--url', server.info.url, '--ca', ca]);
    assert.equal(health.code, 0, health.stderr);
    const untrusted = await runD4(['type', 'list', ...there]);
    assert.equal(untrusted.code, 1);
    assert.match(untrusted.stderr, /D4_SERVER_UNREACHABLE/);
    const refused = await runD4(['type', 'list', '--url', server.info.url, '--token', 'wrong', '--ca', ca]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /D4_TOKEN_UNKNOWN/);
  });

  it('add sensors by a token that a client enrols with, and by a configuration', async () => {
    const added = await done('enroll add --name Shed --tags a,b --approve --expires 2h');
    const [, id, token = ''] =
      /^token ([0-9a-f]{16}) works once, .*\n\n {2}d4 client enroll (d4e1_\S+) -c d4-sensor\n\nit leads to \S+: if .*--server\n(?!.*approved)/.exec(
        added,
      ) ?? [];
    const enroll = (directory: string, input?: string) =>
      runD4(['client', 'enroll', input === undefined ? token : '-', '-c', join(folder, directory)], {
        ...(input !== undefined && { input }),
      });
    const first = await enroll('shed', `${token}\n`);
    assert.equal(first.code, 0, first.stderr);
    const [, uuid = ''] =
      /^sensor Shed \(([0-9a-f-]{36})\) is registered at \S+, and may send\n/.exec(first.stdout) ?? [];
    const { tags, registration } = await json<SensorView>(`sensor show ${uuid}`);
    assert.deepEqual([tags, registration], [['a', 'b'], 'approved']);
    const sent = await runD4(['client', '-c', join(folder, 'shed')], { input: 'from the shed\n' });
    assert.equal(sent.code, 0, sent.stderr);

    const again = await enroll('shed');
    assert.deepEqual([again.code, again.stdout], [2, '']);
    assert.match(again.stderr, /has a configuration already .*D4_CONFIG/);
    const second = await enroll('other');
    assert.equal(second.code, 1);
    assert.match(second.stderr, /\(enroll-token-used\): ask who gave you the token \[D4_ENROLL_REFUSED\]/);
    assert.match(await done('enroll list'), new RegExp(`^${id}  used   Shed  3     1/1   ${uuid.slice(0, 8)} `, 'm'));
    assert.match(await fails(1, `enroll revoke ${id}`), /was used already.*D4_CONFLICT/);
    const pending = await done('enroll add');
    assert.match(pending, /will have to be approved/);
    const [, open = ''] = /^token ([0-9a-f]{16}) /.exec(pending) ?? [];
    assert.equal(await done(`enroll revoke ${open}`), `token ${open} is revoked\n`);
    assert.match(await fails(1, 'enroll revoke 0000'), /there is no enrolment token 0000 \[D4_NOT_FOUND\]/);
    assert.match(await fails(2, 'enroll add --server elsewhere.example.org:1'), /certificate is not for elsewhere/);

    const file = join(folder, 'go.tar.gz');
    assert.match(await done(`enroll config --client go --out ${file}`), /is written: unpack it on the sensor/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(await fails(2, `enroll config --out ${file}`), /it is there already.*D4_USAGE/);
    const refused = join(folder, 'refused.tar.gz');
    await fails(1, `enroll config --type 77 --out ${refused}`);
    assert.equal(existsSync(refused), false);
  });

  it('say when no server runs, when it was killed, and when another one answers in its place', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const none = await runD4(['status'], { environment: { D4_HOME: empty } });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no server runs on .*D4_SERVER_NOT_RUNNING/);

    const left = join(folder, 'left');
    mkdirSync(left);
    const killed = await launchServer();
    copyFileSync(join(killed.home, 'server.json'), join(left, 'server.json'));
    await killed.kill9();
    const gone = await runD4(['healthcheck', '--home', left]);
    await killed.dispose();
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /does not answer at .*D4_SERVER_NOT_RUNNING/);

    writeFileSync(join(left, 'server.json'), JSON.stringify({ ...killed.info, url: server.info.url }));
    const other = await runD4(['status', '--home', left]);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /D4_OTHER_SERVER/);
  });
});
