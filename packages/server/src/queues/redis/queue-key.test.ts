import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryQueues } from './memory-queues-fixture.ts';
import { findQueue, formatQueueKey, parseQueueKey } from './queue-key.ts';

const UUID = '0d0c5d58-1e4d-4d4f-9f7b-5a3f2f0a9c11';

describe('queue keys', () => {
  const queues = new MemoryQueues();
  const queue = queues.make('maltrail', UUID);
  const found = (key: string) => findQueue(queues, parseQueueKey(Buffer.from(key)));

  it('name a queue by a uuid with or without dashes, in any case', () => {
    assert.equal(found(formatQueueKey(queue)), queue);
    assert.equal(found(`analyzer:maltrail:${UUID.toUpperCase()}`), queue);
    assert.equal(found(`analyzer:maltrail:${UUID.replaceAll('-', '')}`), queue);
  });

  it('name none with another topic, another uuid, or another form', () => {
    assert.equal(found(`analyzer:3:${UUID}`), undefined);
    assert.equal(found(`analyzer:maltrail:${UUID.replace('0', '1')}`), undefined);
    assert.equal(found(`analyzer:${UUID}`), undefined);
    assert.equal(found(`analyser:maltrail:${UUID}`), undefined);
    assert.equal(found(''), undefined);
  });
});
