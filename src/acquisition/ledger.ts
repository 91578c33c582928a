/**
 * The ledger of one provider's acquisitions and the pure rules of its budget. Attempts are kept by number, never by age,
 * and those in the future count as recent: so a clock that jumps forward and back opens nothing.
 */
import { Schema } from "effect"
import { Sealed } from "../store/Vault.ts"
import type { Budget } from "./budget.ts"

export const Attempt = Schema.Struct({
  id: Schema.String,
  at: Schema.Finite,
  why: Schema.String,
  /** `pending` also when the process died: it stays spent. */
  outcome: Schema.Literals(["pending", "succeeded", "failed"]),
  /**
   * What the upstream gave before the token was stored, until when somebody is making a token of it, and how often that
   * was begun again.
   */
  unfinished: Schema.optionalKey(Schema.Struct({ sealed: Sealed, heldUntil: Schema.Finite, tries: Schema.Int }))
})
export type Attempt = typeof Attempt.Type

export const Ledger = Schema.Struct({
  /** Oldest first; each is later than the one before, since two are never closer than the interval. */
  attempts: Schema.Array(Attempt),
  consecutiveFailures: Schema.Int,
  /** No attempt before this, for failures. Only ever moves later. */
  blockedUntil: Schema.Finite,
  total: Schema.Int,
  succeeded: Schema.Int,
  failed: Schema.Int,
  failureTypes: Schema.Record(Schema.String, Schema.Int),
  lastSucceededAt: Schema.optionalKey(Schema.Finite),
  lastFailure: Schema.optionalKey(Schema.Struct({ at: Schema.Finite, type: Schema.String }))
})
export type Ledger = typeof Ledger.Type

export const empty: Ledger = {
  attempts: [],
  consecutiveFailures: 0,
  blockedUntil: 0,
  total: 0,
  succeeded: 0,
  failed: 0,
  failureTypes: {}
}

export type Rule = "hourly" | "daily" | "interval" | "backoff"

/** The rule that holds longest and when it lets go: from then on, and no earlier, an attempt is allowed. */
export interface Gate {
  readonly rule: Rule
  readonly opensAt: number
}

export const hour = 3_600_000
export const day = 24 * hour

export const gate = (ledger: Ledger, budget: Budget): Gate => {
  const nthNewest = (n: number) => ledger.attempts.at(-n)?.at ?? Number.NEGATIVE_INFINITY
  const gates: ReadonlyArray<Gate> = [
    { rule: "backoff", opensAt: ledger.blockedUntil },
    { rule: "daily", opensAt: nthNewest(budget.daily) + day },
    { rule: "hourly", opensAt: nthNewest(budget.hourly) + hour },
    { rule: "interval", opensAt: nthNewest(1) + budget.interval }
  ]
  return gates.reduce((latest, gate) => (gate.opensAt > latest.opensAt ? gate : latest))
}

/** Takes a place, or says which rule is against it. */
export const reserve = (
  ledger: Ledger,
  budget: Budget,
  now: number,
  why: string
): readonly [taken: Attempt | undefined, gate: Gate, next: Ledger] => {
  const shut = gate(ledger, budget)
  if (now < shut.opensAt) return [undefined, shut, ledger]
  const attempt: Attempt = { id: String(ledger.total + 1), at: now, why, outcome: "pending" }
  // Never fewer than are there: another process on this ledger may count further back.
  const keep = Math.max(budget.hourly, budget.daily, ledger.attempts.length)
  return [attempt, shut, { ...ledger, attempts: [...ledger.attempts, attempt].slice(-keep), total: ledger.total + 1 }]
}

/** The attempt gave a token, be it only after it had been given up. */
export const succeed = (ledger: Ledger, id: string, now: number): Ledger => {
  const before = ledger.attempts.find((attempt) => attempt.id === id)
  if (before?.outcome === "succeeded") return ledger
  return {
    ...change(ledger, id, (attempt) => ({ ...withoutSecret(attempt), outcome: "succeeded" })),
    consecutiveFailures: 0,
    succeeded: ledger.succeeded + 1,
    failed: ledger.failed - (before?.outcome === "failed" ? 1 : 0),
    lastSucceededAt: now
  }
}

export interface AttemptFailure {
  readonly type: string
  /** How long the upstream asked us to stay away, in milliseconds. */
  readonly retryAfter?: number | undefined
  /** Whether what the upstream gave before it failed may still become a token. */
  readonly unfinished?: boolean | undefined
}

export const fail = (ledger: Ledger, budget: Budget, id: string, now: number, failure: AttemptFailure): Ledger => {
  const before = ledger.attempts.find((attempt) => attempt.id === id)
  if (before !== undefined && before.outcome !== "pending") {
    return failure.unfinished === true || before.unfinished === undefined ? ledger : change(ledger, id, withoutSecret)
  }
  const consecutiveFailures = ledger.consecutiveFailures + 1
  const backoff = Math.min(budget.base * 2 ** (consecutiveFailures - 1), budget.max)
  const stated = Math.min(Math.max(failure.retryAfter ?? 0, 0), longestStated)
  const type = Object.keys(ledger.failureTypes).length < mostTypes ? failure.type.slice(0, 64) : "other"
  return {
    ...change(ledger, id, (attempt) => ({
      ...(failure.unfinished === true ? attempt : withoutSecret(attempt)),
      outcome: "failed"
    })),
    consecutiveFailures,
    blockedUntil: Math.max(ledger.blockedUntil, now + Math.ceil(Math.max(backoff, stated))),
    failed: ledger.failed + 1,
    failureTypes: { ...ledger.failureTypes, [type]: (ledger.failureTypes[type] ?? 0) + 1 },
    lastFailure: { at: now, type }
  }
}

/** How long what is unfinished is the first process's alone; it doubles each time somebody else takes it over. */
export const firstHold = 45_000
const longestHold = 900_000
const holdTime = (tries: number) => Math.min(firstHold * 2 ** tries, longestHold)

/** Keeps what the upstream gave until the token is stored. */
export const hold = (ledger: Ledger, id: string, sealed: Sealed, now: number): Ledger =>
  change(ledger, id, (attempt) => ({
    ...attempt,
    unfinished: { sealed, heldUntil: now + holdTime(0), tries: 0 }
  }))

/** What the upstream gave for a user is worth nothing after an hour. */
const isWorthless = ({ at }: Attempt, now: number) => now - at >= hour

const isFree = ({ unfinished }: Attempt, now: number) =>
  unfinished !== undefined &&
  // A hold that ends later than one that is begun now was made by a clock that has jumped back.
  (unfinished.heldUntil <= now || unfinished.heldUntil > now + holdTime(unfinished.tries))

/** Whether `takeOver` has anything to do. */
export const hasLeft = (ledger: Ledger, now: number) =>
  ledger.attempts.some(
    (attempt) => attempt.unfinished !== undefined && (isWorthless(attempt, now) || isFree(attempt, now))
  )

/** When the first unfinished attempt that is still worth something can be taken over. */
export const finishableAt = (ledger: Ledger, now: number): number | undefined => {
  const times = ledger.attempts.flatMap((attempt) =>
    attempt.unfinished === undefined || isWorthless(attempt, Math.max(now, attempt.unfinished.heldUntil))
      ? []
      : [attempt.unfinished.heldUntil]
  )
  return times.length === 0 ? undefined : Math.min(...times)
}

export interface Left {
  readonly attempt: Attempt
  readonly sealed: Sealed
  /** Whether nobody has taken it over before, and whether nobody can after this. */
  readonly isFirst: boolean
  readonly isLast: boolean
}

/** Takes over the newest attempt that somebody left unfinished. What is worthless is thrown away. */
export const takeOver = (ledger: Ledger, now: number): readonly [Left | undefined, next: Ledger] => {
  const isToGo = (attempt: Attempt) => attempt.unfinished !== undefined && isWorthless(attempt, now)
  const kept = ledger.attempts.some(isToGo)
    ? { ...ledger, attempts: ledger.attempts.map((attempt) => (isToGo(attempt) ? withoutSecret(attempt) : attempt)) }
    : ledger
  const attempt = kept.attempts.findLast((attempt) => isFree(attempt, now))
  if (attempt?.unfinished === undefined) return [undefined, kept]
  const { sealed } = attempt.unfinished
  const tries = attempt.unfinished.tries + 1
  const heldUntil = now + holdTime(tries)
  const left = { attempt, sealed, isFirst: tries === 1, isLast: isWorthless(attempt, heldUntil) }
  return [left, change(kept, attempt.id, (attempt) => ({ ...attempt, unfinished: { sealed, heldUntil, tries } }))]
}

export const countSince = (ledger: Ledger, since: number) => ledger.attempts.filter(({ at }) => at > since).length

const longestStated = 365 * day
/** Kinds of failure counted apart; the others share one count. */
const mostTypes = 32

const withoutSecret = ({ unfinished: _, ...attempt }: Attempt): Attempt => attempt

const change = (ledger: Ledger, id: string, f: (attempt: Attempt) => Attempt): Ledger => ({
  ...ledger,
  attempts: ledger.attempts.map((attempt) => (attempt.id === id ? f(attempt) : attempt))
})
