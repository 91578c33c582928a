/** The bearer of the current request; empty when there is none. */
import { Effect } from "effect"
import { HttpServerRequest } from "effect/http"

export const bearerOf = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => /^Bearer\s+(\S+)\s*$/i.exec(headers["authorization"] ?? "")?.[1] ?? ""
)
