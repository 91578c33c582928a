import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { capacity, Mailbox, type Message } from "../../src/overview/mailbox.ts"

const Action = Schema.Literals(["overview", "token", "decision", "burst", "take", "heartbeat"])
const Actions = Schema.Array(Action).check(Schema.isMaxLength(60))

describe("a reader's mailbox", () => {
  it.effect.prop(
    "gives every event once and in order, or a snapshot in place of all that was lost",
    [Actions],
    ([actions]) =>
      Effect.sync(() => {
        const mailbox = new Mailbox()
        let n = 0
        let isBehind = true
        let overview: Message | undefined
        let others: Array<Message> = []
        const put = (event: Message["event"]) => {
          const message = { event, data: String(n++) }
          mailbox.put(message)
          if (isBehind) return
          if (event === "overview") overview = message
          else others.push(message)
          if (others.length <= capacity) return
          isBehind = true
          overview = undefined
          others = []
        }
        for (const action of [...actions, "take", "take"] as const) {
          if (action === "burst") for (let i = 0; i < 200; i++) put("token")
          else if (action === "heartbeat") mailbox.heartbeat()
          else if (action !== "take") put(action)
          else {
            const taken = mailbox.take()
            if (isBehind) assert.deepStrictEqual(taken, { _tag: "Snapshot" })
            else {
              const messages = taken?._tag === "Messages" ? taken.messages : []
              assert.deepStrictEqual(messages, overview === undefined ? others : [overview, ...others])
            }
            isBehind = false
            overview = undefined
            others = []
          }
        }
        assert.isTrue(mailbox.isEmpty)
      })
  )
})
