/** 1,000 callers at once for 10 places; each keeps its place for a turn of the event loop. */
import Bottleneck from "bottleneck"
import { Effect, Layer, ManagedRuntime } from "effect"
import PQueue from "p-queue"
import type { Limits } from "../../../src/domain/Provider.ts"
import { Store } from "../../../src/store/Store.ts"
import { Governor, type SlotRequest } from "../../../src/traffic/Governor.ts"
import { type Contest, fiberTurn, fromBoth, inFibers } from "./contest.ts"

const callers = 1_000
const places = 10
const waves = 20
const times = callers * waves

type Service = Governor["Service"]
type Call = (governor: Service, request: SlotRequest) => Effect.Effect<unknown, unknown>

/** The scope gives the slot back. */
const scoped: Call = ({ slot }, request) =>
  slot(request).pipe(
    Effect.flatMap((slot) => {
      slot.sent()
      return Effect.map(fiberTurn, () => slot.settle({ _tag: "Served", tokens: 90 }))
    }),
    Effect.scoped
  )

/** As the gateway takes it. */
const byHand: Call = ({ acquire }, request) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(acquire(request, restore), (slot) => {
      slot.sent()
      return Effect.onExit(restore(fiberTurn), () => {
        slot.settle({ _tag: "Served", tokens: 90 })
        slot.release()
        return Effect.void
      })
    })
  )

const governor = (call: Call, limits: Limits, clients: number) => {
  const runtime = ManagedRuntime.make(
    Governor.layerWith({ queue: { limit: callers } }).pipe(Layer.provide(Store.layerMemory))
  )
  const targets = [{ provider: "p", model: "m" }]
  const all = Effect.flatMap(Governor, (governor) => {
    const since = Date.now()
    const common = { targets, priority: 5, since, until: since + 600_000, tokens: 100 }
    const asking = inFibers(waves, callers, (i) => call(governor, { ...common, client: `client-${i % clients}` }))
    return Effect.andThen(governor.configure([{ name: "p", limits }]), asking)
  })
  return () => runtime.runPromise(all)
}

export const contests = (): ReadonlyArray<Contest> => {
  const bottleneck = new Bottleneck({ maxConcurrent: places })
  const queue = new PQueue({ concurrency: places })
  const held: Limits = { concurrency: places, rpm: "unlimited", tpm: "unlimited" }
  const counted: Limits = { concurrency: places, rpm: 1_000_000_000, tpm: 1_000_000_000_000 }
  return [
    {
      title: "Slots: 1,000 callers for 10 places",
      each: "call",
      times,
      contestants: [
        { name: "weirgate: Governor.slot, 20 clients", ours: true, run: governor(scoped, held, 20) },
        { name: "weirgate: the same, 1,000 clients", ours: true, run: governor(scoped, held, callers) },
        { name: "weirgate: the same, 20 clients, rpm and tpm too", ours: true, run: governor(scoped, counted, 20) },
        { name: "weirgate: Governor.acquire, 20 clients", ours: true, run: governor(byHand, held, 20) },
        ...fromBoth("p-queue: add", { callers, waves }, (work) => queue.add(work)),
        // Its cost grows with its line: it is asked but once.
        ...fromBoth("bottleneck: schedule", { callers, waves: 1, times: callers }, (work) => bottleneck.schedule(work)),
        {
          name: "(as many fibers, without any limit)",
          ours: true,
          run: () => Effect.runPromise(inFibers(waves, callers, () => fiberTurn))
        }
      ]
    }
  ]
}
