/** How lists are asked for and answered in pages. */
import { Schema } from "effect"

export const limitOf = (maximum: number) =>
  Schema.optionalKey(Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum })))

/** As an answer's `next` had it. */
export const cursor = Schema.optionalKey(Schema.String.check(Schema.isMaxLength(2_000)))

/** For the next page; null after the last. */
export const next = Schema.NullOr(Schema.String)

/** Of lists that new entries come in front of. */
export const aboutBefore =
  "`before` is what an answer had as its `next`, or an instant in epoch milliseconds. New entries move no page."
