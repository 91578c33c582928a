import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { get, post, running, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const seconds = (n: number) => n * 1_000
const everyMoment = Schedule.spaced("5 millis")

const line = (id: string, body: object = {}) =>
  JSON.stringify({
    custom_id: id,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: "expert", messages: [{ role: "user", content: `question ${id}` }], ...body }
  })
const names = (count: number) => Array.from({ length: count }, (_, i) => `q${i}`)

/** The sandbox as a process of its own, which outlives the command; and the command's settings, files and folder. */
const stage = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const port = yield* freePort
  const sandbox = `http://127.0.0.1:${port}`
  yield* ready(yield* started(["sandbox"], { WEIRGATE_SANDBOX_PORT: String(port) }), `${sandbox}/_sandbox/stats`)
  const file = join(folder, "questions.jsonl")
  const env = {
    WEIRGATE_CONFIG: "scripts/five-providers.json",
    WEIRGATE_DATA: folder,
    WEIRGATE_SANDBOX_URL: sandbox,
    WEIRGATE_PORT: String(yield* freePort)
  }
  const lines = (name: string) => {
    const path = join(folder, `questions.${name}.jsonl`)
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : []
  }
  return {
    env,
    sandbox,
    file,
    lines,
    idsOf: (name: string) => lines(name).map((text) => JSON.parse(text).custom_id as string),
    write: (texts: ReadonlyArray<string>) => writeFileSync(file, `${texts.join("\n")}\n`),
    batch: (more: Readonly<Record<string, string>> = {}, ...flags: ReadonlyArray<string>) =>
      started(["batch", file, ...flags], { ...env, ...more }),
    stats: get(`${sandbox}/_sandbox/stats`),
    faults: (fault: object) => post(`${sandbox}/_sandbox/faults`, fault)
  }
})

const ended = (child: Effect.Success<ReturnType<typeof started>>) =>
  Effect.map(child.exited, (code) => ({ code, output: child.output() }))

describe("weirgate batch", () => {
  it.live(
    "answers 1,000 lines, none twice and without a 429 of any upstream, though it is killed again and again",
    () =>
      Effect.gen(function* () {
        const { batch, idsOf, lines, stats, write } = yield* stage
        write(names(1_000).map((id) => line(id)))
        // In the middle of the burst that fills the first minutes, and in the middle of what comes after it.
        for (const enough of [20, 120, 500]) {
          const child = yield* batch()
          yield* Effect.suspend(() => Effect.succeed(lines("output").length)).pipe(
            Effect.repeat({ until: (count) => count >= enough, schedule: everyMoment })
          )
          yield* child.signal("SIGKILL")
        }
        const cut = lines("output").length
        assert.isBelow(cut, 1_000)
        const { code, output } = yield* Effect.flatMap(batch(), ended)
        assert.strictEqual(code, 0, output)
        assert.match(output, /^answered +\d+, and \d+ before$/m)
        assert.deepStrictEqual(idsOf("output").toSorted(), names(1_000).toSorted())
        for (const text of lines("output")) {
          const { custom_id, error, response } = JSON.parse(text)
          assert.strictEqual(response.status_code, 200)
          assert.isNull(error)
          assert.include(response.body.choices[0].message.content, `question ${custom_id}`)
        }
        const { openai } = (yield* stats).json
        let calls = 0
        for (const [name, provider] of Object.entries<(typeof openai)[string]>(openai)) {
          assert.strictEqual(provider.refusedByLimit, 0, name)
          assert.strictEqual(provider.chat.open, 0, name)
          calls += provider.chat.total
        }
        // What was under way at each of the kills was asked again, and nothing else: the limits let 21 begin at once.
        assert.isAtMost(calls, 1_000 + 3 * 2 * 21)
      }),
    seconds(60)
  )

  it.live(
    "stops at SIGINT with what is under way, says how to go on, and goes on with the rest",
    () =>
      Effect.gen(function* () {
        const { batch, faults, idsOf, lines, sandbox, write } = yield* stage
        write(names(60).map((id) => line(id)))
        for (const provider of ["nvidia1", "nvidia2", "zhipu", "hunyuan", "siliconflow"]) {
          yield* faults({ provider, kind: "slow", delay: "1 second", times: null })
        }
        const child = yield* batch()
        yield* Effect.suspend(() => Effect.succeed(lines("output").length)).pipe(
          Effect.repeat({ until: (count) => count > 0, schedule: everyMoment })
        )
        // Twice at once, as of a Ctrl-C that npm hands on as well.
        const before = lines("output").length
        yield* Effect.all([child.signal("SIGINT"), child.signal("SIGINT")], { concurrency: 2 })
        assert.strictEqual(yield* child.exited, 130, child.output())
        assert.isAbove(lines("output").length, before)
        assert.match(child.output(), /Stopping: .*once more ends it at once/)
        assert.match(child.output(), /of 60 lines are done; the same command goes on with the rest/)
        const done = idsOf("output").length
        assert.isBelow(done, 60)
        yield* post(`${sandbox}/_sandbox/reset`, {})
        const rest = yield* Effect.flatMap(batch(), ended)
        assert.strictEqual(rest.code, 0, rest.output)
        assert.include(rest.output, `answered    ${60 - done}, and ${done} before`)
        assert.deepStrictEqual(idsOf("output").toSorted(), names(60).toSorted())
      }),
    seconds(60)
  )

  it.live(
    "ends with 2 when lines failed or were set aside, and tells which and why",
    () =>
      Effect.gen(function* () {
        const { batch, env, file, idsOf, lines, write } = yield* stage
        write([line("q0"), "nonsense", line("q1", { model: "nobody's" }), line("q2", { stream: true })])
        const { code, output } = yield* Effect.flatMap(batch(), ended)
        assert.strictEqual(code, 2, output)
        assert.include(output, "failed      1 (1 × 404 model_not_found)")
        assert.include(output, "not every line was answered: 1 failed, 2 set aside")
        assert.deepStrictEqual(idsOf("output"), ["q0"])
        assert.deepStrictEqual(idsOf("errors"), ["q1"])
        assert.deepStrictEqual(
          lines("rejected").map((text) => JSON.parse(text).line),
          [2, 4]
        )
        const none = yield* Effect.flatMap(started(["batch", `${file}.none`], env), ended)
        assert.strictEqual(none.code, 1)
        assert.include(none.output, `${file}.none`)
        assert.strictEqual((yield* Effect.flatMap(batch({}, "--priority", "12"), ended)).code, 1)
      }),
    seconds(60)
  )

  it.live(
    "does not spend a running server's limits beside it, but goes through it, with its key",
    () =>
      Effect.gen(function* () {
        const { batch, env, idsOf, stats, write } = yield* stage
        const config = join(env.WEIRGATE_DATA, "config.json")
        const file = JSON.parse(readFileSync("scripts/five-providers.json", "utf8"))
        writeFileSync(config, JSON.stringify({ ...file, server: { apiKeys: [{ env: "KEY_A" }] } }))
        const { folder, url } = yield* running({ ...env, WEIRGATE_CONFIG: config, KEY_A: "synthetic-key-a" })
        assert.strictEqual(folder, env.WEIRGATE_DATA)
        write(names(200).map((id) => line(id)))
        const refused = yield* Effect.flatMap(batch(), ended)
        assert.strictEqual(refused.code, 1)
        assert.include(refused.output, `--server ${url}`)
        const keyless = yield* Effect.flatMap(batch({}, "--server", url), ended)
        assert.strictEqual(keyless.code, 1)
        assert.include(keyless.output, "WEIRGATE_API_KEY")
        assert.deepStrictEqual(idsOf("output"), [])
        const key = { WEIRGATE_API_KEY: "synthetic-key-a" }
        const { code, output } = yield* Effect.flatMap(batch(key, "--server", url), ended)
        assert.strictEqual(code, 0, output)
        assert.notInclude(output, "synthetic-key")
        assert.deepStrictEqual(idsOf("output").toSorted(), names(200).toSorted())
        const { openai } = (yield* stats).json
        for (const [name, { refusedByLimit }] of Object.entries<{ refusedByLimit: number }>(openai)) {
          assert.strictEqual(refusedByLimit, 0, name)
        }
        const nowhere = yield* Effect.flatMap(batch(key, "--server", `http://127.0.0.1:${yield* freePort}`), ended)
        assert.strictEqual(nowhere.code, 1)
        assert.include(nowhere.output, "no server answers there")
      }),
    seconds(60)
  )
})
