/** What every upstream's faults have in common: when and how often they strike, and what they strike. */
import { Duration, Schema } from "effect"

/** A call at a point where a fault may strike. */
export interface Struck {
  readonly provider: string
  readonly call: string
  readonly model?: string | undefined
  /** Whose credential it carries, where that is known. */
  readonly account?: string | undefined
  /** Whether its answer is wanted piece by piece. */
  readonly stream?: boolean | undefined
  /** When it arrives, when a limit has refused it, or when it has been accepted and is about to be answered. */
  readonly phase: "arrival" | "refused" | "accepted"
}

export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Milliseconds, or words such as "2 seconds". */
export const Span = Schema.Union([Count, Schema.DurationFromString])

const lasts = Schema.makeFilter((span: typeof Span.Type) =>
  Duration.toMillis(Duration.fromInputUnsafe(span)) > 0 ? undefined : "a fault that lasts no time never strikes"
)

export const timing = {
  /** How many calls it strikes (default 1, or while `for` lasts); null until it is taken away. */
  times: Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))),
  /** How many calls it lets pass first (default 0). */
  skip: Schema.optionalKey(Count),
  /** How long after it was set it still strikes (default: without end). */
  for: Schema.optionalKey(Span.check(lasts)),
  /** How long to wait before it strikes; for `stall` how long it lasts (default: without end). */
  delay: Schema.optionalKey(Span)
}

/** The wait a fault asks for. */
export const delayOf = (
  { delay }: { readonly delay?: Duration.Input },
  otherwise: Duration.Duration
): Duration.Duration => (delay === undefined ? otherwise : Duration.fromInputUnsafe(delay))
