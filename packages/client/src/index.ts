export { type ClientConfig, readClientConfig, type SourceConfig } from './config.ts';
export { type Destination, parseDestination, type ServerAddress } from './destination.ts';
export { DURATION_FORM, parseDuration } from './duration.ts';
export type { ClientEnvironment } from './environment.ts';
export { BOOLEAN_FORM, parseGoBoolean, rewriteGoFlags } from './go-flags.ts';
export { type ClientOptions, DEFAULT_OPTIONS } from './options.ts';
export { runClient } from './run-client.ts';
