import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import OpenAI, { APIError } from "openai"
import { get, post, running, temporaryFolder } from "../support/running.ts"

const timeouts = {
  connect: "1 second",
  headers: "700 millis",
  firstToken: "700 millis",
  idle: "400 millis",
  total: "5 seconds"
}
/** For faults that are no silence: a machine that is at work on something else must not add one. */
const unhurried = {
  connect: "15 seconds",
  headers: "15 seconds",
  firstToken: "15 seconds",
  idle: "15 seconds",
  total: "15 seconds"
}
const providerOf = (name: string, model: string, timeouts: object) => ({
  name,
  kind: "openai",
  baseUrl: `sandbox:/${name}/v1`,
  keys: [`sandbox-${name}-a`],
  concurrency: "unlimited",
  rpm: "unlimited",
  models: [model],
  timeouts
})
const healthy = "hunyuan/hunyuan-turbo"

/** Each way of asking has a provider of its own to break, so that what one has learned does not help another. */
const ways = [
  { provider: "nvidia1", model: "llama-3.3-70b", stream: false, hasSecond: true },
  { provider: "nvidia2", model: "llama-3.3-70b", stream: true, hasSecond: true },
  { provider: "zhipu", model: "glm-4.5", stream: false, hasSecond: false },
  { provider: "siliconflow", model: "deepseek-v3", stream: true, hasSecond: false }
] as const

const configuration = (timeouts: object) => ({
  traffic: { maxWait: "2 seconds" },
  providers: [
    ...ways.map(({ model, provider }) => providerOf(provider, model, timeouts)),
    providerOf("hunyuan", "hunyuan-turbo", timeouts)
  ],
  routes: ways.map(({ hasSecond, model, provider }) => ({
    model: `by-${provider}`,
    targets: [`${provider}/${model}`, ...(hasSecond ? [healthy] : [])]
  }))
})

const answer = Array.from({ length: 30 }, (_, i) => i + 1).join(" ")

interface Ended {
  readonly text?: string
  readonly finish?: string | null | undefined
  readonly error?: APIError
}

/** What the official client makes of it; anything but an answer or an error of the API fails the test. */
const asked = (openai: OpenAI, { provider, stream }: (typeof ways)[number]) =>
  Effect.promise(async (): Promise<Ended> => {
    const messages = [{ role: "user" as const, content: "count to 30" }]
    try {
      if (!stream) {
        const whole = await openai.chat.completions.create({ model: `by-${provider}`, messages })
        return { text: whole.choices[0]?.message.content ?? "", finish: whole.choices[0]?.finish_reason }
      }
      const chunks = await Array.fromAsync(
        await openai.chat.completions.create({ model: `by-${provider}`, messages, stream: true })
      )
      return {
        text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
        finish: chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []).at(-1)
      }
    } catch (error) {
      if (error instanceof APIError) return { error }
      throw error
    }
  })

/** `mended`: a second target serves. `harmless`: the first serves. `late`: it shows after the answer has begun. */
const kinds: ReadonlyArray<readonly [kind: string, effect: "mended" | "harmless" | "late", more?: object]> = [
  ["rate_limit", "mended"],
  ["rate_limit", "mended", { retryAfter: 30 }],
  ["rate_limit", "mended", { retryAfter: "Wed, 21 Oct 2099 07:28:00 GMT" }],
  ["rate_limit", "mended", { retryAfter: "soon" }],
  ["quota", "mended"],
  ["insufficient_balance", "mended"],
  ["unauthorized", "mended"],
  ["blocked", "mended"],
  ["server_error", "mended"],
  ["server_error", "mended", { status: 503, retryAfter: 7 }],
  ["server_error", "mended", { status: 529 }],
  ["bad_gateway_html", "mended"],
  ["reset", "mended"],
  ["silence", "mended"],
  ["slow", "mended", { delay: "5 seconds" }],
  ["slow", "harmless", { delay: "100 millis" }],
  ["context_exceeded", "mended"],
  ["content_filter", "mended"],
  ["model_not_found", "mended"],
  ["error_in_body", "mended"],
  ["empty", "mended"],
  ["redirect", "mended"],
  ["error_in_stream", "mended"],
  ["quota_in_stream", "mended"],
  ["slow_first", "mended", { delay: "5 seconds" }],
  ["cut", "late", { afterEvents: 4 }],
  ["cut", "mended", { afterEvents: 0 }],
  ["truncated", "late", { afterEvents: 4 }],
  ["stall", "late", { afterEvents: 4 }],
  ["malformed", "late", { afterEvents: 4 }],
  ["malformed", "mended", { afterEvents: 0 }],
  ["error_in_stream", "late", { afterEvents: 4 }],
  ["quota_in_stream", "late", { afterEvents: 4 }],
  ["huge_event", "harmless", { bytes: 8 * 1024 * 1024 }],
  ["no_finish", "harmless"],
  ["no_done", "harmless"],
  ["content_filter_finish", "harmless"],
  ["json_instead_of_stream", "harmless"],
  ["stream_instead_of_json", "mended"],
  ["crlf", "harmless"],
  ["multi_line", "harmless"],
  ["comments", "harmless"],
  ["split", "harmless"],
  ["no_content_type", "harmless"]
]

/** What a limit of time is there for. */
const silences = new Set(["silence", "slow", "slow_first", "stall"])

describe("every fault of the sandbox, through the official client", () => {
  for (const [kind, effect, more = {}] of kinds) {
    it.live(
      `${kind} ${JSON.stringify(more)}: ${effect}`,
      () =>
        Effect.gen(function* () {
          const file = join(yield* temporaryFolder, "config.json")
          writeFileSync(file, JSON.stringify(configuration(silences.has(kind) ? timeouts : unhurried)))
          const { sandbox, url } = yield* running({ WEIRGATE_CONFIG: file })
          const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none-needed", maxRetries: 0, timeout: 20_000 })
          for (const { provider } of ways) {
            const set = yield* post(`${sandbox}/_sandbox/faults`, { provider, kind, times: null, ...more })
            assert.strictEqual(set.status, 200, set.text)
          }
          yield* Effect.forEach(
            ways,
            (way) =>
              Effect.gen(function* () {
                const said = `${way.provider} ${way.stream ? "streamed" : "whole"}`
                const { error, finish, text } = yield* asked(openai, way)
                if (error !== undefined) {
                  assert.isDefined(error.code, `${said}: ${error.message}`)
                  assert.isFalse(effect === "harmless", `${said}: ${error.message}`)
                  // Until it has begun, a second target mends it.
                  assert.isFalse(way.hasSecond && (effect === "mended" || !way.stream), `${said}: ${error.message}`)
                  return
                }
                if (kind === "huge_event") return assert.match(text ?? "", /^x+$/, said)
                // A truncated answer is never given out as a whole one.
                assert.strictEqual(text, answer, said)
                // `[DONE]` says as well that it is whole.
                if (kind !== "no_finish") assert.include(["stop", "content_filter"], finish, said)
                assert.isFalse(effect === "late" && way.stream, `${said}: it should have broken`)
              }),
            { concurrency: "unbounded" }
          )
          const stats = get(`${sandbox}/_sandbox/stats`)
          const openOf = Effect.map(stats, ({ json }) =>
            ways.reduce((sum, { provider }) => sum + json.openai[provider].chat.open, 0)
          )
          yield* openOf.pipe(
            Effect.filterOrFail((open) => open === 0),
            Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 50 }),
            Effect.orDie
          )
          const { traffic } = (yield* get(`${url}/v1/performance`)).json
          assert.deepInclude(traffic, { in_use: 0, waiting: 0 })
        }),
      40_000
    )
  }
})
