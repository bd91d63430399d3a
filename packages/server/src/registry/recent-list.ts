/**
 * A bounded list of what unproved peers did, the latest last. When it is full the oldest goes; and no address may have
 * more than a part of it, so that one that floods it pushes out its own entries and not those of others.
 */
export class RecentList<T extends { readonly address: string }> {
  readonly #capacity: number;
  readonly #capacityPerAddress: number;
  readonly #items = new Map<string, T>();
  readonly #perAddress = new Map<string, number>();

  /**
   * @param capacity items in all
   * @param capacityPerAddress items of one address
   */
  constructor(capacity: number, capacityPerAddress: number) {
    this.#capacity = capacity;
    this.#capacityPerAddress = capacityPerAddress;
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  /** Adds an item, or replaces the one with its key; it becomes the latest. */
  set(key: string, item: T): void {
    this.delete(key);
    if ((this.#perAddress.get(item.address) ?? 0) >= this.#capacityPerAddress) {
      this.#deleteOldest((each) => each.address === item.address);
    }
    if (this.#items.size >= this.#capacity) this.#deleteOldest(() => true);
    this.#items.set(key, item);
    this.#perAddress.set(item.address, (this.#perAddress.get(item.address) ?? 0) + 1);
  }

  delete(key: string): void {
    const item = this.#items.get(key);
    if (item === undefined) return;
    this.#items.delete(key);
    const left = (this.#perAddress.get(item.address) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(item.address, left);
    else this.#perAddress.delete(item.address);
  }

  /** Deletes all that `match`. @returns whether there were any */
  deleteWhere(match: (item: T) => boolean): boolean {
    const keys = [...this.#items].filter(([, item]) => match(item)).map(([key]) => key);
    for (const key of keys) this.delete(key);
    return keys.length > 0;
  }

  /** The oldest first, as they would be set again. */
  oldestFirst(): T[] {
    return [...this.#items.values()];
  }

  latestFirst(): T[] {
    return this.oldestFirst().reverse();
  }

  #deleteOldest(match: (item: T) => boolean): void {
    for (const [key, item] of this.#items) {
      if (!match(item)) continue;
      this.delete(key);
      return;
    }
  }
}
