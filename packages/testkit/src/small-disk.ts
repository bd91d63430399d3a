import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { launchServer, type ServerProcess } from './server-process.ts';

const run = promisify(execFile);

/**
 * For tests: a real server whose home lies on a small file system of its own (tmpfs), in a mount namespace that nobody
 * else sees and that ends with it.
 */
export class SmallDisk implements AsyncDisposable {
  readonly server: ServerProcess;
  /** The server's home, as this process sees it; while the server runs. */
  readonly home: string;
  readonly #folder: string;

  private constructor(server: ServerProcess, folder: string) {
    this.server = server;
    this.home = join('/proc', `${server.pid}`, 'root', folder);
    this.#folder = folder;
  }

  /**
   * @param size of the file system as mount(8) takes it: `64m`
   * @throws Error where this machine does not allow it
   */
  static async launch(
    size: string,
    options: { environment?: Readonly<Record<string, string>>; inodes?: number } = {},
  ): Promise<SmallDisk> {
    const allowed = spawnSync('unshare', ['-m', 'true'], { encoding: 'utf8' });
    if (allowed.status !== 0) {
      throw new Error(
        `this test mounts a small file system in a namespace of its own, which is not allowed here: run it as root, in a container with CAP_SYS_ADMIN (unshare -m: ${allowed.stderr ?? allowed.error})`,
      );
    }
    const folder = mkdtempSync(join(tmpdir(), 'd4-small-disk-'));
    const inodes = options.inodes === undefined ? '' : `,nr_inodes=${options.inodes}`;
    const mount = `mount -t tmpfs -o size=${size}${inodes} d4 ${folder} && exec "$@"`;
    try {
      const server = await launchServer({
        home: folder,
        through: ['unshare', '-m', 'sh', '-c', mount, 'sh'],
        ...(options.environment !== undefined && { environment: options.environment }),
      });
      return new SmallDisk(server, folder);
    } catch (error) {
      rmdirSync(folder);
      throw error;
    }
  }

  /** Gives the file system another size, while the server runs. */
  async resize(size: string): Promise<void> {
    await run('nsenter', ['-t', `${this.server.pid}`, '-m', 'mount', '-o', `remount,size=${size}`, this.#folder]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.dispose();
    rmdirSync(this.#folder);
  }
}
