import { isRefusalCode, type RefusalCode } from '../refusals.ts';

/**
 * What a client has to do after a REFUSE:
 * - `retry`: connect again, after a while that grows;
 * - `wait`: the same, but only somebody at the server can change it, so say so;
 * - `new-stream`: this stream cannot go on: a new one that names it takes what is not acknowledged;
 * - `stop`: what the client sends will never be taken: say so and end; keep what is not acknowledged.
 */
export type AckRefusalAction = 'retry' | 'wait' | 'new-stream' | 'stop';

const ACTIONS: Readonly<Record<RefusalCode, AckRefusalAction>> = {
  'blocked-address': 'wait',
  'too-many-failures': 'retry',
  'foreign-alpn': 'retry',
  'failed-handshake': 'retry',
  'too-many-connections': 'retry',
  'uuid-not-v4': 'stop',
  'blocked-uuid': 'wait',
  'not-registered': 'wait',
  'too-many-sensors': 'wait',
  pending: 'wait',
  revoked: 'wait',
  'type-not-accepted': 'wait',
  'acknowledged-only': 'wait',
  'size-over-limit': 'retry',
  'hmac-wrong': 'wait',
  'uuid-changed': 'stop',
  'type-changed': 'stop',
  'no-meta-header': 'stop',
  'bad-meta-header': 'stop',
  'meta-type-not-accepted': 'wait',
  'not-the-format': 'stop',
  'header-timeout': 'retry',
  'payload-timeout': 'retry',
  'too-many-sessions': 'retry',
  'bad-message': 'stop',
  'stream-ahead': 'new-stream',
  'stream-forked': 'new-stream',
  'stream-ended': 'new-stream',
  'stream-not-yours': 'new-stream',
  'stream-replaced': 'retry',
  // These are of enrolments, and never come here.
  'enroll-too-many-attempts': 'retry',
  'enroll-token-unknown': 'stop',
  'enroll-token-expired': 'stop',
  'enroll-token-used': 'stop',
  'enroll-token-revoked': 'stop',
  'enroll-uuid-taken': 'stop',
};

/**
 * What to do after a REFUSE with this code; a code that is not known is one to retry.
 * @param verified whether the REFUSE had a right MAC: without one, it is never a reason to give up a stream
 */
export function ackRefusalAction(code: string, verified: boolean): AckRefusalAction {
  const action = isRefusalCode(code) ? ACTIONS[code] : 'retry';
  return action === 'new-stream' && !verified ? 'retry' : action;
}
