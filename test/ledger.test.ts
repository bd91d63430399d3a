import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import type { SensorLedger, ServerLedger, Status } from '@d4ts/server';
import { launchServer, runD4, type ServerProcess, startD4 } from '@d4ts/testkit';
import { addSensor, ask, until, wire } from './monitored-server.ts';

// The ledger of real servers: what came, what became of it, and that it balances (docs/ledger.md).

const CAPTURE_HEADER = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');

describe('the ledger', () => {
  it('counts what came and what became of it, to the byte', async () => {
    await using server = await launchServer();
    const uuid = await addSensor(server);
    const { uuid: queue } = await ask<{ uuid: string }>(server, '/queues', { type: '3' });
    const sensor = await wire(server, uuid);
    sensor.send('one\ntwo\n');
    sensor.send('three\nno newline');
    await sensor.end();
    const refused = await wire(server, uuid);
    refused.send('not accepted', { type: 77 });
    await refused.end();
    const stranger = await wire(server, uuid);
    stranger.send('who?', { key: 'another key' });
    await stranger.end();
    const garbage = await wire(server, uuid, 1);
    garbage.send('this is no capture');
    await garbage.end();
    await ask(server, `/queues/${queue}/pop?count=3`, {});
    await until(async () => (await ledgerOf(server, uuid)).rows.some(({ archived }) => archived.files > 0), 'a file');

    const { rows, totals, balances, gaps } = await ledgerOf(server, uuid);
    assert.equal(balances, true);
    assert.deepEqual(gaps, []);
    const lines = sum(rows, '3');
    assert.deepEqual(lines.verified, { frames: 2, bytes: 24 });
    assert.deepEqual(lines.journaled, { records: 4, bytes: 24 });
    assert.deepEqual([lines.archived.bytes, lines.archived.files], [24, 1]);
    assert.deepEqual([lines.queued, lines.delivered, lines.dropped, lines.sessions], [4, 3, 0, 1]);
    const capture = sum(rows, '1');
    assert.deepEqual([capture.verified.bytes, capture.journaled.bytes, capture.lostBytes], [18, 0, 18]);
    assert.deepEqual(
      capture.reasons.map(({ kind, reason, bytes }) => [kind, reason, bytes]),
      [['lost', 'no-record', 18]],
    );
    const refusals = sum(rows, '');
    assert.deepEqual(refusals.refused, { count: 1, bytes: 62 + 12 });
    assert.deepEqual(
      refusals.reasons.map(({ reason, count, bytes }) => [reason, count, bytes]),
      [['type-not-accepted', 1, 74]],
    );
    assert.deepEqual(
      totals.map(({ topic, inFlight }) => [topic, inFlight]),
      [
        ['1', 0],
        ['3', 0],
      ],
    );

    const all = await ask<ServerLedger>(server, '/ledger');
    assert.equal(all.balances, true);
    const everybody = sum(all.rows, '');
    assert.deepEqual(everybody.refused, { count: 2, bytes: 62 + 12 + 62 + 4 });
    assert.deepEqual(
      all.topics
        .toSorted((a, b) => (a.topic < b.topic ? -1 : 1))
        .map(({ topic, journaled, held }) => [topic, journaled, held]),
      [
        ['1', 0, 0],
        ['3', 4, 4],
      ],
    );

    const checked = await runD4(['ledger', '--check', '--home', server.home]);
    assert.deepEqual([checked.code, checked.stderr], [0, '']);
    assert.match(checked.stdout, /balances/);
    const shown = await runD4(['ledger', uuid, '--type', '3', '--home', server.home]);
    assert.match(shown.stdout, /RECEIVED.*JOURNALED/);
    assert.match(shown.stdout, /24 B/);
    const json = JSON.parse((await runD4(['ledger', uuid, '--by', 'day', '--json', '--home', server.home])).stdout);
    assert.equal(json.by, 'day');
    assert.equal((await runD4(['ledger', uuid, '--from', 'yesterday', '--home', server.home])).code, 2);
  });

  it('what a capture leaves out is a gap with its cause, and is accounted for', async () => {
    await using server = await launchServer();
    const uuid = await addSensor(server);
    const sensor = await wire(server, uuid, 1);
    const packet = Buffer.concat([Buffer.from('00000000000000000400000004000000', 'hex'), Buffer.from('abcd')]);
    sensor.send(Buffer.concat([CAPTURE_HEADER, packet, packet, packet]));
    sensor.send(Buffer.alloc(500, 0xff));
    sensor.send(Buffer.concat([packet, packet, packet, packet]));
    await sensor.end();
    await until(async () => {
      const { rows } = await ledgerOf(server, uuid);
      return rows.length > 0 && rows.every(({ archived }) => archived.files > 0 || archived.bytes > 0);
    }, 'the archive');
    const { rows, gaps, totals, balances } = await ledgerOf(server, uuid);
    const row = sum(rows, '1');
    assert.equal(balances, true, JSON.stringify(totals));
    assert.equal(row.verified.bytes, row.journaled.bytes + row.gaps.leftOutBytes + row.lostBytes);
    assert.equal(row.archived.bytes, row.journaled.bytes);
    assert.equal(
      gaps.reduce((bytes, gap) => bytes + (gap.bytes ?? 0), 0),
      row.gaps.leftOutBytes,
    );
  });

  it('balances again after each kill, and nothing journaled is counted twice', async () => {
    const home = mkdtempSync(join(tmpdir(), 'd4-ledger-'));
    try {
      let uuid: Awaited<ReturnType<typeof addSensor>> | undefined;
      for (let round = 0; round < 2; round++) {
        await using server = await launchServer({ home });
        const before: ServerLedger = await ask(server, '/ledger?by=day');
        assert.equal(before.balances, true, JSON.stringify(before));
        uuid ??= await addSensor(server);
        const sensors = await Promise.all([wire(server, uuid), wire(server, uuid)]);
        const committed = await held(server);
        for (let line = 0; line < 400; line++) {
          for (const sensor of sensors) sensor.send(`round ${round}, line ${line}\n`);
        }
        if (round % 2 === 0) await until(async () => (await held(server)) > committed, 'something is committed');
        await server.kill9();
        for (const { socket } of sensors) socket.destroy();
      }
      await using server = await launchServer({ home });
      const { balances, topics, streams } = await ask<ServerLedger>(server, '/ledger');
      assert.equal(balances, true);
      assert.equal(topics.find(({ topic }) => topic === '3')?.journaled, await held(server));
      assert.equal(streams[0]?.inFlight, 0);
      await server.stop();
      await using again = await launchServer({ home });
      assert.equal((await ask<ServerLedger>(again, '/ledger')).balances, true);
      assert.doesNotMatch(again.log(), /did not balance|counted as damaged/);
    } finally {
      rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    }
  });
});

async function held(server: ServerProcess): Promise<number> {
  const { topics } = await ask<Status>(server, '/status');
  return topics.find(({ topic }) => topic === '3')?.records ?? 0;
}

function ledgerOf(server: ServerProcess, uuid: string): Promise<SensorLedger> {
  return ask<SensorLedger>(server, `/sensors/${uuid}/ledger?by=day&from=0`);
}

/** The row of a topic: of a day, so that there is one. */
function sum(rows: SensorLedger['rows'], topic: string): SensorLedger['rows'][number] {
  return rows.find((row) => row.topic === topic) ?? assert.fail(`nothing of topic "${topic}"`);
}

describe('the ledger of acknowledged streams', () => {
  it('counts each byte once in the journal, whatever was sent again after a kill', async () => {
    const home = mkdtempSync(join(tmpdir(), 'd4-ledger-'));
    try {
      let server = await launchServer({ home });
      const args = ['--listen', server.info.listen];
      const uuid = await addSensor(server);
      const conf = join(home, 'sensor');
      mkdirSync(conf);
      const settings = { uuid, key: 'a key of its own', type: '3', source: 'stdin', destination: server.info.listen };
      for (const [name, value] of Object.entries({ ...settings, version: '1', snaplen: '1000' })) {
        writeFileSync(join(conf, name), value);
      }
      writeFileSync(join(conf, 'rootCA.crt'), server.info.ca);
      const client = startD4(['client', '-c', conf, '--ack', 'require', '--retry', '1s']);
      const errors = text(client.stderr);
      const ended = once(client, 'close');
      const lines = (from: number, to: number): string =>
        Array.from({ length: to - from }, (_, at) => `line ${from + at}\n`).join('');
      client.stdin.write(lines(0, 5_000));
      await until(async () => (await held(server)) > 0, 'the first lines');
      client.stdin.write(lines(5_000, 20_000));
      await server.kill9();
      server = await launchServer({ home, args });
      client.stdin.end(lines(20_000, 21_000));
      const [code] = await ended;
      assert.equal(code, 0, await errors);
      const { rows, totals, balances } = await ledgerOf(server, uuid);
      const { journaled, verified, lostBytes, resentBytes } = sum(rows, '3');
      const bytes = Buffer.byteLength(lines(0, 21_000));
      assert.deepEqual(journaled, { records: 21_000, bytes });
      assert.equal(verified.bytes, bytes + lostBytes + resentBytes);
      assert.equal(balances, true, JSON.stringify(totals));
      assert.equal((await ask<ServerLedger>(server, '/ledger')).balances, true);
      await server.stop();
    } finally {
      rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    }
  });
});
