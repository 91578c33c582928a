/** Which of the faults that are set strikes a call: the first that fits and has let enough calls pass. */
import { Duration } from "effect"
import { fits } from "./fault.ts"
import type { Fault } from "./fault.ts"
import type { Struck } from "./faultTerms.ts"

export interface ActiveFault {
  readonly fault: Fault
  /** Calls it still lets pass. */
  readonly skip: number
  /** Calls it still strikes; null without end. */
  readonly left: number | null
  /** Epoch milliseconds from which on it strikes no more; null without end. */
  readonly until: number | null
}

export const activate = (fault: Fault, now: number): ActiveFault => ({
  fault,
  skip: fault.skip ?? 0,
  left: fault.times === undefined ? (fault.for === undefined ? 1 : null) : fault.times,
  until: fault.for === undefined ? null : now + Duration.toMillis(Duration.fromInputUnsafe(fault.for))
})

/** Those whose time has not passed. */
export const current = (faults: ReadonlyArray<ActiveFault>, now: number): ReadonlyArray<ActiveFault> =>
  faults.filter(({ until }) => until === null || now < until)

/** Each call counts once against the `skip` of every fault it comes past on its way to the one that strikes it. */
export const take = (
  faults: ReadonlyArray<ActiveFault>,
  call: Struck,
  now: number
): readonly [struck: Fault | undefined, faults: ReadonlyArray<ActiveFault>] => {
  let struck: Fault | undefined
  const next: Array<ActiveFault> = []
  for (const active of current(faults, now)) {
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
