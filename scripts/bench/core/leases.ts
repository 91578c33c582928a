/**
 * One of 100 credentials for each call, given back with how it ended. No peer lends credentials; the nearest job is a limiter for
 * each of them, to which the calls go in turn: it bounds the calls of a credential, but does not know which one is fit.
 */
import Bottleneck from "bottleneck"
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import PQueue from "p-queue"
import { Renewer } from "../../../src/pool/Renewer.ts"
import { TokenPool } from "../../../src/pool/TokenPool.ts"
import { Store } from "../../../src/store/Store.ts"
import { Vault } from "../../../src/store/Vault.ts"
import { type Contest, fiberTurn, fromBoth, inFibers, many } from "./contest.ts"

const tokens = 100
const callers = 64
const waves = 100
const times = callers * waves

const pool = () => {
  const provider = "p"
  const filled = Effect.gen(function* () {
    const pool = yield* TokenPool
    for (let i = 0; i < tokens; i++) {
      const credential = { access: Redacted.make(`synthetic-${i}`) }
      yield* pool.add({ provider, name: `token-${i}`, kind: "personal", credential })
    }
  })
  const layer = Layer.effectDiscard(filled).pipe(
    Layer.provideMerge(TokenPool.layer),
    Layer.provide(Layer.mergeAll(Store.layerMemory, Vault.layerEphemeral, Renewer.layerNone))
  )
  const runtime = ManagedRuntime.make(layer)
  const all = Effect.flatMap(TokenPool, ({ lease }) =>
    inFibers(waves, callers, () =>
      lease({ provider }).pipe(
        Effect.flatMap((lease) => Effect.andThen(fiberTurn, lease.report({ _tag: "Succeeded", latencyMs: 1 }))),
        Effect.scoped
      )
    )
  )
  return () => runtime.runPromise(all)
}

export const contests = (): ReadonlyArray<Contest> => {
  const group = new Bottleneck.Group({ maxConcurrent: 10 })
  let next = 0
  const queues = many(tokens, () => new PQueue({ concurrency: 10 }))
  return [
    {
      title: "Leases: 64 callers for one of 100 tokens",
      each: "call",
      times,
      contestants: [
        { name: "weirgate: TokenPool.lease, report, release", ours: true, run: pool() },
        ...fromBoth("p-queue: one for each, add", { callers, waves }, (work) =>
          (queues[next++ % tokens] as PQueue).add(work)
        ),
        ...fromBoth("bottleneck: Group.key, schedule", { callers, waves }, (work) =>
          group.key(String(next++ % tokens)).schedule(work)
        ),
        {
          name: "(as many fibers, without any lease)",
          ours: true,
          run: () => Effect.runPromise(inFibers(waves, callers, () => fiberTurn))
        }
      ]
    }
  ]
}
