/** The moment at which the server begins to listen. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { running } from "../support/running.ts"
import { freePort } from "../support/subprocess.ts"

describe("a server that starts", () => {
  it.live("answers all that were let in, also those who came before it could", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const asked = yield* Effect.forkChild(
        Effect.promise(async () => {
          const waiting: Array<Promise<number | undefined>> = []
          // Until one has been answered, each millisecond another.
          const served = new AbortController()
          while (!served.signal.aborted) {
            const answer = fetch(`http://127.0.0.1:${port}/healthz`).then(
              ({ status }) => status,
              () => undefined
            )
            waiting.push(answer)
            void answer.then((status) => status === 200 && served.abort())
            await new Promise((resolve) => setTimeout(resolve, 1))
          }
          return Promise.all(waiting)
        })
      )
      yield* running({ WEIRGATE_PORT: String(port) })
      const statuses = (yield* Fiber.join(asked)).filter((status) => status !== undefined)
      assert.deepStrictEqual(new Set(statuses), new Set([200]))
    })
  )
})
