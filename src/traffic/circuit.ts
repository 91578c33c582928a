/** Whether a target is in order: leaves alone one that fails, tries it with a single call, and lets it come back slowly. */
import { statedEnd } from "../pool/backoff.ts"

export type CircuitState = "closed" | "open" | "half_open" | "returning"

/** What a call was begun under. */
export interface Ticket {
  readonly epoch: number
  readonly isProbe: boolean
  hasAnswered: boolean
}

export interface Circuit {
  /** How many more calls may begin. */
  room(now: number): number
  /** When it is next tried; undefined while it is being tried, or in order. */
  triedAt(now: number): number | undefined
  begin(now: number): Ticket
  /** `statedUntil`: the upstream has said when it will be back. Each call that began ends here, once. */
  end(ticket: Ticket, now: number, outcome: "served" | "failed" | "neutral", statedUntil?: number): void
  /** The first content has come: it is as good as back, however long the answer takes from here. */
  answering(ticket: Ticket): void
  /** As if new. What is under way says nothing of it any more. */
  reset(): void
  /** As `view` has it, but for a probe that is due: only what happens changes this, time does not. */
  readonly state: () => Exclude<CircuitState, "half_open">
  view(now: number): {
    readonly state: CircuitState
    readonly until: number | undefined
    readonly source: "stated" | "guessed" | undefined
  }
}

/** Two failures in a row open it, when nothing else has been heard for so long: at a high rate two in a row may be chance. */
const quiet = 3_000
/** So many in a row open it at any rate. */
const inARow = 4
/** Half of at least so many calls within the span. */
const sample = 10
const span = 30_000
/** The most outcomes it looks at; up to twice as many are kept, so that they are not moved with each call. */
const remembered = 50
/** With a request every few seconds, the last of them is what it takes to be back half a minute after an outage. */
const gaps = [10_000, 20_000, 25_000]
/** Calls at once while it comes back; beyond the last it is closed. */
const ramp = [1, 2, 4, 8, 16]

export const make = (): Circuit => {
  let epoch = 0
  let state: "closed" | "open" | "returning" = "closed"
  let outcomes: Array<{ readonly at: number; readonly ok: boolean }> = []
  let failures = 0
  let servedAt = Number.NEGATIVE_INFINITY
  let until = 0
  let source: "stated" | "guessed" = "guessed"
  let relapses = 0
  let probe: Ticket | undefined
  let step = 0
  let inFlight = 0

  const open = (now: number, stated: number | undefined) => {
    const end =
      stated === undefined
        ? { until: now + (gaps[Math.min(relapses, gaps.length - 1)] ?? 0), source: "guessed" as const }
        : statedEnd(now, stated)
    relapses++
    epoch++
    state = "open"
    until = end.until
    source = end.source
    probe = undefined
    inFlight = 0
    outcomes = []
    failures = 0
  }

  const note = (now: number, ok: boolean) => {
    outcomes.push({ at: now, ok })
    if (outcomes.length > 2 * remembered) outcomes.splice(0, remembered)
    failures = ok ? 0 : failures + 1
    if (ok) servedAt = now
  }

  const isFailing = (now: number) => {
    if (failures >= inARow || (failures >= 2 && now - servedAt >= quiet)) return true
    const recent = outcomes.slice(-remembered).filter(({ at }) => now - at < span)
    const failed = recent.reduce((sum, { ok }) => sum + (ok ? 0 : 1), 0)
    return recent.length >= sample && failed * 2 >= recent.length
  }

  /** One step on the way back. */
  const advance = (ticket: Ticket) => {
    if (ticket.isProbe && state === "open") {
      probe = undefined
      state = "returning"
      step = 0
    } else if (state === "returning" && ++step >= ramp.length) {
      state = "closed"
      relapses = 0
    }
  }

  const served = (now: number, ticket: Ticket) => {
    note(now, true)
    if (!ticket.hasAnswered) advance(ticket)
  }

  return {
    room: (now) => {
      if (state === "closed") return Number.POSITIVE_INFINITY
      if (state === "returning") return (ramp[step] ?? 1) - inFlight
      return now >= until && probe === undefined ? 1 : 0
    },
    triedAt: (now) => (state === "open" && probe === undefined ? Math.max(now, until) : undefined),
    begin: () => {
      const ticket = { epoch, isProbe: state === "open", hasAnswered: false }
      if (ticket.isProbe) probe = ticket
      inFlight++
      return ticket
    },
    end: (ticket, now, outcome, statedUntil) => {
      // What was under way before it opened says nothing of how things are now, but for a later end that was stated.
      if (ticket.epoch !== epoch) {
        if (outcome === "failed" && statedUntil !== undefined && state === "open" && probe === undefined) {
          const end = statedEnd(now, statedUntil)
          if (end.until > until) ({ until, source } = end)
        }
        return
      }
      if (!ticket.hasAnswered) inFlight--
      if (ticket === probe) probe = undefined
      if (outcome === "served") return served(now, ticket)
      if (outcome === "neutral") return
      note(now, false)
      if (ticket.isProbe || state === "returning" || statedUntil !== undefined || isFailing(now)) open(now, statedUntil)
    },
    answering: (ticket) => {
      if (ticket.epoch !== epoch || ticket.hasAnswered) return
      ticket.hasAnswered = true
      inFlight--
      advance(ticket)
    },
    reset: () => {
      epoch++
      state = "closed"
      outcomes = []
      failures = 0
      servedAt = Number.NEGATIVE_INFINITY
      relapses = 0
      probe = undefined
      step = 0
      inFlight = 0
    },
    state: () => state,
    view: (now) => {
      if (state !== "open") return { state, until: undefined, source: undefined }
      return { state: now >= until ? "half_open" : "open", until, source }
    }
  }
}
