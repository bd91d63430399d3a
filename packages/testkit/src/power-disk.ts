import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What a file system keeps of writes that nobody synced, when the power goes.
 *
 * - `ordered`: ext4 as it comes. Direct writes have reached the disk when they return; metadata that was not synced is lost.
 * - `journalled`: file contents go through ext4's journal too, there are no direct writes, and nothing reaches the disk
 *   without a sync for minutes: a missing sync always shows.
 */
export type PowerDiskMode = 'ordered' | 'journalled';

/**
 * Waits for a word, then: FS_IOC_SHUTDOWN with FSOP_GOING_FLAGS_NOLOGFLUSH, which drops all that is not on the disk
 * (linux/fs.h, ext4's ioctl.c). Started beforehand, because a program that starts gives others the time to sync.
 */
const SWITCH = `import fcntl,os,struct,sys
disk = os.open(sys.argv[1], os.O_RDONLY)
if sys.stdin.readline(): fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))`;

/**
 * A disk whose power can be cut: an ext4 file system in a file in memory. After `cut` every call on it fails, and what
 * had not been synced is gone for good. Needs root, and belongs in a mount namespace of its own (`unshare --mount`),
 * so that nothing stays mounted when the process ends.
 */
export class PowerDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #folder: string;
  readonly #image: string;
  readonly #options: string;
  #switch: ChildProcess | undefined;

  private constructor(folder: string, mode: PowerDiskMode) {
    this.#folder = folder;
    this.path = join(folder, 'disk');
    this.#image = join(folder, 'memory', 'image');
    this.#options = mode === 'ordered' ? 'loop,commit=300' : 'loop,commit=300,data=journal';
  }

  /**
   * Makes and mounts one.
   * @param parent folder in which it makes a folder of its own
   * @throws Error with what mount said, where this process may not mount
   */
  static make(parent: string, sizeMiB: number, mode: PowerDiskMode): PowerDisk {
    const disk = new PowerDisk(mkdtempSync(join(parent, 'power-disk-')), mode);
    mkdirSync(disk.path);
    const memory = join(disk.#folder, 'memory');
    mkdirSync(memory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB + 1}m`, 'tmpfs', memory]);
    writeFileSync(disk.#image, '');
    truncateSync(disk.#image, sizeMiB * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=1,nodiscard', disk.#image]);
    disk.#mount();
    return disk;
  }

  /** The power goes. The caller ends the processes that used the disk, then calls `restore`. */
  async cut(): Promise<void> {
    await this.#endSwitch('now\n');
  }

  /** The power is back: ext4's journal is replayed. No process may have files open on it. */
  restore(): void {
    execFileSync('umount', [this.path]);
    this.#mount();
  }

  /** Unmounts and removes it. */
  async remove(): Promise<void> {
    await this.#endSwitch('');
    execFileSync('umount', [this.path]);
    execFileSync('umount', [join(this.#folder, 'memory')]);
    rmSync(this.#folder, { recursive: true });
  }

  async #endSwitch(word: string): Promise<void> {
    const process = this.#switch;
    this.#switch = undefined;
    if (process === undefined) return;
    const ended = once(process, 'close');
    process.stdin?.end(word);
    const [code] = await ended;
    if (code !== 0) throw new Error(`the power of ${this.path} could not be cut: python3 ended with ${code}`);
  }

  #mount(): void {
    execFileSync('mount', ['-o', this.#options, this.#image, this.path]);
    this.#switch = spawn('python3', ['-c', SWITCH, this.path], { stdio: ['pipe', 'ignore', 'inherit'] });
  }
}
