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

/** Its priority, and one more for each `ageing` milliseconds it has waited. */
export const urgency = ({ priority, since }: Waiting, now: number, ageing: number): number =>
  priority + Math.floor(Math.max(0, now - since) / ageing)

/** Whether `a` goes before `b`. */
export const before = (a: Waiting, b: Waiting, now: number, ageing: number, turns: Turns): boolean => {
  const byUrgency = urgency(b, now, ageing) - urgency(a, now, ageing)
  if (byUrgency !== 0) return byUrgency < 0
  const byTurn = turns.of(a.client) - turns.of(b.client)
  if (byTurn !== 0) return byTurn < 0
  return a.since === b.since ? a.ordinal < b.ordinal : a.since < b.since
}

export interface Line<W extends Waiting> {
  add(waiting: W): void
  /** The next; it stays in line until it is over. */
  first(now: number): W | undefined
  /** How many are in it, those that are over and not yet come across included. */
  readonly size: number
}

interface Queue<W> {
  items: Array<W>
  tidyAt: number
}

const few = 64

/** One queue for each client and priority, in the order of waiting: only their heads are compared. Bounded by who may wait. */
export const make = <W extends Waiting>(ageing: number, turns: Turns): Line<W> => {
  const queues = new Map<string, Queue<W>>()
  let size = 0

  const head = (key: string, { items }: Queue<W>): W | undefined => {
    while (items[0]?.isOver === true) {
      items.shift()
      size--
    }
    if (items.length === 0) queues.delete(key)
    return items[0]
  }

  /** Those that are over behind a head that stays: looked for whenever there are twice as many as were left last. */
  const tidy = (queue: Queue<W>) => {
    if (queue.items.length < queue.tidyAt) return
    const left = queue.items.filter(({ isOver }) => !isOver)
    size -= queue.items.length - left.length
    queue.items = left
    queue.tidyAt = Math.max(few, 2 * left.length)
  }

  return {
    get size() {
      return size
    },
    add: (waiting) => {
      const key = `${waiting.priority} ${waiting.client}`
      const queue = queues.get(key) ?? { items: [], tidyAt: few }
      queues.set(key, queue)
      tidy(queue)
      size++
      const { items } = queue
      // Nearly always at the end: only a further attempt has waited longer than those already there.
      let at = items.length
      while (at > 0) {
        const other = items[at - 1]
        if (other === undefined || other.since <= waiting.since) break
        at--
      }
      items.splice(at, 0, waiting)
    },
    first: (now) => {
      let best: W | undefined
      for (const [key, queue] of queues) {
        const waiting = head(key, queue)
        if (waiting !== undefined && (best === undefined || before(waiting, best, now, ageing, turns))) best = waiting
      }
      return best
    }
  }
}
