/** Delivers an alert to a receiver over HTTP, signed so that it can tell who sent it and when. */
import { Clock, Duration, Effect, Redacted } from "effect"
import { FetchHttpClient, type HttpClient, HttpClientRequest } from "effect/http"
import { createHmac } from "node:crypto"
import * as Transport from "../upstream/transport.ts"
import { version } from "../version.ts"

export interface Webhook {
  /** May hold a secret of the receiver's in its path, so it is never told. */
  readonly url: string
  /** Known to the receiver too. */
  readonly secret: Redacted.Redacted
}

export const signatureHeader = "x-weirgate-signature"

/** Until the receiver's status is there. */
const within = Duration.seconds(10)

/**
 * `t=<unix seconds>,v1=<hex>`: the HMAC-SHA256 of `<unix seconds>.<body>`. A receiver that checks it in constant time, and refuses
 * what is older than some minutes, takes neither a forged alert nor one that is sent again by somebody else.
 */
export const signature = (secret: Redacted.Redacted, seconds: number, body: string): string => {
  const code = createHmac("sha256", Redacted.value(secret)).update(`${seconds}.${body}`).digest("hex")
  return `t=${seconds},v1=${code}`
}

/**
 * Sends a body once, and answers why it was not taken; undefined when it was, which any 2xx says. Waits for up to ten seconds. A
 * redirect is not followed: it would carry the alert to whoever the receiver names.
 */
export const make = (client: HttpClient.HttpClient, { secret, url }: Webhook) => {
  const transport = Transport.make(client, {
    provider: "webhook",
    headers: { "user-agent": `weirgate/${version}` },
    secretHeaders: [signatureHeader]
  })
  return Effect.fnUntraced(
    function* (body: string) {
      const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const request = HttpClientRequest.post(url).pipe(
        HttpClientRequest.bodyText(body, "application/json"),
        HttpClientRequest.setHeader(signatureHeader, signature(secret, seconds, body))
      )
      const { status } = yield* transport.open(request, within)
      return status >= 200 && status < 300 ? undefined : `it answered ${status}`
    },
    Effect.scoped,
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
    // A span would hold the URL.
    Effect.withTracerEnabled(false),
    Effect.catch(({ detail }) => Effect.succeed(detail))
  )
}
