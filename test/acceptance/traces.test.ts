/** Why a request was slow or failed, after the fact: over sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { TraceSummary } from "../../src/contract/console.ts"
import { get, post, running, temporaryFolder } from "../support/running.ts"
import { login } from "../support/staged.ts"

const provider = "nvidia1"
const model = "llama-3.3-70b"
const question = "synthetic-words-of-the-question"

const stage = Effect.fnUntraced(function* (traces?: object) {
  const file = join(yield* temporaryFolder, "config.json")
  const configuration = {
    providers: [
      {
        name: provider,
        kind: "openai",
        baseUrl: `sandbox:/${provider}/v1`,
        keys: [`sandbox-${provider}-a`],
        concurrency: 5,
        rpm: "unlimited",
        models: [model]
      }
    ],
    traffic: { attempts: 1 },
    ...(traces && { traces })
  }
  writeFileSync(file, JSON.stringify(configuration))
  const server = yield* running({ WEIRGATE_CONFIG: file })
  const { headers: session } = yield* login(server)
  const list = (query = "") =>
    Effect.map(
      get(`${server.url}/api/admin/requests${query}`, session),
      ({ json }): ReadonlyArray<TraceSummary> => json.requests
    )
  return {
    ...server,
    session,
    list,
    ask: (more: object = {}, headers: Record<string, string> = {}) =>
      post(
        `${server.url}/v1/chat/completions`,
        { model, messages: [{ role: "user", content: question }], ...more },
        headers
      ),
    trace: (id: string, headers: Record<string, string> = {}) => get(`${server.url}/api/admin/requests/${id}`, headers),
    fault: (kind: string, more: object = {}) => post(`${server.sandbox}/_sandbox/faults`, { provider, kind, ...more })
  }
})

/** The list once it is so long: whoever leaves is noticed a moment later. */
const eventually = <A>(list: Effect.Effect<ReadonlyArray<A>>, length: number) =>
  list.pipe(
    Effect.filterOrFail((found) => found.length === length),
    Effect.retry({ schedule: Schedule.spaced("10 millis"), times: 250 }),
    Effect.orDie
  )

describe("traced requests", () => {
  it.live("are those that fail, each way, without steps or a word of what was asked, and those that ask for it", () =>
    Effect.gen(function* () {
      const { ask, fault, list, session, trace, url } = yield* stage({ sample: 0 })
      assert.strictEqual((yield* ask()).status, 200)
      assert.deepStrictEqual(yield* list(), [], "it went well, and nobody asked")

      assert.strictEqual((yield* ask({ messages: question })).status, 400)
      const unknown = yield* ask({ model: "synthetic-model" })
      assert.strictEqual(unknown.status, 404)
      yield* fault("server_error")
      const failed = yield* ask()
      assert.strictEqual(failed.status, 502)
      yield* fault("cut", { afterEvents: 4 })
      assert.notInclude((yield* ask({ stream: true })).text, "[DONE]")
      yield* fault("silence")
      const controller = new AbortController()
      const leaving = fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        signal: controller.signal,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, messages: [{ role: "user", content: question }] })
      }).catch(() => undefined)
      const underWay = Effect.map(get(`${url}/api/admin/overview`, session), ({ json }) =>
        json.requests.under_way === 1 && json.queue.in_use === 1 ? [1] : []
      )
      yield* eventually(underWay, 1)
      controller.abort()
      yield* Effect.promise(() => leaving)

      const all = yield* eventually(list(), 5)
      assert.deepStrictEqual(
        all.map(({ ended, model, status, why }) => [why, ended, status, model]),
        [
          ["failed", "left", null, model],
          ["failed", "failed", 200, model],
          ["failed", "failed", 502, model],
          ["failed", "refused", 404, "synthetic-model"],
          ["failed", "refused", 400, null]
        ]
      )
      assert.notInclude(JSON.stringify(all), question)
      const [left, cut, error, absent] = all
      assert(left !== undefined && cut !== undefined && error !== undefined && absent !== undefined)
      assert.match(cut.outcome, /cut/)
      assert.match(error.outcome, /unavailable/)
      assert.strictEqual(error.id, failed.headers.get("x-request-id"))
      assert.deepInclude(error, { attempts: 1, target: `${provider}/${model}` })
      for (const { took } of all) assert.isAtLeast(took ?? -1, 0)
      assert.isNull(failed.headers.get("x-weirgate-trace"))
      assert.deepStrictEqual((yield* trace(error.id, session)).json.steps, [])
      assert.strictEqual((yield* trace(error.id)).status, 404, "nobody has asked for it")

      const asked = yield* ask({ stream: true }, { "x-weirgate-explain": "1" })
      const id = asked.headers.get("x-weirgate-trace") ?? ""
      assert.strictEqual(id, asked.headers.get("x-request-id"))
      const told = (yield* trace(id)).json
      assert.deepInclude(told, { why: "asked", ended: "served", outcome: "answered", status: 200, client: "local" })
      assert.deepStrictEqual(
        told.steps.map(({ step }: { step: string }) => step),
        ["slot", "token", "sent", "answered"]
      )
      assert.isAtLeast(told.took, told.steps.at(-1).at)

      const idsOf = (query: string) => Effect.map(list(query), (found) => found.map(({ id }) => id))
      const of = (...wanted: ReadonlyArray<{ id: string }>) => wanted.map(({ id }) => id)
      assert.deepStrictEqual(yield* idsOf("?outcome=failed"), of(cut, error))
      assert.deepStrictEqual(yield* idsOf("?outcome=left"), of(left))
      assert.deepStrictEqual(yield* idsOf("?outcome=served"), [id])
      assert.deepStrictEqual(yield* idsOf("?outcome=limited"), [])
      assert.deepStrictEqual(yield* idsOf("?model=synthetic-model"), of(absent))
      assert.deepStrictEqual(yield* idsOf(`?model=${model}&outcome=refused`), [])
      const wrong = yield* get(`${url}/api/admin/requests?outcome=synthetic`, session)
      assert.deepStrictEqual([wrong.status, wrong.json.error.param], [400, "outcome"])
    })
  )

  it.live("are a sample of all, whose clients see nothing of it, in pages", () =>
    Effect.gen(function* () {
      const { ask, list, session, trace, url } = yield* stage({ sample: 1_000, failures: 0 })
      const ids: Array<string> = []
      for (const stream of [false, true, false, true, false]) {
        const { headers, status } = yield* ask({ stream })
        assert.strictEqual(status, 200)
        assert.isNull(headers.get("x-weirgate-trace"))
        ids.unshift(headers.get("x-request-id") ?? "")
      }
      assert.strictEqual((yield* post(`${url}/v1/chat/completions`, "no json")).status, 400)
      yield* eventually(list(), 5)
      const pages: Array<string> = []
      let from = ""
      do {
        const { json } = yield* get(`${url}/api/admin/requests?limit=2${from}`, session)
        assert.isAtMost(json.requests.length, 2)
        for (const { ended, id, why } of json.requests) {
          assert.deepStrictEqual([ended, why], ["served", "sampled"])
          pages.push(id)
        }
        from = json.next === null ? "" : `&before=${json.next}`
      } while (from !== "")
      assert.deepStrictEqual(pages, ids)
      const wrong = yield* get(`${url}/api/admin/requests?before=soon`, session)
      assert.deepStrictEqual([wrong.status, wrong.json.error.param], [400, "before"])

      const first = yield* trace(ids[0] ?? "", session)
      assert.include(
        first.json.steps.map(({ step }: { step: string }) => step),
        "answered"
      )
      assert.notInclude(first.text, question)
      assert.notInclude(first.text, `sandbox-${provider}-a`)
      assert.strictEqual((yield* trace(ids[0] ?? "")).status, 404)
    })
  )

  it.live("are not what was refused for its key as if it had been asked for, nor for the holders of other keys", () =>
    Effect.gen(function* () {
      const { ask, list, session, trace, url } = yield* stage({ sample: 0 })
      const make = (name: string) =>
        Effect.map(post(`${url}/api/admin/keys`, { name, role: "inference" }, session), ({ json }) => ({
          authorization: `Bearer ${json.key}`
        }))
      const [ada, ben] = [yield* make("ada"), yield* make("ben")]
      const explained = { "x-weirgate-explain": "1" }
      assert.strictEqual((yield* ask({}, { ...explained, authorization: "Bearer synthetic-key" })).status, 401)
      const [refused] = yield* list()
      assert.deepInclude(refused, { why: "failed", ended: "refused", status: 401, client: null, model: null })
      assert.notInclude(JSON.stringify(refused), "synthetic-key")
      const id = (yield* ask({}, { ...explained, ...ada })).headers.get("x-weirgate-trace") ?? ""
      assert.strictEqual((yield* trace(id, ada)).status, 200)
      assert.strictEqual((yield* trace(id, ben)).status, 404)
      const broken = yield* ask({ model: "synthetic-model" }, ada)
      assert.strictEqual((yield* trace(broken.headers.get("x-request-id") ?? "", ada)).status, 404)
    })
  )
})
