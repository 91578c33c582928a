/** Keeps what comes and goes all the time. */

export interface Member {
  /** Where it stands: the roster's own, -1 to begin with. A member is on one roster at a time. */
  place: number
}

/**
 * No `Set`: one that is added to and deleted from for ever leaves a chain of outgrown tables behind it, and with them everything
 * that was ever in it lives on until the next full collection. Bounded by whoever adds. Never in a certain order.
 */
export class Roster<A extends Member> {
  readonly #members: Array<A> = []

  get size(): number {
    return this.#members.length
  }

  add(member: A): void {
    if (!this.has(member)) member.place = this.#members.push(member) - 1
  }

  has(member: A): boolean {
    return this.#members[member.place] === member
  }

  delete(member: A): void {
    if (!this.has(member)) return
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    this.#members[member.place] = last
    last.place = member.place
  }

  /** Each once, whoever is deleted meanwhile; whether one that is added meanwhile is visited is left open. */
  each(visit: (member: A) => void): void {
    // Backwards: whoever takes the place of one that goes has been visited already.
    for (let place = this.#members.length - 1; place >= 0; place--) {
      const member = this.#members[place]
      if (member !== undefined) visit(member)
    }
  }
}
