export { AckClient, type TestOpen } from './ack-client.ts';
export {
  type AckRecorder,
  type AckRecorderOptions,
  type RecordedStream,
  startAckRecorder,
} from './ack-recorder.ts';
export { afterwards, temporaryFolder } from './afterwards.ts';
export { makeTestCertificates, type TestCertificates } from './certificates.ts';
export { freePorts } from './free-ports.ts';
export { type FuzzFailure, type FuzzRange, type FuzzTarget, fuzz, fuzzInput } from './fuzz/fuzz.ts';
export { type FuzzTargets, fuzzInProcess, loadFuzzTargets } from './fuzz/fuzz-process.ts';
export { Random } from './fuzz/random.ts';
export { PowerDisk, type PowerDiskMode } from './power-disk.ts';
export {
  type RecordedConnection,
  type RecordedFrame,
  type Recorder,
  type RecorderOptions,
  startRecorder,
} from './recorder.ts';
export { Relay } from './relay.ts';
export {
  type CommandResult,
  launchServer,
  type ProcessEnd,
  runD4,
  type ServerInfo,
  type ServerProcess,
  startD4,
} from './server-process.ts';
export { SmallDisk } from './small-disk.ts';
