/** A property inside a test, for one that has something to say afterwards about all the runs together. */
import { assert } from "@effect/vitest"
import { Arbitrary, Cause, Effect } from "effect"

export const holdsForAll = <A, E, R>(
  arbitrary: Arbitrary.Arbitrary<A>,
  property: (value: A) => Effect.Effect<void, E, R>,
  options: Arbitrary.CheckOptions
) =>
  Effect.map(
    Arbitrary.checkEffect(
      arbitrary,
      (value) =>
        property(value).pipe(
          Effect.as(true),
          Effect.catchCause((cause) => Effect.fail(Cause.pretty(cause)))
        ),
      options
    ),
    (result) => assert.isUndefined(Arbitrary.formatCheckFailure(result))
  )
