/** What a stream costs that says nothing for a while. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type Contender, folder } from "./contenders.ts"
import { targetOf } from "./phases.ts"
import { order, resident, type Running, stop } from "./processes.ts"

export interface WaitingCost {
  /** Bytes in all, before and with them. */
  readonly before: number
  readonly with: number
  /** Bytes for each: resident; resident, on the heap, and outside it once garbage is collected. */
  readonly resident: number
  readonly collected: number
  readonly heap: number
  readonly external: number
}

/** Long enough for a collector that works when nothing else does. */
const settle = 4_000

const collected = async ({ pid }: Running, file: string): Promise<NodeJS.MemoryUsage> => {
  const lines = () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [])
  const before = lines().length
  process.kill(pid, "SIGUSR2")
  for (let tried = 0; tried < 200; tried++) {
    await sleep(50)
    const now = lines()
    if (now.length > before) return JSON.parse(now.at(-1) ?? "")
  }
  throw new Error("the server does not tell its memory")
}

/** In a process of its own, after a warm-up with few callers, so that not much is left of it to be used again. */
export const waitingCost = async (
  client: Running,
  make: (watched: string) => Promise<Contender>,
  count: number
): Promise<WaitingCost> => {
  const file = join(folder, `memory-${Math.random().toString(36).slice(2)}`)
  const contender = await make(file)
  for (const kind of ["whole", "stream"] as const) {
    const target = await targetOf(client, contender, kind)
    await order(client, { _tag: "Closed", target, callers: 8, seconds: 2 })
  }
  const silent = await targetOf(client, contender, "silent")
  await sleep(settle)
  const tidyBefore = await collected(contender.process, file)
  const before = resident(contender.process)
  await order(client, { _tag: "Hold", target: silent, count })
  await sleep(settle)
  const after = resident(contender.process)
  const tidyAfter = await collected(contender.process, file)
  const tidyResident = resident(contender.process)
  const open = await order(client, { _tag: "Drop" })
  await stop(contender.process)
  if (open !== count) throw new Error(`${contender.name}: ${count - open} of ${count} waiting streams were closed`)
  return {
    before,
    with: after,
    resident: (after - before) / count,
    collected: (tidyResident - before) / count,
    heap: (tidyAfter.heapUsed - tidyBefore.heapUsed) / count,
    external: (tidyAfter.external - tidyBefore.external) / count
  }
}
