/** Renews a token at the upstream that issued it, so that the pool is tied to none. */
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import type { Redacted } from "effect"
import { type RenewFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import type { Credential } from "../domain/Token.ts"
import { WarpClient } from "../upstream/WarpClient.ts"

export class Renewer extends Context.Service<
  Renewer,
  {
    /**
     * Waits for the upstream, and over a passing failure for a little longer. The answer's refresh secret may be a new
     * one and must be stored before it is used; interruption while the upstream is asked may lose it.
     */
    renew(provider: string, refresh: Redacted.Redacted): Effect.Effect<Credential, RenewFailure>
  }
>()("weirgate/pool/Renewer") {
  /** Renews every token at Warp. */
  static readonly layerWarp: Layer.Layer<Renewer, never, WarpClient> = Layer.effect(
    Renewer,
    Effect.gen(function* () {
      const warp = yield* WarpClient
      return Renewer.of({ renew: (_provider, refresh) => Effect.retry(warp.refresh(refresh), patience) })
    })
  )

  /** Renews none, for programs that only look. */
  static readonly layerNone: Layer.Layer<Renewer> = Layer.succeed(Renewer, {
    renew: (provider) =>
      Effect.fail(new UpstreamUnavailable({ provider, reason: "connection", detail: "this program renews no token" }))
  })
}

/** The longest that a renewal waits because the upstream asked for it; beyond that it has failed for now. */
const longestWait = Duration.seconds(5)

/** Two more attempts, half a second and a second later, or when the upstream asked for. Only for what may pass. */
export const patience = Schedule.exponential("500 millis").pipe(
  Schedule.upTo({ times: 2 }),
  Schedule.setInputType<RenewFailure>(),
  Schedule.while(({ input }) => mayPass(input)),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.succeed(input._tag === "Throttled" && input.retryAfter ? Duration.max(duration, input.retryAfter) : duration)
  )
)

const mayPass = (failure: RenewFailure) =>
  failure._tag === "UpstreamUnavailable" ||
  (failure._tag === "Throttled" &&
    failure.retryAfter !== undefined &&
    Duration.isLessThanOrEqualTo(failure.retryAfter, longestWait))
