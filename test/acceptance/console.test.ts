/** What the console is shown and does, over sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type Answer, get, post, running } from "../support/running.ts"

const login = Effect.fnUntraced(function* ({ folder, url }: { readonly url: string; readonly folder: string }) {
  const password = readFileSync(join(folder, "console-password"), "utf8").trim()
  const { headers, json } = yield* post(`${url}/api/admin/login`, { password })
  const cookie = (headers.get("set-cookie") ?? "").split(";")[0] ?? ""
  return { cookie, "x-csrf-token": String(json.csrf) }
})

const remove = (url: string, headers: Record<string, string>) =>
  Effect.promise(async () => (await fetch(url, { method: "DELETE", headers })).status)

interface Heard {
  readonly id: string
  readonly event: string
  // Tests look into events of every shape; what is not there fails the assertion.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any
}

/** An open stream of events, as a browser reads it; left at the end of the scope. */
const events = Effect.fnUntraced(function* (url: string, headers: Record<string, string>) {
  const controller = new AbortController()
  const response = yield* Effect.acquireRelease(
    Effect.promise(() => fetch(`${url}/api/admin/events`, { headers, signal: controller.signal })),
    () => Effect.sync(() => controller.abort())
  )
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let left = ""
  const waiting: Array<Heard> = []
  const next = async (): Promise<Heard | undefined> => {
    for (;;) {
      const found = waiting.shift()
      if (found !== undefined) return found
      const read = await reader?.read()
      if (read === undefined || read.done) return undefined
      const blocks = (left + decoder.decode(read.value, { stream: true })).split("\n\n")
      left = blocks.pop() ?? ""
      for (const block of blocks) {
        if (!block.startsWith("id: ")) continue
        const [id = "", event = "", data = ""] = block.split("\n").map((line) => line.slice(line.indexOf(": ") + 2))
        waiting.push({ id, event, data: JSON.parse(data) })
      }
    }
  }
  return {
    response,
    next: Effect.promise(next),
    /** The first for which it holds. */
    until: (holds: (heard: Heard) => boolean) =>
      Effect.promise(async () => {
        for (;;) {
          const heard = await next()
          assert.isDefined(heard, "the stream has ended")
          if (heard !== undefined && holds(heard)) return heard
        }
      }),
    /** Reads on to its end. */
    ended: Effect.promise(async () => {
      while ((await next()) !== undefined);
    })
  }
})

const soon = "2 seconds"

describe("the console", () => {
  it.live("sees a call within two seconds of its answer, in the stream and in the overview", () =>
    Effect.gen(function* () {
      const server = yield* running({ WEIRGATE_SANDBOX_TOKENS: "none" })
      const session = yield* login(server)
      const stream = yield* events(server.url, session)
      assert.match(stream.response.headers.get("content-type") ?? "", /^text\/event-stream/)
      const first = yield* stream.next
      assert.strictEqual(first?.event, "overview")
      assert.strictEqual(first?.data.requests.total.served, 0)
      assert.isAtLeast(first?.data.history.at.length, 1)
      const explained = { "x-weirgate-explain": "1" }
      const body = { model: "auto", messages: [{ role: "user", content: "hi" }] }
      const chat = yield* post(`${server.url}/v1/chat/completions`, body, explained)
      assert.strictEqual(chat.status, 200)
      const id = chat.headers.get("x-request-id")
      yield* Effect.timeout(
        Effect.gen(function* () {
          const told = new Set<string>()
          yield* stream.until(({ data, event }) => {
            if (event === "overview" && data.requests.total.served === 1) told.add(event)
            if (event === "request" && data.id === id) told.add(event)
            if (event === "token" && data.served >= 1) told.add(event)
            if (event === "decision") told.add(event)
            return told.size === 4
          })
        }),
        soon
      )
      const { json: overview } = yield* get(`${server.url}/api/admin/overview`, session)
      assert.strictEqual(overview.requests.total.served, 1)
      assert.isAbove(overview.requests.per_second.served, 0)
      assert.strictEqual(overview.requests.under_way, 0)
      assert.strictEqual(overview.requests.latency.count, 1)
      assert.strictEqual(overview.acquisitions.hour.used, 1)
      const sum = (column: ReadonlyArray<number | null>) => column.reduce((sum: number, n) => sum + (n ?? 0), 0)
      assert.strictEqual(sum(overview.history.requests), 1)
      const warp = overview.tokens.find(({ provider }: { provider: string }) => provider === "warp")
      assert.isAtLeast(warp.active, 1)
      assert.include((yield* get(`${server.url}/metrics`)).text, 'weirgate_requests_total{outcome="served"} 1')

      const { json: requests } = yield* get(`${server.url}/api/admin/requests?limit=5`, session)
      assert.deepInclude(requests.requests[0], { id, outcome: "answered", model: "auto" })
      const { json: decisions } = yield* get(`${server.url}/api/admin/decisions?limit=1`, session)
      assert.hasAllKeys(decisions, ["decisions", "next"])
      assert.isString(decisions.decisions[0].step)
      const wrong = yield* get(`${server.url}/api/admin/decisions?before=soon`, session)
      assert.strictEqual(wrong.json.error.param, "before")
    })
  )

  it.live("counts what is refused, what fails and what is streamed", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const session = yield* login(server)
      assert.strictEqual((yield* server.chat("hi", { model: "synthetic-unknown" })).status, 404)
      assert.include((yield* server.chat("hi", { stream: true })).text, "[DONE]")
      const { json } = yield* get(`${server.url}/api/admin/overview`, session)
      assert.deepStrictEqual(json.requests.total, { served: 1, limited: 0, refused: 1, failed: 0, left: 0 })
      assert.strictEqual(json.requests.streaming, 0)
    })
  )

  it.live("adds, imports, pages and removes tokens, tells of it live, and of what is wrong by its line", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const session = yield* login(server)
      const url = `${server.url}/api/admin/tokens`
      const stream = yield* events(server.url, session)
      yield* stream.next
      const secret = "synthetic-token-of-a-third-account"
      const added = yield* post(url, { token: secret, name: "third", provider: "wopan" }, session)
      assert.strictEqual(added.status, 200, added.text)
      assert.deepInclude(added.json, {
        name: "third",
        provider: "wopan",
        state: "active",
        quota: null,
        predicted: null
      })
      const seen = yield* Effect.timeout(
        stream.until(({ data, event }) => event === "token" && data.id === added.json.id),
        soon
      )
      assert.notInclude(JSON.stringify(seen.data), secret)
      const again = yield* post(url, { token: secret, provider: "wopan" }, session)
      assert.deepInclude(again.json.error, { code: "token_held", param: "token" })
      assert.strictEqual((yield* post(url, { token: `${secret}-too` }, session)).json.error.param, "provider")

      const file = `{ "tokens": [\n{ "token": "${secret}" },\n{ "token": "synthetic-4", "name": "fourth" },\n{ "name": 7 }\n] }`
      const refused = yield* post(`${url}/import`, file, session)
      assert.strictEqual(refused.status, 422, refused.text)
      assert.strictEqual(refused.json.error.code, "import_refused")
      assert.deepStrictEqual(
        refused.json.problems.map(({ field, line }: { field: string; line: number }) => [line, field]),
        [
          [2, null],
          [4, "name"]
        ]
      )
      const names = Effect.map(get(`${url}?provider=wopan`, session), ({ json }) =>
        json.tokens.map(({ name }: { name: string }) => name)
      )
      assert.deepStrictEqual(yield* names, ["sandbox-1", "sandbox-2", "third"], "nothing of it was imported")
      const good = `[{ "token": "${secret}" }, { "token": "synthetic-4", "name": "fourth", "is_active": false }]`
      const dry = yield* post(`${url}/import?skip_known=true&dry_run=true`, good, session)
      assert.deepStrictEqual(dry.json, { imported: 1, skipped: 1 })
      assert.strictEqual((yield* names).length, 3)
      const done = yield* post(`${url}/import?skip_known=true`, good, session)
      assert.deepStrictEqual(done.json, { imported: 1, skipped: 1 })

      const pages: Array<string> = []
      let next: string | null = ""
      while (next !== null) {
        const from: string = next === "" ? "" : `&cursor=${next}`
        const page: Answer = yield* get(`${url}?provider=wopan&limit=3${from}`, session)
        assert.strictEqual(page.json.total, 4)
        pages.push(...page.json.tokens.map(({ name }: { name: string }) => name))
        next = page.json.next
      }
      assert.deepStrictEqual(pages, ["fourth", "sandbox-1", "sandbox-2", "third"])
      const { json: disabled } = yield* get(`${url}?state=disabled`, session)
      assert.deepStrictEqual([disabled.total, disabled.tokens[0].name], [1, "fourth"])
      assert.isString(disabled.tokens[0].why)
      assert.strictEqual((yield* get(`${url}?cursor=synthetic`, session)).json.error.param, "cursor")

      assert.strictEqual(yield* remove(`${url}/${added.json.id}`, session), 200)
      assert.strictEqual(yield* remove(`${url}/${added.json.id}`, session), 404)
      yield* Effect.timeout(
        stream.until(({ data, event }) => event === "token" && data.id === added.json.id && data.removed === true),
        soon
      )
      const { text, json: audit } = yield* get(`${server.url}/api/admin/audit`, session)
      const actions = audit.entries.map(
        ({ action, result }: { action: string; result: string }) => `${action} ${result}`
      )
      assert.includeMembers(actions, [
        "token.add done",
        "token.add refused",
        "token.import done",
        "token.import refused",
        "token.remove done",
        "token.remove refused"
      ])
      assert.notInclude(text, secret)
    })
  )

  it.live("has at most 20 streams, each ended with its session or its key", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const session = yield* login(server)
      const { json: key } = yield* post(`${server.url}/api/admin/keys`, { name: "ada", role: "admin" }, session)
      const byKey = yield* events(server.url, { authorization: `Bearer ${key.key}` })
      const bySession = yield* Effect.forEach(Array.from({ length: 19 }), () => events(server.url, session))
      const refused = yield* get(`${server.url}/api/admin/events`, session)
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.json.error.code, "too_many_streams")
      assert.isAtLeast(Number(refused.headers.get("retry-after")), 1)
      assert.strictEqual(yield* remove(`${server.url}/api/admin/keys/ada`, session), 200)
      yield* byKey.ended
      const other = yield* login(server)
      const stays = yield* events(server.url, other)
      yield* stays.next
      assert.strictEqual((yield* post(`${server.url}/api/admin/logout`, {}, session)).status, 200)
      yield* Effect.forEach(bySession, ({ ended }) => ended, { concurrency: "unbounded" })
      yield* server.chat("hi")
      yield* Effect.timeout(
        stays.until(
          ({ data, event }) => event === "overview" && data.requests.total.served + data.requests.total.refused > 0
        ),
        "5 seconds"
      )
    })
  )

  it.live("does not hold up the end of the server: its stream is closed as that begins", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(running(), scope)
      const session = yield* login(server)
      const stream = yield* events(server.url, session)
      yield* stream.next
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* Effect.timeout(stream.ended, soon)
      yield* Effect.timeout(Fiber.join(closing), "5 seconds")
    })
  )
})
