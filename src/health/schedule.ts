/** Which tokens are to be checked now, and when to look again: a pure rule. Instants and times are in milliseconds. */
import type { TokenId } from "../domain/Token.ts"
import { isProvable, needsPerson } from "../pool/checkRules.ts"
import type { TokenState } from "../pool/tokenState.ts"

/** What of a token matters to its schedule. */
export interface Scheduled {
  readonly id: TokenId
  readonly state: TokenState
  readonly createdAt: number
  readonly lastCheck: { readonly at: number } | undefined
  /** When a call last proved it good. */
  readonly provenAt: number | undefined
}

export interface Course {
  readonly now: number
  /** Each token has one turn in this time. */
  readonly every: number
  /** Turns before it are over: what was not checked while nobody was there is not made up for all at once. */
  readonly since: number
  /** When a check of a token was last tried here, whatever came of it. */
  tried(id: TokenId): number | undefined
}

export interface Plan<T> {
  /** In the order in which their time has come. */
  readonly due: ReadonlyArray<T>
  /** When the first of the others is due, should nothing happen until then; infinite when none will be. */
  readonly next: number
}

/**
 * A token's place in the interval follows from all ids that are there: they are put in an order that is the same in every
 * process and has nothing to do with their names, and spread evenly. One that comes or goes moves the others by less than a
 * place.
 */
export const plan = <T extends Scheduled>(tokens: ReadonlyArray<T>, course: Course): Plan<T> => {
  const placed = tokens
    .map((token) => ({ token, place: placeOf(token.id) }))
    .toSorted((a, b) => a.place - b.place || (a.token.id < b.token.id ? -1 : 1))
  const due: Array<{ readonly token: T; readonly at: number }> = []
  let next = Number.POSITIVE_INFINITY
  placed.forEach(({ token }, rank) => {
    const at = dueAt(token, Math.floor((rank * course.every) / placed.length), course)
    if (at <= course.now) due.push({ token, at })
    else next = Math.min(next, at)
  })
  return { due: due.toSorted((a, b) => a.at - b.at).map(({ token }) => token), next }
}

/** When the token is, or was, to be checked; an instant that is over when it has not been since. */
const dueAt = (token: Scheduled, phase: number, course: Course): number => {
  const { state } = token
  if (needsPerson(state)) return Number.POSITIVE_INFINITY
  const last = Math.max(
    token.lastCheck?.at ?? Number.NEGATIVE_INFINITY,
    course.tried(token.id) ?? Number.NEGATIVE_INFINITY
  )
  const until = endOf(state)
  if (until !== undefined && last < until && isProvable(state)) return until
  return turnOf(token, phase, { ...course, last, until })
}

/** Before that, nothing that the upstream may say would bring the token back; of a quota it may take back what was guessed. */
const endOf = (state: TokenState): number | undefined =>
  state._tag === "cooling" || state._tag === "disabled" || (state._tag === "exhausted" && state.source === "stated")
    ? state.until
    : undefined

/** The latest turn that has come, or the first that counts. */
const turnOf = (
  { createdAt, provenAt }: Scheduled,
  phase: number,
  { every, last, now, since, until }: Course & { readonly last: number; readonly until: number | undefined }
): number => {
  const begun = Math.floor((now - phase) / every)
  const first = Math.max(
    Math.max(since, createdAt) + 1,
    // Sooner would be too often; half the time leaves room for places that move.
    Math.floor(last + every / 2) + 1,
    // Until then its calls are the check.
    (provenAt ?? Number.NEGATIVE_INFINITY) + every,
    until ?? Number.NEGATIVE_INFINITY
  )
  return Math.max(begun, Math.ceil((first - phase) / every)) * every + phase
}

/** A number that looks like chance and is the same everywhere (FNV-1a). */
const placeOf = (id: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
