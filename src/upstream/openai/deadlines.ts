/** When a call is too late, and for what. Pure: instants are epoch milliseconds, and are given. */
import { Duration } from "effect"
import type { Timeouts } from "../../domain/Provider.ts"

/** Milliseconds. */
export interface Limits {
  readonly connect: number
  readonly headers: number
  readonly firstToken: number
  readonly idle: number
  readonly total: number
}

export const limitsOf = (timeouts: Timeouts): Limits => ({
  connect: Duration.toMillis(timeouts.connect),
  headers: Duration.toMillis(timeouts.headers),
  firstToken: Duration.toMillis(timeouts.firstToken),
  idle: Duration.toMillis(timeouts.idle),
  total: Duration.toMillis(timeouts.total)
})

/** The body of an error is read for its reason only: with the status alone it is classified well enough. */
const errorBody = 5_000

/** How long a connection is given to end after an answer that is complete; one that is read to its end can be used again. */
const farewell = 250

export interface Course {
  readonly limits: Limits
  readonly startedAt: number
  /** When the whole request is given up. */
  readonly deadline: number
  /** Whether the first content is waited for. */
  readonly stream: boolean
  /** Until the request leaves; then until the headers come; then until the answer is complete; and until the connection is. */
  readonly phase: "connecting" | "sent" | "answering" | "refused" | "complete"
  readonly sentAt: number
  /** When the last bytes came, or were let in again. */
  readonly heardAt: number
  readonly hasContent: boolean
  /** Whether we are the ones who do not read. */
  readonly isPaused: boolean
}

export interface Due {
  readonly at: number
  readonly why: string
}

export const dueOf = (course: Course): Due => {
  const { limits, sentAt, startedAt } = course
  if (course.phase === "complete") return { at: course.heardAt + farewell, why: "the connection did not end" }
  let due: Due = { at: startedAt + limits.total, why: "total: the answer was not complete" }
  const orElse = (at: number, why: string) => {
    if (at < due.at) due = { at, why }
  }
  orElse(course.deadline, "the request's own time was over")
  if (course.phase === "connecting") orElse(startedAt + limits.connect, "connect: no connection stood")
  if (course.phase === "sent") orElse(sentAt + limits.headers, "headers: no answer began")
  if (course.phase === "refused") orElse(course.heardAt + errorBody, "the error's reason did not come")
  if (course.phase === "answering" && !course.isPaused)
    orElse(course.heardAt + limits.idle, "idle: the answer fell silent")
  if (course.stream && !course.hasContent && (course.phase === "sent" || course.phase === "answering")) {
    orElse(sentAt + limits.firstToken, "firstToken: no content came")
  }
  return due
}
