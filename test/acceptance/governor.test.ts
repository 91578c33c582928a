import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { get, post, running } from "../support/running.ts"

const fiveProviders = { WEIRGATE_CONFIG: "scripts/five-providers.json" }

/** D3's table, as the sandbox keeps it. */
const limits: Readonly<Record<string, { readonly atOnce: number; readonly minute: number }>> = {
  nvidia1: { atOnce: 5, minute: 40 },
  nvidia2: { atOnce: 5, minute: 40 },
  zhipu: { atOnce: 1, minute: Number.POSITIVE_INFINITY },
  hunyuan: { atOnce: 5, minute: Number.POSITIVE_INFINITY },
  siliconflow: { atOnce: Number.POSITIVE_INFINITY, minute: 5 }
}

interface Told {
  readonly status: number
  readonly priority: number
  readonly waited: number
  readonly target: string
}

const mean = (told: ReadonlyArray<Told>) => told.reduce((sum, { waited }) => sum + waited, 0) / told.length

describe("the governor, before five providers", () => {
  it.live("counts a slot once, also when no token can be had at the moment that it is given", () =>
    Effect.gen(function* () {
      const { url } = yield* running(fiveProviders)
      // The first to use a token has its secret opened.
      const { status } = yield* post(`${url}/v1/chat/completions`, {
        model: "expert",
        messages: [{ role: "user", content: "hi" }]
      })
      assert.strictEqual(status, 200)
      const { json } = yield* get(`${url}/v1/performance`)
      assert.strictEqual(json.traffic.granted, 1)
    })
  )

  it.live(
    "brings 500 requests of 20 clients through without a single 429 of an upstream, the urgent ones sooner, all of them at last",
    () =>
      Effect.gen(function* () {
        const { sandbox, url } = yield* running(fiveProviders)
        for (const provider of Object.keys(limits)) {
          yield* post(`${sandbox}/_sandbox/faults`, { provider, kind: "slow", delay: "60 millis", times: null })
        }
        const ask = (client: number, request: number) =>
          Effect.map(
            post(
              `${url}/v1/chat/completions`,
              { model: "expert", messages: [{ role: "user", content: `${client}/${request}` }] },
              {
                "x-weirgate-priority": String(request % 10),
                "x-weirgate-timeout": "60s",
                "x-weirgate-client": `client-${client}`
              }
            ),
            ({ headers, json, status, text }): Told => {
              if (status === 200) assert.include(json.choices[0].message.content, `${client}/${request}`, text)
              return {
                status,
                priority: request % 10,
                waited: Number(headers.get("x-weirgate-queue-ms")),
                target: headers.get("x-weirgate-target") ?? ""
              }
            }
          )
        const told = yield* Effect.forEach(
          Array.from({ length: 500 }, (_, i) => i),
          (i) => ask(i % 20, Math.floor(i / 20)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual([...new Set(told.map(({ status }) => status))], [200])
        const { openai } = (yield* get(`${sandbox}/_sandbox/stats`)).json
        for (const [provider, { atOnce, minute }] of Object.entries(limits)) {
          assert.strictEqual(openai[provider].refusedByLimit, 0, provider)
          assert.isAtMost(openai[provider].atOnceMost, atOnce, provider)
          assert.isAtMost(openai[provider].minuteMost, minute, provider)
          assert.strictEqual(openai[provider].chat.open, 0, provider)
          assert.isAbove(openai[provider].chat.total, 0, provider)
        }
        const urgent = told.filter(({ priority }) => priority >= 7)
        const patient = told.filter(({ priority }) => priority <= 2)
        assert.isBelow(mean(urgent), mean(patient))
        const { traffic } = (yield* get(`${url}/v1/performance`)).json
        assert.deepInclude(traffic, { in_use: 0, waiting: 0, refused: 0 })
      }),
    120_000
  )
})
