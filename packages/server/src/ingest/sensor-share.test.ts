import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { type SensorBounds, SensorShare } from './sensor-share.ts';

const DAY_MS = 86_400_000;

class Member {
  readonly seen: boolean[] = [];
  share: SensorShare | undefined;

  updateHold(): void {
    this.seen.push(this.share?.holds ?? false);
  }
}

function shareOf(bounds: SensorBounds, waitingBytes = 1_000) {
  const clock = { now: 0, wall: 5 * DAY_MS };
  const activity = { today: { day: 4, bytes: 99 } };
  const share = new SensorShare({ waitingBytes, bounds, activity, now: () => clock.now, wall: () => clock.wall });
  const member = new Member();
  member.share = share;
  share.join(member);
  const pass = (ms: number) => {
    clock.now += ms;
    clock.wall += ms;
    mock.timers.tick(ms);
  };
  return { share, member, activity, pass };
}

test('a rate is kept over any time, after a burst of one second', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { share, member, pass } = shareOf({ maxBytesPerSecond: 100_000 });
  share.received(100_000);
  assert.equal(share.holds, false);
  share.received(50_000);
  assert.equal(share.holds, true);
  pass(499);
  assert.equal(share.holds, true);
  pass(1);
  assert.deepEqual([share.holds, member.seen], [false, [true, false]]);
  let read = 0;
  for (let ms = 0; ms < 10_000; ms += 10) {
    if (!share.holds) {
      share.received(7_000);
      read += 7_000;
    }
    pass(10);
  }
  assert.ok(read >= 990_000 && read <= 1_014_000, `${read}`);
  assert.equal(share.isIdle, false);
  share.leave(member);
  pass(2_000);
  assert.equal(share.isIdle, true);
});

test('a quota holds until the day is over, or there is more of it; bytes of another day do not count', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { share, activity, pass } = shareOf({ maxBytesPerDay: 500 });
  share.received(499);
  assert.deepEqual([activity.today, share.holds], [{ day: 5, bytes: 499 }, false]);
  share.received(1);
  assert.equal(share.holds, true);
  share.setBounds({ maxBytesPerDay: 501 });
  assert.equal(share.holds, false);
  share.setBounds({ maxBytesPerDay: 500 });
  assert.equal(share.holds, true);
  pass(DAY_MS);
  share.tick();
  assert.equal(share.holds, false);
  share.received(1);
  assert.deepEqual(activity.today, { day: 6, bytes: 1 });
  share.setBounds({ maxBytesPerDay: 1 });
  assert.equal(share.holds, true);
  share.setBounds({});
  assert.equal(share.holds, false);
});

test('what waits for the journal holds until half of it is left', () => {
  const { share, member } = shareOf({});
  for (const bytes of [600, 400, 1, -500, -1]) share.add(bytes);
  assert.deepEqual([share.holds, member.seen], [false, [true, false]]);
});

test('a server that stops takes what has arrived', () => {
  const { share } = shareOf({ maxBytesPerDay: 1, maxBytesPerSecond: 1 });
  share.received(1_000_000);
  assert.equal(share.holds, true);
  share.lift();
  assert.equal(share.holds, false);
  share.stop();
});
