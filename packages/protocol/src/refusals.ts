/**
 * Why a server refuses a connection or a frame. The codes are stable: logs, counters, the HTTP interface and the
 * refusals of acknowledged streams use them. The order is that of admission. After any of them the stream cannot go on:
 * nothing of what follows in it is taken, and the connection is closed.
 */
export const REFUSALS = {
  'blocked-address': 'the address is blocked',
  'too-many-failures': 'too many connections from the address failed, and no sensor has proved itself there for a day',
  'foreign-alpn': 'the client offers only application protocols that the server does not speak',
  'failed-handshake': 'the TLS handshake failed',
  'too-many-connections': 'too many connections, and this one had been idle longest',
  'uuid-not-v4': "the sensor's UUID is not of version 4",
  'blocked-uuid': 'the sensor is blocked',
  'not-registered': 'no sensor is registered with this UUID',
  'too-many-sensors': 'no more sensors are registered by themselves for now',
  pending: 'the sensor waits for approval',
  revoked: "the sensor's approval was revoked",
  'type-not-accepted': 'the type is not accepted',
  'acknowledged-only': 'the sensor may send acknowledged streams only',
  'size-over-limit': "the frame's payload is larger than the limit",
  'hmac-wrong': "the HMAC does not fit the sensor's key",
  'uuid-changed': 'the UUID changed within a connection',
  'type-changed': 'the type changed within a connection',
  'no-meta-header': 'a frame of type 254 came before its meta header',
  'bad-meta-header': 'the meta header is not a JSON object with a string "type"',
  'meta-type-not-accepted': 'the meta type is not accepted',
  'not-the-format': 'the bytes are not of the format that the type names',
  'header-timeout': 'a header was not completed in time',
  'payload-timeout': 'a payload made no progress in time',
  'too-many-sessions': 'more sessions of one sensor and type than the limit; this one was the least recent',
  'bad-message':
    'a message of an acknowledged stream or of an enrolment is malformed, or came where none of its kind may',
  'stream-ahead': 'the server has more of the stream than the client ever had',
  'stream-forked': 'the stream differs from what the server has of it',
  'stream-ended': 'the stream has ended, and the client has more of it',
  'stream-not-yours': 'the stream is of another sensor or type',
  'stream-replaced': 'another connection goes on with the stream',
  'enroll-too-many-attempts': 'too many enrolments from the address were refused',
  'enroll-token-unknown': 'the enrolment token is not known',
  'enroll-token-expired': 'the enrolment token has expired',
  'enroll-token-used': 'the enrolment token was used as often as it may be',
  'enroll-token-revoked': 'the enrolment token was revoked, or who made it may not make it any more',
  'enroll-uuid-taken': 'another sensor is registered with the UUID that wants to enrol',
} as const;

/** A reason code. */
export type RefusalCode = keyof typeof REFUSALS;

/** Whether a text is a reason code. */
export function isRefusalCode(text: string): text is RefusalCode {
  return Object.hasOwn(REFUSALS, text);
}
