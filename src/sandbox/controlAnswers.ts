/** How the control paths answer. */
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"

export const json = (body: unknown, status = 200) => HttpServerResponse.jsonUnsafe(body, { status })

/** Bad input, with the field at fault. */
export const refused = (field: string, message: string) =>
  json({ error: { field, message: `${field}: ${message}` } }, 400)

/** Answers from the request's body, or refuses one that is no JSON. */
export const withBody = <E, R>(answer: (body: unknown) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    return yield* Effect.matchEffect(request.json, {
      onFailure: () => Effect.succeed(refused("body", "the body is not JSON")),
      onSuccess: answer
    })
  })
