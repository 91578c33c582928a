/**
 * What is to be written to one reader of the live events. Pure. Bounded: of overviews the newest, of the other events so many;
 * one who falls further behind loses them all, and begins anew with a whole snapshot.
 */

export interface Message {
  readonly event: "overview" | "decision" | "token" | "request"
  /** JSON, in one line. */
  readonly data: string
}

/** Of some 1 KB each. */
export const capacity = 500

export type Taken =
  /** The whole snapshot is to be written, and nothing else. */
  | { readonly _tag: "Snapshot" }
  | { readonly _tag: "Messages"; readonly messages: ReadonlyArray<Message>; readonly isHeartbeat: boolean }

export class Mailbox {
  /** As whoever has just come. */
  #isBehind = true
  #overview: Message | undefined
  #others: Array<Message> = []
  #isHeartbeat = false

  get isEmpty(): boolean {
    return !this.#isBehind && this.#overview === undefined && this.#others.length === 0 && !this.#isHeartbeat
  }

  put(message: Message): void {
    // The snapshot that is to come tells it.
    if (this.#isBehind) return
    if (message.event === "overview") {
      this.#overview = message
    } else if (this.#others.length < capacity) {
      this.#others.push(message)
    } else {
      this.#isBehind = true
      this.#overview = undefined
      this.#others = []
    }
  }

  heartbeat(): void {
    this.#isHeartbeat = true
  }

  /** All there is; undefined when there is nothing. */
  take(): Taken | undefined {
    if (this.isEmpty) return undefined
    const isHeartbeat = this.#isHeartbeat
    this.#isHeartbeat = false
    if (this.#isBehind) {
      this.#isBehind = false
      return { _tag: "Snapshot" }
    }
    const messages = this.#overview === undefined ? this.#others : [this.#overview, ...this.#others]
    this.#overview = undefined
    this.#others = []
    return { _tag: "Messages", messages, isHeartbeat }
  }
}
