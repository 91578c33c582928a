/** What a request is told that gets no slot, and when it is worth asking again. Given the time, never takes it. */
import { desksOf, isPaused, type Refusal, type Site, untilTried } from "./sites.ts"

/** How soon it is worth asking again when a probe is out. */
const soon = 1_000
/** The same when it takes a person: nobody knows, and more often is of no use. */
const later = 10_000

/** `at`: when it could start; undefined when it takes a person. */
const retryAfterOf = (at: number | undefined, now: number): number =>
  at === undefined ? later : Math.max(soon, Math.ceil(at - now))

/** It waits in vain: all are out of order by a guess; undefined when waiting has a point. */
export const unavailable = (sites: ReadonlyArray<Site>, now: number): Refusal | undefined => {
  const wait = untilTried(sites, now)
  if (wait === undefined) return undefined
  const others = sites.some(isPaused) ? "target that is not paused" : "target"
  const detail = `every ${others} is out of order, and will be tried again soon`
  return { _tag: "Refused", reason: "unavailable", detail, retryAfter: Math.max(soon, wait) }
}

export const paused = (sites: ReadonlyArray<Site>): Refusal => {
  const names = desksOf(sites).map(({ name }) => name)
  const detail = `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} paused by whoever runs this server`
  return { _tag: "Refused", reason: "paused", detail, retryAfter: later }
}

/** It could start at `at`, after the time until which it may wait. */
export const tooLate = (at: number, now: number): Refusal => ({
  _tag: "Refused",
  reason: "wait",
  detail: "its turn would come too late",
  retryAfter: retryAfterOf(at, now)
})

/** The line is full, and it gets nobody's place. */
export const full = (waiting: number, at: number | undefined, now: number): Refusal => ({
  _tag: "Refused",
  reason: "full",
  detail: `${waiting} are waiting already`,
  retryAfter: retryAfterOf(at, now)
})

/** It was in line, and its place went to another. */
export const madeRoom: Refusal = {
  _tag: "Refused",
  reason: "full",
  detail: "it had to make room for one who is more urgent, or has fewer in line",
  retryAfter: soon
}

/** `at`: when it could have started at one that is not paused; undefined when all are. */
export const timedOut = (sites: ReadonlyArray<Site>, at: number | undefined, now: number): Refusal =>
  at === undefined
    ? paused(sites)
    : {
        _tag: "Refused",
        reason: "timeout",
        detail: "it has waited as long as it may",
        retryAfter: retryAfterOf(at, now)
      }
