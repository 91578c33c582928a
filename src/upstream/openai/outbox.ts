/** What has come of a streamed answer and has not been taken. Its one taker waits without polling. */
import { Cause, Effect } from "effect"
import type { CallFailure } from "../../domain/Failure.ts"
import * as Gathered from "./gathered.ts"

type Taken = Effect.Effect<Uint8Array, CallFailure | Cause.Done>

export interface Outbox {
  put(bytes: Buffer): void
  /** Nothing comes any more: told after what has been put. */
  end(failure?: CallFailure): void
  /** From now on there is nothing but this. */
  cut(failure: CallFailure): void
  /** Bytes that have not been taken. */
  readonly size: number
  /** All that is there, in one piece. */
  take(): Uint8Array
  /** Takes all that is there, or waits. To give up waiting takes nothing. */
  readonly next: Taken
}

/** `onTaken` is told when there is room again. Unbounded by itself: who puts looks at `size`. */
export const make = (onTaken: () => void): Outbox => {
  const held = Gathered.make()
  let last: Taken | undefined
  let wake: ((taken: Taken) => void) | undefined
  let isWaking = false

  const take = (): Uint8Array => {
    const taken = held.take()
    onTaken()
    return taken
  }

  const wakeNow = () => {
    isWaking = false
    const resume = wake
    if (resume === undefined) return
    wake = undefined
    resume(next)
  }

  /** Not before all has been read that the socket has brought: so it is taken at once, and outside of the parser. */
  const wakeSoon = () => {
    if (wake === undefined || isWaking) return
    isWaking = true
    queueMicrotask(wakeNow)
  }

  const waiting: Taken = Effect.callback((resume) => {
    wake = resume
    return giveUp
  })
  const giveUp = Effect.sync(() => {
    wake = undefined
  })

  const next: Taken = Effect.suspend(() => (held.size > 0 ? Effect.succeed(take()) : (last ?? waiting)))

  return {
    put: (bytes) => {
      held.add(bytes)
      wakeSoon()
    },
    end: (failure) => {
      last ??= failure === undefined ? Cause.done() : Effect.fail(failure)
      wakeSoon()
    },
    cut: (failure) => {
      held.take()
      last = Effect.fail(failure)
      wakeSoon()
    },
    get size() {
      return held.size
    },
    take,
    next
  }
}
