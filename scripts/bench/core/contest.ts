/** The same job done by us and by peers, side by side. */
import { Effect } from "effect"
import { median, paired, ratio, rotated } from "../statistics.ts"

export interface Contestant {
  readonly name: string
  readonly ours?: true
  /** How often `run` does the job, where that is less than the others do it: it takes too long. */
  readonly times?: number
  /** Does the job as often as that. */
  run(): Promise<unknown>
}

export interface Contest {
  readonly title: string
  /** What is done once, and how often in a round. */
  readonly each: string
  readonly times: number
  readonly contestants: ReadonlyArray<Contestant>
}

export interface Standing {
  readonly contestant: Contestant
  /** Nanoseconds for each. */
  readonly cost: number
  /** How many times as long as the first of ours it takes. */
  readonly ratio: number
}

const warmups = 3

export const hold = async ({ contestants, times }: Contest, rounds: number): Promise<ReadonlyArray<Standing>> => {
  const costs = new Map<Contestant, Array<number>>(contestants.map((contestant) => [contestant, []]))
  for (let round = 0; round < rounds + warmups; round++) {
    for (const contestant of rotated(contestants, round)) {
      globalThis.gc?.()
      const began = process.hrtime.bigint()
      await contestant.run()
      const cost = Number(process.hrtime.bigint() - began) / (contestant.times ?? times)
      if (round >= warmups) costs.get(contestant)?.push(cost)
    }
  }
  const ours = costs.get(contestants.find(({ ours }) => ours) as Contestant) ?? []
  return contestants.map((contestant) => {
    const own = costs.get(contestant) ?? []
    return { contestant, cost: median(own), ratio: paired(own, ours, ratio) }
  })
}

/** A turn of the event loop: what a call to an upstream is at the least. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The same for a fiber. */
export const fiberTurn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** A peer's queue, as a program made of fibers uses it, and as it is. */
export const fromBoth = (
  name: string,
  { callers, waves, ...rest }: { readonly callers: number; readonly waves: number; readonly times?: number },
  ask: (work: () => Promise<void>) => Promise<unknown>
): ReadonlyArray<Contestant> => [
  {
    name: `${name}, asked from fibers`,
    ...rest,
    run: () => Effect.runPromise(inFibers(waves, callers, () => Effect.promise(() => ask(turn))))
  },
  {
    name,
    ...rest,
    run: async () => {
      for (let wave = 0; wave < waves; wave++) await Promise.all(many(callers, () => ask(turn)))
    }
  }
]

/** As many fibers at once, and when all have ended again, so many times. */
export const inFibers = <E, R>(waves: number, callers: number, call: (i: number) => Effect.Effect<unknown, E, R>) => {
  const calls = Effect.suspend(() => Effect.all(many(callers, call), { concurrency: "unbounded", discard: true }))
  return Effect.repeat(calls, { times: waves - 1 })
}

export const many = <A>(count: number, make: (i: number) => A): Array<A> =>
  Array.from({ length: count }, (_, i) => make(i))
