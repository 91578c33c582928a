/** A recorded hour, or any other while: when requests came and how many tokens they had. */
import { Effect, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"

export interface Arrival {
  /** Milliseconds since the first. */
  readonly at: number
  /** Tokens of the question and of the answer. */
  readonly prompt: number
  readonly completion: number
}

/** The file is no trace. */
export class TraceInvalid extends Schema.TaggedError<TraceInvalid>()("TraceInvalid", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

const tokens = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))

/** The columns of the Azure Public Dataset's LLM traces. Times without a zone are UTC. */
const Row = Schema.Struct({
  TIMESTAMP: Schema.String.check(
    Schema.makeFilter((text) =>
      Number.isNaN(instantOf(text)) ? "expected a time such as 2023-11-16 18:17:03.97" : undefined
    )
  ),
  ContextTokens: tokens,
  GeneratedTokens: tokens
})

const cells = 3

const time = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/

/** Epoch milliseconds with their fractions: several requests of a millisecond keep their order. */
const instantOf = (text: string): number => {
  const [, date, clock, fraction = "", zone = "Z"] = time.exec(text.trim()) ?? []
  return Date.parse(`${date}T${clock}${zone}`) + Number(`0${fraction}`) * 1_000
}

/** Ordered by time. A row that cannot be read is refused with its number and field. */
export const readTrace = Effect.fnUntraced(function* (csv: string, file: string) {
  const short = csv.split("\n").findIndex((line) => line.trim() !== "" && line.split(",").length !== cells)
  if (short >= 0) {
    return yield* new TraceInvalid({
      file,
      reason: `line ${short + 1}: expected ${cells} cells: TIMESTAMP, ContextTokens and GeneratedTokens`
    })
  }
  const rows = yield* Stream.make(csv).pipe(
    Stream.pipeThroughChannel(Csv.decodeSchemaString(Row)({ headers: true })),
    Stream.runCollect,
    Effect.mapError((error) => new TraceInvalid({ file, reason: error.message }))
  )
  const timed = rows
    .map((row) => ({ at: instantOf(row.TIMESTAMP), prompt: row.ContextTokens, completion: row.GeneratedTokens }))
    .toSorted((a, b) => a.at - b.at)
  const first = timed[0]
  if (first === undefined) return yield* new TraceInvalid({ file, reason: "there is no request in it" })
  return timed.map((arrival): Arrival => ({ ...arrival, at: arrival.at - first.at }))
})

/** Replayed `speed` times as fast as it was recorded, to the millisecond, as clocks count. */
export const atSpeed = (trace: ReadonlyArray<Arrival>, speed: number): ReadonlyArray<Arrival> =>
  trace.map((arrival) => ({ ...arrival, at: Math.round(arrival.at / speed) }))

/** The most requests within any so many milliseconds. */
export const mostWithin = (trace: ReadonlyArray<Arrival>, span: number): number => {
  let most = 0
  let first = 0
  for (const [last, { at }] of trace.entries()) {
    while ((trace[first]?.at ?? at) <= at - span) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

/** The speed at which its busiest minute asks for so many requests; a trace that is played faster asks for no less. */
export const speedFor = (trace: ReadonlyArray<Arrival>, perMinute: number): number => {
  let [slow, fast] = [1e-3, 1e3]
  for (let i = 0; i < 40; i++) {
    const speed = Math.sqrt(slow * fast)
    if (mostWithin(trace, 60_000 * speed) > perMinute) fast = speed
    else slow = speed
  }
  return slow
}
