/** The leases that this process has given and not had back. Deterministic: is told the time by what is put in. */

export interface Entry {
  readonly id: string
  readonly caller: string
  readonly token: string
  /** Of the secret that was lent. */
  readonly digest: string
}

export interface OpenLeases<A extends Entry> {
  /**
   * When there are too many, one is closed to make room, and is the answer: the oldest of whoever has most, so that a caller who
   * never reports crowds out itself.
   */
  open(lease: A): A | undefined
  /** Undefined when it is not open. */
  close(id: string): A | undefined
  oldest(): A | undefined
  /**
   * The caller's oldest of what was lent with this secret; failing that, of this token: a program may report with a secret
   * that it got later.
   */
  oldestOf(caller: string, digest: string, token: string | undefined): A | undefined
  readonly size: () => number
}

/** Holds `capacity` at most. */
export const make = <A extends Entry>(capacity: number): OpenLeases<A> => {
  // Maps keep the order in which things were put in.
  const leases = new Map<string, A>()
  const ofCaller = new Map<string, Map<string, A>>()

  const oldest = (): A | undefined => leases.values().next().value
  const oldestOfMost = (): A | undefined => {
    let most: Map<string, A> | undefined
    for (const own of ofCaller.values()) if (most === undefined || own.size > most.size) most = own
    return most?.values().next().value
  }
  const close = (id: string) => {
    const lease = leases.get(id)
    if (lease === undefined) return undefined
    leases.delete(id)
    const own = ofCaller.get(lease.caller)
    own?.delete(id)
    if (own?.size === 0) ofCaller.delete(lease.caller)
    return lease
  }

  return {
    open: (lease) => {
      leases.set(lease.id, lease)
      const own = ofCaller.get(lease.caller)
      if (own === undefined) ofCaller.set(lease.caller, new Map([[lease.id, lease]]))
      else own.set(lease.id, lease)
      const first = leases.size > capacity ? oldestOfMost() : undefined
      return first && close(first.id)
    },
    close,
    oldest,
    oldestOf: (caller, digest, token) => {
      let ofToken: A | undefined
      for (const lease of ofCaller.get(caller)?.values() ?? []) {
        if (lease.digest === digest) return lease
        if (lease.token === token) ofToken ??= lease
      }
      return ofToken
    },
    size: () => leases.size
  }
}
