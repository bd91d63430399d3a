/** How many connections, and bytes of theirs, the pool holds. */
export interface UnprovedLimits {
  readonly unprovedConnections: number;
  readonly unprovedPerAddress: number;
  readonly unprovedBytes: number;
}

/** A connection, or a handshake, of which no frame has been verified. */
export interface UnprovedMember {
  /** What shares one bound: an IPv4 address, or a /64 of IPv6. */
  readonly group: string;
  /** Bytes that the server holds for it. */
  readonly pendingBytes: number;
}

/**
 * The connections that have not proved anything, in the order of their last sign of life. Over a limit the longest idle
 * one has to go. Those that have proved themselves are not in here, so they are never closed for others.
 */
export class UnprovedPool<M extends UnprovedMember> {
  readonly #limits: UnprovedLimits;
  /** Sets keep the order of insertion: the longest idle one is first. */
  readonly #members = new Map<M, number>();
  readonly #groups = new Map<string, Set<M>>();
  #bytes = 0;

  constructor(limits: UnprovedLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Adds a member. @returns the one that has to go because of it, already taken out; never the new one */
  add(member: M): M | undefined {
    this.#put(member);
    const group = this.#groups.get(member.group);
    const crowded = group !== undefined && group.size > this.#limits.unprovedPerAddress ? group : undefined;
    const full = this.#members.size > this.#limits.unprovedConnections ? this.#members.keys() : undefined;
    const [idlest] = crowded ?? full ?? [];
    if (idlest === undefined || idlest === member) return undefined;
    this.remove(idlest);
    return idlest;
  }

  /** Notes a sign of life. @returns the one that has to go because too many bytes are held, already taken out */
  touch(member: M): M | undefined {
    if (!this.#members.has(member)) return undefined;
    this.remove(member);
    this.#put(member);
    if (this.#bytes <= this.#limits.unprovedBytes) return undefined;
    for (const [idlest, bytes] of this.#members) {
      if (bytes === 0) continue;
      this.remove(idlest);
      return idlest;
    }
    return undefined;
  }

  remove(member: M): void {
    this.#bytes -= this.#members.get(member) ?? 0;
    this.#members.delete(member);
    const group = this.#groups.get(member.group);
    group?.delete(member);
    if (group?.size === 0) this.#groups.delete(member.group);
  }

  #put(member: M): void {
    this.#members.set(member, member.pendingBytes);
    this.#bytes += member.pendingBytes;
    const group = this.#groups.get(member.group) ?? new Set();
    this.#groups.set(member.group, group);
    group.add(member);
  }
}
