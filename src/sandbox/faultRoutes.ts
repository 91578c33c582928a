/** Sets, shows and takes away faults. */
import { Effect, Option, Result, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { firstIssue } from "../domain/firstIssue.ts"
import { json, refused, withBody } from "./controlAnswers.ts"
import { decodeFault, encodeFault } from "./fault.ts"
import type { Fault } from "./fault.ts"
import { Faults, mostFaults } from "./Faults.ts"
import type { ActiveFault } from "./faultList.ts"

export const faultRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const faults = yield* Faults

    const listed = Effect.map(faults.list, (active) => json({ faults: active.map(shown) }))

    const add = Effect.fnUntraced(
      function* (body: unknown) {
        const { wanted, within } = listIn(body)
        const decoded: Array<Fault> = []
        for (const [index, fault] of wanted.entries()) {
          const result = yield* Effect.result(decodeFault(fault))
          if (Result.isFailure(result)) {
            const { field, reason } = firstIssue(result.failure.issue, within(index))
            return refused(field === "" ? "body" : field, reason)
          }
          decoded.push(result.success)
        }
        yield* faults.add(decoded)
        return yield* listed
      },
      Effect.catchTag("TooManyFaults", ({ message }) => Effect.succeed(refused("faults", message)))
    )

    yield* router.add("GET", "/_sandbox/faults", listed)
    yield* router.add("POST", "/_sandbox/faults", withBody(add))
    yield* router.add("DELETE", "/_sandbox/faults", Effect.andThen(faults.clear, listed))
  })
)

/** A single fault, a list of them, or an object that holds the list. */
const listIn = (
  body: unknown
): { readonly wanted: ReadonlyArray<unknown>; readonly within: (index: number) => ReadonlyArray<PropertyKey> } => {
  if (Array.isArray(body)) return { wanted: body.slice(0, mostFaults + 1), within: (index) => [index] }
  const { faults } = Option.getOrElse(decodeWrapped(body), () => ({ faults: undefined }))
  return faults === undefined
    ? { wanted: [body], within: () => [] }
    : { wanted: faults.slice(0, mostFaults + 1), within: (index) => ["faults", index] }
}

const decodeWrapped = Schema.decodeUnknownOption(Schema.Struct({ faults: Schema.Array(Schema.Unknown) }))

/** A fault as it was set, and what is left of it. */
const shown = ({ fault, left, skip }: ActiveFault) => ({ ...encodeFault(fault), times: left, skip })
