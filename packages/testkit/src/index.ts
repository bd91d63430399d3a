export { makeTestCertificates, type TestCertificates } from './certificates.ts';
export {
  type RecordedConnection,
  type RecordedFrame,
  type Recorder,
  type RecorderOptions,
  startRecorder,
} from './recorder.ts';
export {
  type CommandResult,
  launchServer,
  type ProcessEnd,
  runD4,
  type ServerInfo,
  type ServerProcess,
  startD4,
} from './server-process.ts';
