/** Which of the faults that are set strikes a call: the first that fits and has let enough calls pass. */
import { strikesOnArrival } from "./warp/warpFault.ts"
import type { WarpFault } from "./warp/warpFault.ts"

/** Every upstream adds its own kind of fault here. */
export type Fault = WarpFault

export interface ActiveFault {
  readonly fault: Fault
  /** Calls it still lets pass. */
  readonly skip: number
  /** Calls it still strikes; null without end. */
  readonly left: number | null
}

/** A call at a point where a fault may strike: when it arrives, or when it has been accepted and is about to be answered. */
export interface Struck {
  readonly provider: string
  readonly call: string
  readonly model?: string | undefined
  readonly phase: "arrival" | "accepted"
}

export const activate = (fault: Fault): ActiveFault => ({
  fault,
  skip: fault.skip ?? 0,
  left: fault.times === undefined ? 1 : fault.times
})

/** Each call counts once against the `skip` of every fault it comes past on its way to the one that strikes it. */
export const take = (
  faults: ReadonlyArray<ActiveFault>,
  call: Struck
): readonly [struck: Fault | undefined, faults: ReadonlyArray<ActiveFault>] => {
  let struck: Fault | undefined
  const next: Array<ActiveFault> = []
  for (const active of faults) {
    if (struck !== undefined || !fits(active.fault, call)) {
      next.push(active)
    } else if (active.skip > 0) {
      next.push({ ...active, skip: active.skip - 1 })
    } else {
      struck = active.fault
      if (active.left === null) next.push(active)
      else if (active.left > 1) next.push({ ...active, left: active.left - 1 })
    }
  }
  return [struck, next]
}

const fits = (fault: Fault, call: Struck): boolean =>
  (fault.provider ?? "warp") === call.provider &&
  fault.call === call.call &&
  (fault.model === undefined || fault.model === call.model) &&
  strikesOnArrival(fault) === (call.phase === "arrival")
