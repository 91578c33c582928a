/** Who is next among those that wait for one target: the most urgent, whose urgency grows while they wait, in turns. */

export interface Waiting {
  readonly client: string
  /** 0 to 9. */
  readonly priority: number
  /** Epoch milliseconds since when it waits. */
  readonly since: number
  /** Smaller came first. */
  readonly ordinal: number
  /** It is served, refused or has left: it is dropped when it is come across. */
  isOver: boolean
}

/** When each client was last served, in the order of service. */
export interface Turns {
  of(client: string): number
  served(client: string): void
}

/** Of those whom it has forgotten it says that they have never been served. */
const mostClients = 1_000

/**
 * Those served last in `recent`, those served before them in `older`; nothing is ever deleted from either, for deleting and
 * adding for ever costs a table more than it holds.
 */
export const turns = (): Turns => {
  let recent = new Map<string, number>()
  let older = new Map<string, number>()
  let turn = 0
  return {
    of: (client) => recent.get(client) ?? older.get(client) ?? 0,
    served: (client) => {
      recent.set(client, ++turn)
      if (recent.size <= mostClients) return
      older = recent
      recent = new Map()
    }
  }
}

/** In so many steps within each `ageing`: between two steps the order of a line does not change by itself. */
const steps = 10

const stepOf = (now: number, ageing: number): number => Math.floor((now * steps) / ageing)

/** Its priority, and one more for each `ageing` milliseconds it has waited by the last step. */
export const urgency = ({ priority, since }: Waiting, now: number, ageing: number): number =>
  priority + Math.floor(Math.max(0, (stepOf(now, ageing) * ageing) / steps - since) / ageing)

/** Whether `a` goes before `b`. */
export const before = (a: Waiting, b: Waiting, now: number, ageing: number, turns: Turns): boolean => {
  const byUrgency = urgency(b, now, ageing) - urgency(a, now, ageing)
  if (byUrgency !== 0) return byUrgency < 0
  const byTurn = turns.of(a.client) - turns.of(b.client)
  if (byTurn !== 0) return byTurn < 0
  return a.since === b.since ? a.ordinal < b.ordinal : a.since < b.since
}

export interface Line<W extends Waiting> {
  add(waiting: W, now: number): void
  /** The next; it stays in line until it is over. */
  first(now: number): W | undefined
  /** How many are in it, those that are over and not yet come across included. */
  readonly size: number
}

const few = 64

/** Those of one urgency are a `Crowd`; whenever time has changed the urgencies, they are told apart anew. Bounded by who may wait. */
export const make = <W extends Waiting>(ageing: number, turns: Turns): Line<W> => {
  const crowds = new Map<number, Crowd<W>>()
  let highest = Number.NEGATIVE_INFINITY
  let step = Number.NEGATIVE_INFINITY
  let size = 0
  let tidyAt = few

  const place = (waiting: W, now: number) => {
    const rank = urgency(waiting, now, ageing)
    let crowd = crowds.get(rank)
    if (crowd === undefined) crowds.set(rank, (crowd = new Crowd(turns)))
    crowd.add(waiting)
    highest = Math.max(highest, rank)
    size++
  }

  const rebuild = (now: number) => {
    const all: Array<W> = []
    for (const crowd of crowds.values()) crowd.each((waiting) => void all.push(waiting))
    crowds.clear()
    highest = Number.NEGATIVE_INFINITY
    size = 0
    for (const waiting of all) place(waiting, now)
    tidyAt = Math.max(few, 2 * size)
  }

  const update = (now: number) => {
    const current = stepOf(now, ageing)
    if (current === step && size < tidyAt) return
    step = current
    if (size > 0) rebuild(now)
  }

  return {
    get size() {
      return size
    },
    add: (waiting, now) => {
      update(now)
      place(waiting, now)
    },
    first: (now) => {
      update(now)
      while (size > 0) {
        const crowd = crowds.get(highest)
        const left = crowd?.size ?? 0
        const found = crowd?.first()
        size -= left - (crowd?.size ?? 0)
        if (found !== undefined) return found
        crowds.delete(highest)
        highest = Math.max(...crowds.keys())
      }
      return undefined
    }
  }
}

/** A client among those of one urgency, as it stood when it was last looked at. */
interface Place {
  readonly client: string
  turn: number
  since: number
  ordinal: number
}

/** Who are equally urgent: the client that was served longest ago is next, with what it has asked first. */
class Crowd<W extends Waiting> {
  /** Those in it, as `Line.size` counts them. */
  size = 0
  readonly #turns: Turns
  /** In the order of waiting. */
  readonly #ofClient = new Map<string, Array<W>>()
  /**
   * A heap of the clients. A client only ever moves back, by being served or by losing its first; so one that comes to the
   * top is put where it belongs by now. One that has moved forward, by a further attempt that is older, has a second place.
   */
  readonly #heap: Array<Place> = []

  constructor(turns: Turns) {
    this.#turns = turns
  }

  each(visit: (waiting: W) => void): void {
    for (const queue of this.#ofClient.values()) {
      for (const waiting of queue) if (!waiting.isOver) visit(waiting)
    }
  }

  add(waiting: W): void {
    this.size++
    const queue = this.#ofClient.get(waiting.client)
    if (queue === undefined) {
      this.#ofClient.set(waiting.client, [waiting])
      return this.#rise(this.#placeOf(waiting))
    }
    // Nearly always at the end: only a further attempt has waited longer than those already there.
    let at = queue.length
    while (at > 0 && isEarlier(waiting, queue[at - 1])) at--
    if (at === queue.length) queue.push(waiting)
    else queue.splice(at, 0, waiting)
    if (at === 0) this.#rise(this.#placeOf(waiting))
  }

  first(): W | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      const head = this.#headOf(top.client)
      if (head === undefined) {
        const last = this.#heap.pop()
        if (last !== undefined && last !== top) this.#sink(last)
        continue
      }
      const turn = this.#turns.of(top.client)
      if (turn === top.turn && head.since === top.since && head.ordinal === top.ordinal) return head
      top.turn = turn
      top.since = head.since
      top.ordinal = head.ordinal
      this.#sink(top)
    }
    return undefined
  }

  /** Drops those that are over on the way. */
  #headOf(client: string): W | undefined {
    const queue = this.#ofClient.get(client)
    if (queue === undefined) return undefined
    let gone = 0
    while (queue[gone]?.isOver === true) gone++
    this.size -= gone
    if (gone > 0) queue.splice(0, gone)
    if (queue.length === 0) this.#ofClient.delete(client)
    return queue[0]
  }

  #placeOf({ client, ordinal, since }: W): Place {
    return { client, turn: this.#turns.of(client), since, ordinal }
  }

  #rise(place: Place): void {
    let at = this.#heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = this.#heap[parent]
      if (above === undefined || !goesBefore(place, above)) break
      this.#heap[at] = above
      at = parent
    }
    this.#heap[at] = place
  }

  /** Down from the top. */
  #sink(place: Place): void {
    let at = 0
    while (true) {
      const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]]
      const isRight = left !== undefined && right !== undefined && goesBefore(right, left)
      const child = isRight ? right : left
      if (child === undefined || !goesBefore(child, place)) break
      this.#heap[at] = child
      at = 2 * at + (isRight ? 2 : 1)
    }
    this.#heap[at] = place
  }
}

const isEarlier = (a: Waiting, b: Waiting | undefined): boolean => b !== undefined && a.since < b.since

const goesBefore = (a: Place, b: Place): boolean =>
  a.turn === b.turn ? (a.since === b.since ? a.ordinal < b.ordinal : a.since < b.since) : a.turn < b.turn
