/** An upstream's answer in the form that the client wants, or the failure that it is when it cannot be brought into it. */
import { Effect } from "effect"
import { UpstreamUnavailable } from "../domain/Failure.ts"
import type { Provider } from "../domain/Provider.ts"
import type { Answer, RequestBody } from "../upstream/ModelClient.ts"
import { asStreamed } from "../upstream/openai/asStreamed.ts"
import type { GatewayRequest } from "./GatewayRequest.ts"

/** The client wants a stream, whatever this upstream can do. */
export const asStream = (request: GatewayRequest, { name }: Provider, answer: Answer) => {
  if (answer._tag === "Streamed") return Effect.succeed(answer)
  const includeUsage = wantsUsage(request.body)
  const streamed = asStreamed(request.endpoint, answer, { includeUsage, provider: name })
  return streamed === undefined ? Effect.fail(malformed(name, "it is no stream")) : Effect.succeed(streamed)
}

export const notWhole = ({ name }: Provider) => malformed(name, "it is no whole answer")

const malformed = (provider: string, detail: string) =>
  new UpstreamUnavailable({ provider, reason: "malformed", detail })

const wantsUsage = ({ json }: RequestBody): boolean => {
  const options = json["stream_options"]
  return typeof options === "object" && options !== null && "include_usage" in options && options.include_usage === true
}
