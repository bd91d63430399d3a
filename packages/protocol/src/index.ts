export { FrameDecoder, type FrameSink } from './decoder.ts';
export { FrameEncoder } from './encoder.ts';
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
export { isMetaTypeName, knownWireTypes, WIRE_TYPE, wireTypeTitle } from './types.ts';
