/** A call as undici is given it. Nothing of the client's own headers goes with it. */
import { Redacted } from "effect"
import type { Dispatcher } from "undici"
import { version } from "../../version.ts"
import type { ModelCall } from "../ModelClient.ts"
import { withModel } from "./withModel.ts"

export const requestOf = (path: string, { body, model, stream, token }: ModelCall): Dispatcher.DispatchOptions => {
  const headers = stream ? forStream : forWhole
  const secret = Redacted.value(token.access)
  return {
    path,
    method: "POST",
    headers: secret === "" ? headers : [...headers, "authorization", `Bearer ${secret}`],
    body: withModel(body.bytes, body.json, model)
  }
}

const headersFor = (accept: string): Array<string> =>
  Object.entries({
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": `weirgate/${version}`,
    accept
  }).flat()

const forWhole = headersFor("application/json")
/** The errors of a stream are JSON. */
const forStream = headersFor("text/event-stream, application/json")
