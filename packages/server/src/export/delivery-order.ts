/**
 * Turns deliveries in any order into a count of the oldest: what a source wants to know. Each record has a ticket,
 * given out in order.
 */
export class DeliveryOrder {
  /** Whether the records from `#first` on are done. */
  #done: boolean[] = [];
  #head = 0;
  #first = 0;

  /** Records that were added and are not among the oldest delivered. */
  get outstanding(): number {
    return this.#done.length - this.#head;
  }

  /** @returns the record's ticket */
  add(): number {
    this.#done.push(false);
    return this.#first + this.#done.length - 1;
  }

  /** The record with this ticket is delivered. @returns how many more of the oldest are, now that it is */
  done(ticket: number): number {
    this.#done[ticket - this.#first] = true;
    const before = this.#head;
    while (this.#done[this.#head] === true) this.#head++;
    const count = this.#head - before;
    if (this.#head > 1024 && this.#head * 2 > this.#done.length) {
      this.#done = this.#done.slice(this.#head);
      this.#first += this.#head;
      this.#head = 0;
    }
    return count;
  }
}
