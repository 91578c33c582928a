/** Sends one call to the dispatcher and reads its envelope. */
import { Clock, type Duration, Effect, Random } from "effect"
import { type HttpClient, HttpClientRequest } from "effect/http"
import type { UpstreamUnavailable } from "../../domain/Failure.ts"
import { version } from "../../version.ts"
import * as Transport from "../transport.ts"
import * as Envelope from "./envelope.ts"

/** A full page, encrypted and in base64, is some 60 KB; names of the longest kind make it 200. */
const largestAnswer = 4 * 1024 * 1024

/** The dispatcher takes calls from its web page. That much it is told; that we are a browser, it is not. */
const site = "https://pan.wo.cn"
const headers = { "user-agent": `weirgate/${version}`, origin: site, referer: `${site}/` }
const accessHeader = "accesstoken"

export interface Sent {
  readonly call: Envelope.Call
  readonly keys: Envelope.CipherKeys
  /** Of a call that an account makes. */
  readonly access?: string
  readonly within: Duration.Duration
}

export interface Replied {
  readonly answer: Transport.Answer
  /** Undefined unless the call went well. */
  readonly data: Envelope.Data | undefined
}

export interface Dispatcher {
  /** One request, and no more. Waits for the whole answer. */
  ask(sent: Sent): Effect.Effect<Replied, UpstreamUnavailable>
}

export const make = (
  http: HttpClient.HttpClient,
  options: { readonly provider: string; readonly baseUrl: string; readonly clientId: string }
): Dispatcher => {
  const { clientId, provider } = options
  const base = options.baseUrl.replace(/\/+$/, "")
  const transport = Transport.make(http, { provider, headers, secretHeaders: [accessHeader], largestAnswer })
  return {
    ask: Effect.fnUntraced(function* ({ access, call, keys, within }) {
      const at = yield* Clock.currentTimeMillis
      const sequence = yield* Random.nextIntBetween(Envelope.firstSequence, Envelope.lastSequence)
      const request = HttpClientRequest.post(`${base}/${call.channel}/dispatcher`).pipe(
        HttpClientRequest.setHeaders(access === undefined ? {} : { [accessHeader]: access }),
        HttpClientRequest.acceptJson,
        HttpClientRequest.bodyJsonUnsafe(Envelope.requestOf(call, keys, clientId, { at, sequence }))
      )
      const answer = yield* transport.ask(request, within)
      const envelope = answer.status < 300 ? Envelope.envelopeOf(answer.body) : undefined
      return { answer, data: envelope?.code === Envelope.ok ? Envelope.dataOf(envelope.data, keys) : undefined }
    })
  }
}
