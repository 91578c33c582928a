/** What has come of a streamed answer and has not been taken. Its one taker waits without polling. */
import { Cause, Effect } from "effect"
import type { CallFailure } from "../../domain/Failure.ts"
import { Gathered } from "./gathered.ts"

/** Not `queueMicrotask`: Node makes an asynchronous resource for each. */
const soon = Promise.resolve()

type Taken = Effect.Effect<Uint8Array, CallFailure | Cause.Done>

/** Unbounded by itself: who puts looks at `size`. */
export class Outbox {
  readonly #held = new Gathered()
  readonly #onTaken: () => void
  #last: Taken | undefined
  #wake: ((taken: Taken) => void) | undefined
  #isWaking = false

  /** `onTaken` is told when there is room again. */
  constructor(onTaken: () => void) {
    this.#onTaken = onTaken
  }

  /** Bytes that have not been taken. */
  get size(): number {
    return this.#held.size
  }

  put(bytes: Buffer): void {
    this.#held.add(bytes)
    this.#wakeSoon()
  }

  /** Nothing comes any more: told after what has been put. */
  end(failure?: CallFailure): void {
    this.#last ??= failure === undefined ? Cause.done() : Effect.fail(failure)
    this.#wakeSoon()
  }

  /** From now on there is nothing but this. */
  cut(failure: CallFailure): void {
    this.#held.take()
    this.#last = Effect.fail(failure)
    this.#wakeSoon()
  }

  /** All that is there, in one piece. */
  take(): Uint8Array {
    const taken = this.#held.take()
    this.#onTaken()
    return taken
  }

  /** Takes all that is there, or waits. To give up waiting takes nothing. */
  readonly next: Taken = Effect.suspend(() =>
    this.size > 0 ? Effect.succeed(this.take()) : (this.#last ?? this.#waiting)
  )

  readonly #waiting: Taken = Effect.callback((resume) => {
    this.#wake = resume
    return this.#giveUp
  })

  readonly #giveUp = Effect.sync(() => {
    this.#wake = undefined
  })

  /** Not before all has been read that the socket has brought: so it is taken at once, and outside of the parser. */
  #wakeSoon(): void {
    if (this.#wake === undefined || this.#isWaking) return
    this.#isWaking = true
    void soon.then(this.#tell)
  }

  readonly #tell = (): void => {
    this.#isWaking = false
    const resume = this.#wake
    this.#wake = undefined
    resume?.(this.next)
  }
}
