export { AckDecoder, type AckSink, type RawAckMessage } from './ack/decoder.ts';
export { type AckKeys, deriveAckKeys } from './ack/keys.ts';
export { AckMac } from './ack/mac.ts';
export {
  ACCEPT_STATE,
  ACK_ALPN,
  ACK_HEAD_BYTES,
  ACK_LIMITS,
  ACK_MAC_BYTES,
  ACK_NONCE_BYTES,
  ACK_STATE,
  ACK_TYPE,
  type AcceptState,
  type AckAccept,
  type AckAcknowledge,
  type AckChallenge,
  type AckData,
  type AckEnd,
  type AckGap,
  type AckOpen,
  type AckRefuse,
  type AckResume,
  type AckState,
  type AckType,
  claimOfOpen,
  END_CAUSE,
  type EndCause,
  isStreamId,
  nonceOfOpen,
  PREVIOUS_CAUSE,
  type PreviousCause,
  readAccept,
  readAck,
  readChallenge,
  readData,
  readEnd,
  readGap,
  readOpen,
  readRefuse,
  readResume,
  wholeBody,
} from './ack/messages.ts';
export { type AckRefusalAction, ackRefusalAction } from './ack/refusals.ts';
export { runningCrc } from './ack/running-crc.ts';
export { AckSender, encodeChallenge, encodeUnprovedRefuse } from './ack/sender.ts';
export { FrameDecoder, type FrameSink } from './decoder.ts';
export { FrameEncoder } from './encoder.ts';
export { CLIENT_FILE_NAMES, clientConfigFiles, isClientTopic } from './enroll/client-files.ts';
export { LineReader } from './enroll/line-reader.ts';
export {
  ENROLL_ALPN,
  ENROLL_LIMITS,
  type EnrollAnswer,
  type EnrollHello,
  type EnrollRequest,
  encodeEnrollAnswer,
  encodeEnrollHello,
  encodeEnrollRequest,
  parseEnrollAnswer,
  parseEnrollHello,
  parseEnrollRequest,
} from './enroll/messages.ts';
export { ENROLL_SECRET_BYTES, type EnrollToken, encodeEnrollToken, parseEnrollToken } from './enroll/token.ts';
export { type D4Code, D4Error } from './errors.ts';
export {
  DEFAULT_MAX_PAYLOAD_BYTES,
  FrameHeader,
  HEADER_BYTES,
  HMAC_BYTES,
  PROTOCOL_VERSION,
  writeHeader,
} from './header.ts';
export { FrameHmac, HmacScratch } from './hmac.ts';
export { escapeUnprintable, plainLine, plainLines } from './plain-text.ts';
export { isRefusalCode, REFUSALS, type RefusalCode } from './refusals.ts';
export {
  isVersion4,
  newSensorId,
  parseSensorId,
  type SensorId,
  sensorIdAt,
  sensorIdBytes,
  sensorIdFrom,
  sensorIdHex,
} from './sensor-id.ts';
export { type HostAndPort, serverAddressFrom, serverAddressText } from './server-address.ts';
export { FORWARDED_BY, isMetaTypeName, knownWireTypes, WIRE_TYPE, wireTypeTitle } from './types.ts';
