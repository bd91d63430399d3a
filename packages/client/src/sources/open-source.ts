import type { SourceConfig } from '../config.ts';
import type { ClientEnvironment } from '../environment.ts';
import type { ClientOptions } from '../options.ts';
import { fileSource } from './file-source.ts';
import { folderSource } from './folder-source.ts';
import { redisListSource } from './redis-source.ts';
import type { Source } from './source.ts';
import { stdinSource } from './stdin-source.ts';

/** The source that the configuration names. `onTrouble` hears of what is wrong but does not end the source. */
export function openSource(
  config: SourceConfig,
  options: ClientOptions,
  environment: ClientEnvironment,
  onTrouble: (text: string) => void,
): Source {
  const { keepOpen, pollMs } = options;
  switch (config.kind) {
    case 'stdin':
      return stdinSource(environment.stdin, keepOpen, pollMs);
    case 'file':
      return fileSource(config.path, keepOpen, pollMs);
    case 'folder': {
      const { daily, json } = options;
      const { fileQuietMs: quietMs, now } = environment;
      return folderSource({ path: config.path, daily, json, quietMs, now, onTrouble });
    }
    case 'd4server':
      return redisListSource({ ...config, pollMs, onTrouble });
  }
}
