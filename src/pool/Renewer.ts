/** Renews a token at the upstream that issued it, so that the pool is tied to none. */
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import type { Redacted } from "effect"
import { type RenewFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import type { Credential } from "../domain/Token.ts"
import { warpProvider, wopanProvider } from "../domain/Provider.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { WopanClient } from "../upstream/WopanClient.ts"

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
  /** Renews each token at the upstream of its provider. */
  static readonly layer: Layer.Layer<Renewer, never, WarpClient | WopanClient> = Layer.effect(
    Renewer,
    Effect.gen(function* () {
      const warp = yield* WarpClient
      const wopan = yield* WopanClient
      return Renewer.of({
        renew: (provider, refresh) => {
          switch (provider) {
            case warpProvider:
              return Effect.retry(warp.refresh(refresh), patience)
            case wopanProvider:
              return Effect.retry(wopan.refresh(refresh), { schedule: patience, while: leftTheSecret })
            default:
              return Effect.fail(unrenewable(provider))
          }
        }
      })
    })
  )

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

/**
 * Not `RefreshRejected`, of which the token would die: that nobody here can renew it says nothing about its access secret,
 * which is good until it ends.
 */
const unrenewable = (provider: string) =>
  new UpstreamUnavailable({ provider, reason: "internal", detail: "its tokens cannot be renewed here" })

/** The longest that a renewal waits because the upstream asked for it; beyond that it has failed for now. */
const longestWait = Duration.seconds(5)

/** Two more attempts, half a second and a second later, or when the upstream asked for. Only for what may pass. */
export const patience = Schedule.exponential("500 millis").pipe(
  Schedule.upTo({ times: 2 }),
  Schedule.setInputType<RenewFailure>(),
  Schedule.while(({ input }) => mayPass(input)),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.succeed("retryAfter" in input && input.retryAfter ? Duration.max(duration, input.retryAfter) : duration)
  )
)

const mayPass = (failure: RenewFailure) => {
  switch (failure._tag) {
    case "UpstreamUnavailable":
      return isShort(failure.retryAfter ?? Duration.zero)
    case "Throttled":
      return failure.retryAfter !== undefined && isShort(failure.retryAfter)
    default:
      return false
  }
}

const isShort = (wait: Duration.Duration) => Duration.isLessThanOrEqualTo(wait, longestWait)

/**
 * Whether the upstream has said that it did not renew, and so has left the secret as it was. A renewal at WoPan voids the old
 * secret, and of one whose answer did not come (timeout, broken connection, a gateway's 500, 502 or 504, an answer that
 * cannot be read) nobody knows whether it took place, or still does. Asking again at once cannot bring a lost answer back:
 * if it took place, the old secret is refused, and the token would be dead for a fault of the network; if it still does, two
 * renewals race, and a server that takes the second for the use of a stolen secret ends both. So the pool is told of a
 * passing failure: it lends the access secret that it has, and asks again after a growing wait, when the first has come to
 * its end. A refusal then is one of the secret itself.
 */
const leftTheSecret = (failure: RenewFailure) =>
  failure._tag === "Throttled" ||
  (failure._tag === "UpstreamUnavailable" &&
    failure.reason === "status" &&
    (failure.status === undefined || failure.status === 503))
