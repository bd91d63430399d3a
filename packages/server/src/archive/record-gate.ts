/**
 * Keeps those apart who make files of single records and those who remove some: a file that is there already is taken
 * for a new record of the same content, so it must not be removed before that record is announced.
 */
export class RecordGate {
  #makers = 0;
  #remover: Promise<void> | undefined;
  #idle: () => void = () => {};

  /** Makes files and announces them. */
  async make<T>(work: () => Promise<T>): Promise<T> {
    while (this.#remover !== undefined) await this.#remover;
    this.#makers += 1;
    try {
      return await work();
    } finally {
      this.#makers -= 1;
      if (this.#makers === 0) this.#idle();
    }
  }

  /** Removes files while nobody makes any. */
  async remove<T>(work: () => Promise<T>): Promise<T> {
    while (this.#remover !== undefined) await this.#remover;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#remover = promise;
    try {
      if (this.#makers > 0) {
        await new Promise<void>((idle) => {
          this.#idle = idle;
        });
      }
      return await work();
    } finally {
      this.#remover = undefined;
      resolve();
    }
  }
}
