import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import type { Actor, Change, CursorState, Registry, Sensor } from './port.ts';

/** Registries of one adapter over one store, for the contract's tests. */
export interface RegistryFixture {
  /** Opens the registry; the first time it is empty. The test closes what it opens. */
  open(): Promise<Registry>;
  /** Removes the store. */
  dispose(): Promise<void>;
}

const TOPIC_ACTIVITY = {
  frames: 1,
  bytes: 2,
  records: 3,
  sessions: 4,
  skippedBytes: 7,
  cutRecords: 8,
  firstSeen: 5,
  lastSeen: 6,
};
const ADMIN: Actor = { name: 'admin@admin.test', address: '192.0.2.1' };

function sensorOf(changes: Partial<Sensor> = {}): Sensor {
  return {
    uuid: newSensorId(),
    key: 'a key',
    state: 'pending',
    description: '',
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: 1_000,
    ...changes,
  };
}

/** What every adapter of the registry must do; its test calls this with a way to make an empty one. */
export function testRegistryContract(adapter: string, makeFixture: () => Promise<RegistryFixture>): void {
  const withRegistry = async (test: (registry: Registry, reopen: () => Promise<Registry>) => Promise<void>) => {
    const fixture = await makeFixture();
    let registry = await fixture.open();
    const reopen = async (): Promise<Registry> => {
      await registry.close();
      registry = await fixture.open();
      return registry;
    };
    try {
      await test(registry, reopen);
    } finally {
      await registry.close();
      await fixture.dispose();
    }
  };

  describe(`${adapter}: documents`, () => {
    it('are kept as they are, with revisions that grow from 1', () =>
      withRegistry(async (registry, reopen) => {
        const sensor = sensorOf({ key: 'k\u0000\u00ff<&>"', description: '<b>é\n', maxPayloadBytes: 5 });
        const first = await registry.sensors.put(sensor.uuid, sensor, ADMIN, 0);
        assert.deepEqual(first, { revision: 1, value: sensor });
        const approved: Sensor = { ...sensor, state: 'approved' };
        assert.equal((await registry.sensors.put(sensor.uuid, approved, ADMIN, 1)).revision, 2);
        assert.equal((await registry.sensors.put(sensor.uuid, approved, ADMIN)).revision, 3);
        const again = await reopen();
        assert.deepEqual(again.sensors.get(sensor.uuid), { revision: 3, value: approved });
        assert.equal(again.sensors.size, 1);
        assert.deepEqual([...again.sensors.entries()], [[sensor.uuid, { revision: 3, value: approved }]]);
      }));

    it('of every kind come back', () =>
      withRegistry(async (registry, reopen) => {
        const type = { name: 'maltrail', createdAt: 1 };
        const uuid = newSensorId();
        const filters = [
          { from: 0, sensors: 'all' as const },
          { from: 7, sensors: [uuid] },
        ];
        const queue = { uuid, topic: '3', description: 'd', limit: 10, filters, createdAt: 2 };
        const block = { target: '192.0.2.0/24', kind: 'network' as const, reason: 'r', createdAt: 3 };
        const user = {
          mail: 'a@b',
          passwordHash: '$scrypt$',
          role: 'admin' as const,
          mustChangePassword: true,
          createdAt: 4,
        };
        const token = { name: 't', user: 'a@b', role: 'viewer' as const, createdAt: 5, expiresAt: 6 };
        await registry.types.put('maltrail', type, ADMIN);
        await registry.queues.put(uuid, queue, ADMIN);
        await registry.blocks.put(block.target, block, ADMIN);
        await registry.users.put('a@b', user, ADMIN);
        await registry.tokens.put('ab'.repeat(32), token, ADMIN);
        const use = { sensor: uuid, address: '192.0.2.7', at: 7, registered: true };
        const texts = { name: 'n', tags: ['t'], description: '', mail: '', type: '3', server: 'h:1', author: 'a@b' };
        const enrolment = {
          ...texts,
          approve: true,
          maxUses: 2,
          uses: [use],
          createdAt: 6,
          expiresAt: 8,
          revokedAt: 7,
        };
        await registry.enrolments.put('cd'.repeat(32), enrolment, ADMIN);
        const again = await reopen();
        assert.deepEqual(again.types.get('maltrail')?.value, type);
        assert.deepEqual(again.queues.get(uuid)?.value, queue);
        assert.deepEqual(again.blocks.get(block.target)?.value, block);
        assert.deepEqual(again.users.get('a@b')?.value, user);
        assert.deepEqual(again.tokens.get('ab'.repeat(32))?.value, token);
        assert.deepEqual(again.enrolments.get('cd'.repeat(32))?.value, enrolment);
      }));

    it('that change all the time leave no audit record, others and events do', () =>
      withRegistry(async (registry, reopen) => {
        const session = { user: 'a@b', createdAt: 1, lastUsedAt: 2, address: '::1', userAgent: 'x' };
        await registry.loginSessions.put('ab'.repeat(32), session, ADMIN);
        await registry.tokenUses.put('cd'.repeat(32), { at: 3, address: '::1' }, ADMIN);
        await registry.types.put('3', { name: '3', createdAt: 1 }, ADMIN);
        await registry.types.remove('3', ADMIN);
        await registry.audit.record({ kind: 'login', key: 'a@b', actor: { name: 'a@b' }, details: { why: '100%' } });
        const again = await reopen();
        assert.deepEqual(again.loginSessions.get('ab'.repeat(32))?.value, session);
        assert.deepEqual(again.tokenUses.get('cd'.repeat(32))?.value, { at: 3, address: '::1' });
        const { records, next } = again.audit.list({}, 10);
        assert.equal(next, undefined);
        assert.deepEqual(
          records.map(({ isEvent, kind, actor, before, after }) => [isEvent, kind, actor, before, after]),
          [
            [true, 'login', 'a@b', undefined, { why: '100%' }],
            [false, 'types', ADMIN.name, { name: '3', createdAt: 1 }, undefined],
            [false, 'types', ADMIN.name, undefined, { name: '3', createdAt: 1 }],
          ],
        );
        assert.equal(again.audit.list({ text: '0%' }, 10).records.length, 1);
        assert.equal(again.audit.list({ kind: 'types', actor: ADMIN.name, key: '3' }, 1).records.length, 1);
        assert.equal(await again.audit.prune(0, 1), 2);
        assert.equal(again.audit.list({}, 10).records.length, 1);
      }));

    it('may have two secrets, or one', () =>
      withRegistry(async (registry, reopen) => {
        const sensor = sensorOf({ previousKey: 'old', previousKeyUntil: 5, name: 'n', tags: ['t'] });
        await registry.sensors.put(sensor.uuid, sensor, ADMIN);
        assert.deepEqual((await reopen()).sensors.get(sensor.uuid)?.value, sensor);
      }));

    it('are not changed on a conflict', () =>
      withRegistry(async (registry, reopen) => {
        const sensor = sensorOf();
        const { sensors } = registry;
        await assert.rejects(sensors.put(sensor.uuid, sensor, ADMIN, 1), { code: 'D4_CONFLICT' });
        await sensors.put(sensor.uuid, sensor, ADMIN, 0);
        await assert.rejects(sensors.put(sensor.uuid, sensorOf(), ADMIN, 0), { code: 'D4_CONFLICT' });
        await assert.rejects(sensors.remove(sensor.uuid, ADMIN, 2), { code: 'D4_CONFLICT' });
        assert.deepEqual((await reopen()).sensors.get(sensor.uuid), { revision: 1, value: sensor });
      }));

    it('are removed for good', () =>
      withRegistry(async (registry, reopen) => {
        const sensor = sensorOf();
        assert.equal(await registry.sensors.remove(sensor.uuid, ADMIN), false);
        await registry.sensors.put(sensor.uuid, sensor, ADMIN);
        assert.equal(await registry.sensors.remove(sensor.uuid, ADMIN, 1), true);
        assert.equal(registry.sensors.get(sensor.uuid), undefined);
        const again = await reopen();
        assert.equal(again.sensors.size, 0);
        assert.equal((await again.sensors.put(sensor.uuid, sensor, ADMIN, 0)).revision, 1);
      }));

    it('are watched: each change once, in order, also those that a watcher makes', () =>
      withRegistry(async ({ types }) => {
        const seen: Change<{ name: string }>[] = [];
        const stopFirst = types.watch((change) => {
          if (change.key === 'a' && change.before === undefined)
            void types.put('b', { name: 'b', createdAt: 0 }, ADMIN);
        });
        const stop = types.watch((change) => seen.push(change));
        await types.put('a', { name: 'a', createdAt: 0 }, ADMIN);
        await types.put('a', { name: 'a', createdAt: 1 }, ADMIN);
        await types.remove('a', ADMIN);
        stop();
        stopFirst();
        await types.remove('b', ADMIN);
        assert.deepEqual(seen, [
          { key: 'a', before: undefined, after: { name: 'a', createdAt: 0 } },
          { key: 'b', before: undefined, after: { name: 'b', createdAt: 0 } },
          { key: 'a', before: { name: 'a', createdAt: 0 }, after: { name: 'a', createdAt: 1 } },
          { key: 'a', before: { name: 'a', createdAt: 1 }, after: undefined },
        ]);
      }));

    it('are changed although a watcher fails', () =>
      withRegistry(async ({ types }) => {
        const seen: string[] = [];
        types.watch(() => {
          throw new Error('a failure that the test wants');
        });
        types.watch(({ key }) => seen.push(key));
        await types.put('a', { name: 'a', createdAt: 0 }, ADMIN);
        assert.deepEqual(seen, ['a']);
      }));
  });

  describe(`${adapter}: progress of roles`, () => {
    it('is kept by role, over a restart', () =>
      withRegistry(async (registry, reopen) => {
        assert.equal(registry.loadProgress('archive 3'), undefined);
        await registry.saveProgress('archive 3', 'one');
        await registry.saveProgress('archive 3', 'two');
        await registry.saveProgress('archive 1', '');
        const again = await reopen();
        assert.equal(again.loadProgress('archive 3'), 'two');
        assert.equal(again.loadProgress('archive 1'), '');
      }));
  });

  describe(`${adapter}: ends of acknowledged streams`, () => {
    it('are kept over a restart, and forgotten by their age', () =>
      withRegistry(async (registry, reopen) => {
        const sensor = newSensorId();
        const [old, young] = ['0a'.repeat(16), '0b'.repeat(16)];
        await registry.endedStreams.put(old, { sensor, topic: '3', total: 2 ** 40 }, 1_000);
        await registry.endedStreams.put(young, { sensor, topic: 'maltrail', total: 0 }, 2_000);
        const again = await reopen();
        assert.deepEqual(again.endedStreams.get(old), { sensor, topic: '3', total: 2 ** 40 });
        await again.endedStreams.forgetBefore(2_000);
        assert.equal(again.endedStreams.get(old), undefined);
        assert.deepEqual(again.endedStreams.get(young), { sensor, topic: 'maltrail', total: 0 });
      }));
  });

  describe(`${adapter}: cursors`, () => {
    it('are saved and removed', () =>
      withRegistry(async (registry, reopen) => {
        const one: CursorState = { sequence: 5, record: 2, taken: 7, dropped: 1, flushed: 0, givenBack: ['YQo='] };
        const two: CursorState = { ...one, sequence: 2 ** 52, givenBack: [] };
        assert.equal(registry.loadCursors().size, 0);
        await registry.saveCursors(
          new Map([
            ['one', one],
            ['two', one],
          ]),
        );
        await registry.saveCursors(new Map([['two', two]]));
        await registry.saveCursors(new Map());
        let again = await reopen();
        assert.deepEqual(
          again.loadCursors(),
          new Map([
            ['one', one],
            ['two', two],
          ]),
        );
        await again.removeCursor('one');
        await again.removeCursor('unknown');
        again = await reopen();
        assert.deepEqual(again.loadCursors(), new Map([['two', two]]));
      }));
  });

  describe(`${adapter}: activity`, () => {
    it('of a sensor survives a clean stop', () =>
      withRegistry(async (registry, reopen) => {
        const uuid = newSensorId();
        assert.equal(registry.activity.find(uuid), undefined);
        const activity = registry.activity.sensor(uuid);
        activity.firstSeen = 10;
        activity.lastAddress = '192.0.2.7';
        activity.topics['3'] = TOPIC_ACTIVITY;
        activity.today = { day: 20_000, bytes: 7 };
        registry.activity.touch(uuid);
        registry.activity.refused({ code: 'type-changed', address: '192.0.2.8', sensor: uuid, verified: true, at: 20 });
        assert.equal(registry.activity.sensor(uuid), activity);
        const again = await reopen();
        assert.deepEqual(again.activity.find(uuid), {
          firstSeen: 10,
          lastSeen: 0,
          lastAddress: '192.0.2.7',
          today: { day: 20_000, bytes: 7 },
          topics: { 3: TOPIC_ACTIVITY },
          refusals: { 'type-changed': { count: 1, lastAt: 20, lastAddress: '192.0.2.8' } },
        });
        assert.deepEqual(again.activity.refusalTotals(), { 'type-changed': 1 });
        assert.deepEqual(again.activity.claimedRefusals(), []);
      }));

    it('that is unproved changes nothing about a sensor, and is listed by address', () =>
      withRegistry(async (registry, reopen) => {
        const uuid = newSensorId();
        const { activity } = registry;
        const wrong = { code: 'hmac-wrong', sensor: uuid, verified: false } as const;
        activity.refused({ ...wrong, address: '192.0.2.1', at: 1 });
        activity.refused({ ...wrong, address: '192.0.2.2', at: 2 });
        activity.refused({ ...wrong, address: '192.0.2.1', at: 3 });
        activity.refused({ code: 'header-timeout', address: '192.0.2.3', sensor: undefined, verified: false, at: 4 });
        const expected = [
          { address: '192.0.2.3', code: 'header-timeout', claimed: undefined, count: 1, firstAt: 4, lastAt: 4 },
          { address: '192.0.2.1', code: 'hmac-wrong', claimed: uuid, count: 2, firstAt: 1, lastAt: 3 },
          { address: '192.0.2.2', code: 'hmac-wrong', claimed: uuid, count: 1, firstAt: 2, lastAt: 2 },
        ];
        assert.equal(activity.find(uuid), undefined);
        assert.deepEqual(activity.claimedRefusals(), expected);
        const again = await reopen();
        assert.deepEqual(again.activity.claimedRefusals(), expected);
        assert.deepEqual(again.activity.refusalTotals(), { 'hmac-wrong': 3, 'header-timeout': 1 });
      }));

    it('of unregistered sensors survives a clean stop', () =>
      withRegistry(async (registry, reopen) => {
        const [one, two] = [newSensorId(), newSensorId()];
        registry.activity.knocked({ uuid: one, address: '192.0.2.1', type: 3, at: 1 });
        registry.activity.knocked({ uuid: two, address: '192.0.2.1', type: 3, at: 2 });
        registry.activity.knocked({ uuid: one, address: '192.0.2.1', type: 8, at: 3 });
        assert.deepEqual((await reopen()).activity.knocks(), [
          { uuid: one, address: '192.0.2.1', type: 8, count: 2, firstAt: 1, lastAt: 3 },
          { uuid: two, address: '192.0.2.1', type: 3, count: 1, firstAt: 2, lastAt: 2 },
        ]);
      }));

    it('of unproved peers is bounded, and who floods pushes out only himself', () =>
      withRegistry(async ({ activity }) => {
        const quiet = newSensorId();
        activity.knocked({ uuid: quiet, address: '192.0.2.1', type: 3, at: 0 });
        for (let at = 1; at <= 5_000; at++) {
          const flood = { address: '192.0.2.2', at };
          activity.knocked({ ...flood, uuid: newSensorId(), type: 3 });
          activity.refused({ ...flood, code: 'hmac-wrong', sensor: newSensorId(), verified: false });
        }
        assert.ok(activity.knocks().length <= 1_000);
        assert.ok(activity.claimedRefusals().length <= 1_000);
        assert.equal(activity.knocks().at(-1)?.uuid, quiet);
        assert.equal(activity.knocks()[0]?.lastAt, 5_000);
        for (let at = 5_001; at <= 8_000; at++) {
          activity.knocked({ uuid: newSensorId(), address: `2001:db8::${at}`, type: 3, at });
        }
        assert.ok(activity.knocks().length <= 1_000);
      }));

    it('of a sensor is forgotten everywhere', () =>
      withRegistry(async (registry, reopen) => {
        const uuid = newSensorId();
        const from = { address: '192.0.2.1', at: 1 };
        const forgotten = (activity: Registry['activity']): void => {
          assert.equal(activity.find(uuid), undefined);
          assert.deepEqual([...activity.claimedRefusals(), ...activity.knocks()], []);
        };
        registry.activity.sensor(uuid).lastSeen = 5;
        registry.activity.touch(uuid);
        const again = await reopen();
        assert.equal(again.activity.find(uuid)?.lastSeen, 5);
        again.activity.refused({ ...from, code: 'hmac-wrong', sensor: uuid, verified: false });
        again.activity.knocked({ ...from, uuid, type: 3 });
        again.activity.forget(uuid);
        forgotten(again.activity);
        forgotten((await reopen()).activity);
      }));
  });
}
