/** What a refusal's reason means, in few words; the code itself where it is newer than this list. */
export function refusalMeaning(code: string): string {
  return MEANINGS[code] ?? code;
}

const MEANINGS: Readonly<Record<string, string>> = {
  'blocked-address': 'The address is blocked',
  'too-many-failures': 'Too many failures from the address',
  'foreign-alpn': 'Only foreign application protocols were offered',
  'failed-handshake': 'The TLS handshake failed',
  'too-many-connections': 'Too many connections; this one was idle longest',
  'uuid-not-v4': 'The uuid is not of version 4',
  'blocked-uuid': 'The sensor is blocked',
  'not-registered': 'No sensor has this uuid',
  'too-many-sensors': 'No more sensors register by themselves for now',
  pending: 'It waits for approval',
  revoked: 'Its approval was revoked',
  'type-not-accepted': 'The type is not accepted',
  'size-over-limit': 'A payload was larger than the limit',
  'hmac-wrong': 'The key is wrong (HMAC)',
  'uuid-changed': 'The uuid changed within a connection',
  'type-changed': 'The type changed within a connection',
  'no-meta-header': 'Type 254 without its meta header',
  'bad-meta-header': 'The meta header is damaged',
  'meta-type-not-accepted': 'The meta type is not accepted',
  'not-the-format': 'The bytes are not of the format that the type names',
  'header-timeout': 'A header was not completed in time',
  'payload-timeout': 'A payload made no progress in time',
  'too-many-sessions': 'Too many connections of one type; this was the least recent',
  'acknowledged-only': 'It may send acknowledged streams only',
  'bad-message': 'A message of an acknowledged stream is malformed',
  'stream-ahead': 'The server has more of the stream than the client',
  'stream-forked': 'The stream differs from what the server has of it',
  'stream-ended': 'The stream has ended, and the client has more of it',
  'stream-not-yours': 'The stream is of another sensor or type',
  'stream-replaced': 'Another connection goes on with the stream',
};
