import { hash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENT_FILE_NAMES, clientConfigFiles, D4Error, type SensorId, sensorIdFrom } from '@d4ts/protocol';
import { replaceDurably, syncFolder } from '../spool/durable-file.ts';

/** Who the sensor wants to be: kept from before the first request on, so that each further one is the same. */
export interface Identity {
  readonly uuid: SensorId;
  readonly key: Buffer;
}

/** What the configuration directory is filled with. */
export interface FolderSettings extends Identity {
  readonly topic: string;
  readonly destination: string;
  readonly ca: string;
}

const PENDING = 'enrolment.json';
const FORMAT = 1;
const KEY_FORM = /^[A-Za-z0-9_-]{1,1023}$/;

/** A configuration directory that is being made. */
export class EnrollFolder {
  readonly path: string;
  /** That of an earlier attempt with the same token; undefined where there was none. */
  readonly earlier: Identity | undefined;
  readonly #tokenSha256: string;
  #made = false;

  /**
   * Looks at the directory, and changes nothing.
   * @throws {D4Error} D4_CONFIG where it has a configuration, or is none
   */
  constructor(path: string, token: string) {
    this.path = path;
    this.#tokenSha256 = hash('sha256', token.trim());
    if (existsSync(path) && !statSync(path).isDirectory()) {
      throw new D4Error('D4_CONFIG', `${path} is not a directory; -c takes the configuration directory to be made`);
    }
    this.earlier = this.#readPending();
    if (this.earlier !== undefined) return;
    const there = CLIENT_FILE_NAMES.find((name) => isThere(join(path, name)));
    if (there === undefined) return;
    throw new D4Error(
      'D4_CONFIG',
      `${path} has a configuration already (${join(path, there)}), and it is left as it is: take another directory with -c`,
    );
  }

  /** Keeps for good who the sensor wants to be. @throws {D4Error} D4_CONFIG where that cannot be written */
  async begin({ uuid, key }: Identity): Promise<void> {
    const pending = { format: FORMAT, token: this.#tokenSha256, uuid, key: key.toString('latin1') };
    await this.#writing(async () => {
      if (!existsSync(this.path)) {
        mkdirSync(this.path, { recursive: true, mode: 0o700 });
        this.#made = true;
      }
      await replaceDurably(join(this.path, PENDING), `${JSON.stringify(pending)}\n`);
    });
  }

  /** The sensor was not registered: leaves the directory as it was before this attempt. */
  undo(): void {
    if (this.earlier !== undefined) return;
    rmSync(join(this.path, PENDING), { force: true });
    if (!this.#made) return;
    try {
      rmdirSync(this.path);
    } catch {
      // Somebody has put something else there: it stays.
    }
  }

  /** Writes the configuration. @throws {D4Error} D4_CONFIG where that cannot be written */
  async complete(settings: FolderSettings): Promise<void> {
    await this.#writing(async () => {
      for (const { name, content } of clientConfigFiles(settings)) {
        await replaceDurably(join(this.path, name), content);
      }
      rmSync(join(this.path, PENDING));
      await syncFolder(this.path);
    });
  }

  async #writing(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (cause) {
      throw new D4Error('D4_CONFIG', `${this.path} cannot be written: ${(cause as Error).message}`, cause);
    }
  }

  /** @throws {D4Error} D4_CONFIG where it is not what was written */
  #readPending(): Identity | undefined {
    const path = join(this.path, PENDING);
    if (!existsSync(path)) return undefined;
    let read: { format?: unknown; token?: unknown; uuid?: unknown; key?: unknown } | null;
    try {
      read = JSON.parse(readFileSync(path, 'utf8'));
    } catch {
      read = null;
    }
    const uuid = typeof read?.uuid === 'string' ? sensorIdFrom(read.uuid) : undefined;
    if (read?.format !== FORMAT || uuid === undefined || typeof read.key !== 'string' || !KEY_FORM.test(read.key)) {
      throw new D4Error(
        'D4_CONFIG',
        `${path} is not what an enrolment has written: remove it, or take another directory`,
      );
    }
    if (read.token !== this.#tokenSha256) return undefined;
    return { uuid, key: Buffer.from(read.key, 'latin1') };
  }
}

/** Whether a name is taken, if only by a link that leads nowhere. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
