/** The budget as a person would count it: everything that ever happened is kept, and every rule is asked anew. */
import { Arbitrary, Schema } from "effect"
import type { Budget } from "../../src/acquisition/budget.ts"

const hour = 3_600_000
const day = 24 * hour

export interface Model {
  readonly attempts: ReadonlyArray<number>
  readonly failures: number
  readonly deadlines: ReadonlyArray<number>
}

export const nothingYet: Model = { attempts: [], failures: 0, deadlines: [] }

export const allows = ({ attempts, deadlines }: Model, budget: Budget, now: number) =>
  attempts.filter((at) => at > now - hour).length < budget.hourly &&
  attempts.filter((at) => at > now - day).length < budget.daily &&
  attempts.every((at) => now - at >= budget.interval) &&
  deadlines.every((deadline) => now >= deadline)

export const attempted = (model: Model, now: number): Model => ({ ...model, attempts: [...model.attempts, now] })

export const succeeded = (model: Model): Model => ({ ...model, failures: 0 })

export const failed = (model: Model, budget: Budget, now: number, retryAfter: number): Model => {
  const failures = model.failures + 1
  let backoff = budget.base
  for (let i = 1; i < failures && backoff < budget.max; i++) backoff *= 2
  const deadline = now + Math.max(Math.min(backoff, budget.max), retryAfter)
  return { ...model, failures, deadlines: [...model.deadlines, deadline] }
}

/** The most attempts in any window of that length, and the least time between two. */
export const busiest = (attempts: ReadonlyArray<number>, length: number) =>
  Math.max(0, ...attempts.map((end) => attempts.filter((at) => at > end - length && at <= end).length))
export const closest = (attempts: ReadonlyArray<number>) => {
  const sorted = attempts.toSorted((a, b) => a - b)
  return Math.min(Number.POSITIVE_INFINITY, ...sorted.slice(1).map((at, i) => at - (sorted[i] ?? at)))
}

/** What can happen. Times are such that boundaries are often met exactly, or missed by a millisecond. */
const times = [0, 1, 999, 1_000, 59_999, 60_000, 299_999, 300_000, 600_000, hour - 1, hour, hour + 1, day - 1, day]
export const Command = Schema.Union([
  Schema.TaggedStruct("Wait", { millis: Schema.Literals(times) }),
  Schema.TaggedStruct("JumpBack", { millis: Schema.Literals(times) }),
  /** Waits as long as the last denial said, or one millisecond less. */
  Schema.TaggedStruct("WaitAsTold", { short: Schema.Boolean }),
  Schema.TaggedStruct("Reserve", { process: Schema.Literals([0, 1]) }),
  Schema.TaggedStruct("Succeed", { process: Schema.Literals([0, 1]) }),
  Schema.TaggedStruct("Fail", {
    process: Schema.Literals([0, 1]),
    retryAfter: Schema.Literals([0, 1, 60_000, 900_000, 2 * hour])
  }),
  /** The process dies, and with it what it knew of its attempts under way. */
  Schema.TaggedStruct("Restart", { process: Schema.Literals([0, 1]) }),
  /** From now on the store fails for the process, or works again. */
  Schema.TaggedStruct("StoreFails", { process: Schema.Literals([0, 1]), fails: Schema.Boolean })
])
export type Command = typeof Command.Type

/** Half of all commands ask for a place, so that the budget is always under pressure. */
export const history = Arbitrary.array(
  Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (asks) =>
    asks
      ? Arbitrary.schema(Schema.TaggedStruct("Reserve", { process: Schema.Literals([0, 1]) }))
      : Arbitrary.schema(Command)
  ) as Arbitrary.Arbitrary<Command>,
  { minLength: 20, maxLength: 80 }
)

export const budget: Arbitrary.Arbitrary<Budget> = Arbitrary.schema(
  Schema.Struct({
    hourly: Schema.Literals([1, 2, 3, 5]),
    daily: Schema.Literals([1, 4, 20]),
    interval: Schema.Literals([1, 1_000, 300_000]),
    base: Schema.Literals([1_000, 600_000]),
    max: Schema.Literals([1_000, 3_600_000])
  })
)
