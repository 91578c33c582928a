/** 1,000 callers at once want the same; the work for it, a turn of the event loop, is done once. */
import { createCache } from "async-cache-dedupe"
import { Effect, Layer, ManagedRuntime } from "effect"
import { Dedup } from "../../../src/acquisition/Dedup.ts"
import * as Flights from "../../../src/acquisition/flights.ts"
import type { Verdict } from "../../../src/acquisition/decision.ts"
import { Store } from "../../../src/store/Store.ts"
import { TokenId } from "../../../src/domain/Token.ts"
import { type Contest, fiberTurn, inFibers, many, turn } from "./contest.ts"

const callers = 1_000
const waves = 20
const times = callers * waves

const request = { provider: "p", errorContext: "the quota of the token is used up", caller: "gateway" }
const token = { id: TokenId.make("synthetic"), provider: "p", kind: "anonymous" } as const
const verdict: Verdict = { step: "upstream", reason: "synthetic", inputs: {}, answer: "token", token }
const work = Effect.as(fiberTurn, verdict)

const joining = <E>(join: Effect.Effect<unknown, E>) => inFibers(waves, callers, () => join)

const dedup = () => {
  const runtime = ManagedRuntime.make(Dedup.layer.pipe(Layer.provide(Store.layerMemory)))
  return () => runtime.runPromise(Effect.flatMap(Dedup, ({ share }) => joining(share(request, () => work))))
}

const flights = () =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(Flights.make<typeof request, Verdict>(), ({ join }) => joining(join("p", request, () => work)))
    )
  )

const peer = () => {
  const cache = createCache({ ttl: 0 }).define("token", async (_key: string) => {
    await turn()
    return verdict
  })
  const fromPromises = async () => {
    for (let wave = 0; wave < waves; wave++) await Promise.all(many(callers, () => cache.token("p")))
  }
  const fromFibers = () => Effect.runPromise(joining(Effect.promise(() => cache.token("p"))))
  return [
    { name: "async-cache-dedupe, asked from fibers", run: fromFibers },
    { name: "async-cache-dedupe", run: fromPromises }
  ]
}

export const contests = (): ReadonlyArray<Contest> => [
  {
    title: "Joins: 1,000 callers of one key",
    each: "join",
    times,
    contestants: [
      { name: "weirgate: Dedup.share", ours: true, run: dedup() },
      { name: "weirgate: the flights under it", ours: true, run: flights },
      ...peer(),
      { name: "(as many fibers, without any join)", ours: true, run: () => Effect.runPromise(joining(fiberTurn)) }
    ]
  }
]
