/** What is measured of the contenders, round by round. */
import { setTimeout as sleep } from "node:timers/promises"
import { rotated } from "../statistics.ts"
import type { Order } from "./client.ts"
import type { Contender } from "./contenders.ts"
import type { Seen, Target } from "./load.ts"
import { order, processorTime, type Running } from "./processes.ts"
import { contentOf, expectedContent, type Kind } from "./script.ts"

export interface Round extends Seen {
  /** Answers a second. */
  readonly rate: number
  /** Microseconds of the contender's processor time for each answer. */
  readonly processor: number
  /** The share of a core that it used. */
  readonly busy: number
}

export type Rounds = ReadonlyMap<Contender["name"], ReadonlyArray<Round>>

/** Reads an answer in full before any is counted, and learns how long one is. */
export const targetOf = async (client: Running, contender: Contender, kind: Kind): Promise<Target> => {
  const { port } = contender
  const request = contender.request(kind)
  if (kind === "silent") return { port, request, expect: { status: 200, length: Number.NaN } }
  const { length, payload, status } = await order(client, { _tag: "Once", port, request })
  if (status !== 200 || contentOf(kind, payload) !== expectedContent(kind)) {
    throw new Error(`${contender.name} does not pass the upstream's answer on: ${status} ${payload.slice(0, 500)}`)
  }
  return { port, request, expect: { status, length } }
}

type Load = Extract<Order, { readonly _tag: "Closed" | "Open" }>

/** One round of load on one contender. A run with errors is no result. */
const round = async (client: Running, contender: Contender, load: Load): Promise<Round> => {
  const before = processorTime(contender.process)
  const seen = await order(client, load)
  if (seen.errors > 0) throw new Error(`${contender.name}: ${seen.errors} errors, the first: ${seen.error}`)
  const used = processorTime(contender.process) - before
  return {
    ...seen,
    rate: seen.answered / seen.seconds,
    processor: used / seen.asked,
    busy: used / 1e6 / seen.seconds
  }
}

/** Interleaved: in every round each contender has its turn, in an order that rotates. The first `warmups` rounds are not counted. */
export const rounds = async (
  client: Running,
  contenders: ReadonlyArray<Contender>,
  kind: Kind,
  count: number,
  load: (target: Target) => Load,
  warmups = 1
): Promise<Rounds> => {
  const targets = new Map<Contender, Target>()
  for (const contender of contenders) targets.set(contender, await targetOf(client, contender, kind))
  const measured = new Map<Contender["name"], Array<Round>>(contenders.map(({ name }) => [name, []]))
  for (let i = 0; i < count + warmups; i++) {
    for (const contender of rotated(contenders, i)) {
      const one = await round(client, contender, load(targets.get(contender) as Target))
      if (i >= warmups) measured.get(contender.name)?.push(one)
      // What it puts off until it is idle is not the next one's to pay for.
      await sleep(200)
    }
  }
  return measured
}

export const series = (rounds: Rounds, name: Contender["name"], field: keyof Round): ReadonlyArray<number> =>
  (rounds.get(name) ?? []).map((round) => Number(round[field]))
