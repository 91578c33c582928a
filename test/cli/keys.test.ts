import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Audit } from "../../src/access/Audit.ts"
import { ClientKeys } from "../../src/access/ClientKeys.ts"
import * as keys from "../../src/cli/keys.ts"
import { Store } from "../../src/store/Store.ts"
import { bytesIn } from "../access/stores.ts"
import { get, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

/** Runs to its end. */
const ran = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input?: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const child = yield* started(args, env, input)
      const code = yield* child.exited
      return { code, output: child.output(), stdout: child.stdout() }
    })
  )

const make = (env: Readonly<Record<string, string>>, name: string, ...more: ReadonlyArray<string>) =>
  Effect.map(ran(["key", "create", "--name", name, "--role", "inference", ...more], env), (child) => {
    assert.strictEqual(child.code, 0, child.output)
    return child
  })

const access = Layer.mergeAll(ClientKeys.layerWith({ configured: () => [] }), Audit.layer).pipe(
  Layer.provideMerge(Store.layerMemory)
)
const wanted = { name: "ada", role: "token", priority: undefined, rpm: undefined } as const

describe("making a key", () => {
  it.effect(
    "takes a duration, or an ISO date that without a zone is UTC's, and refuses what has passed or is no time",
    () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        let n = 0
        const made = (expires: string) =>
          Effect.gen(function* () {
            const name = `k${n++}`
            yield* keys.create({ ...wanted, name, models: undefined, expires })
            const view = (yield* ClientKeys.use((all) => all.list)).find((each) => each.name === name)
            return new Date(view?.expiresAt ?? 0).toISOString()
          })
        for (const [expires, at] of [
          ["30 days", "1970-01-31T00:00:01.000Z"],
          ["90 minutes", "1970-01-01T01:30:01.000Z"],
          ["2026-12-31", "2026-12-31T00:00:00.000Z"],
          ["2026-12-31T23:59", "2026-12-31T23:59:00.000Z"],
          ["2026-12-31 23:59:30", "2026-12-31T23:59:30.000Z"],
          ["2026-12-31T23:59:30Z", "2026-12-31T23:59:30.000Z"],
          ["2026-12-31T23:59+02:00", "2026-12-31T21:59:00.000Z"]
        ] as const) {
          assert.strictEqual(yield* made(expires), at, expires)
        }
        for (const [expires, reason] of [
          ["soon", /^--expires: expected a duration such as/],
          ["", /^--expires: expected a duration such as/],
          ["2026-02-30", /^--expires: expected a duration such as/],
          ["2026-12-31T25:00", /^--expires: expected a duration such as/],
          ["12/31/2026", /^--expires: expected a duration such as/],
          ["0 days", /^--expires: expected a time to come/],
          ["-1 day", /^--expires: expected a time to come/],
          ["1970-01-01T00:00:01Z", /^--expires: expected a time to come/],
          ["infinity", /^--expires: expected a/i]
        ] as const) {
          assert.match((yield* Effect.flip(made(expires))).message, reason, expires)
        }
      }).pipe(Effect.provide(access))
  )

  it.effect("is in the audit log, refused or done, without the key", () =>
    Effect.gen(function* () {
      yield* keys.create({ ...wanted, models: "a, b,a", expires: undefined })
      const refused = yield* Effect.flip(keys.create({ ...wanted, models: ",", expires: undefined }))
      assert.match(refused.message, /^--models: expected/)
      yield* Effect.flip(keys.create({ ...wanted, models: undefined, expires: undefined }))
      yield* Effect.flip(keys.revoke("nobody"))
      const key =
        (yield* TestConsole.logLines).map(String).find((line) => line.startsWith("wg-")) ?? assert.fail("no key")
      const entries = yield* Audit.use((audit) => audit.recent(10))
      assert.deepStrictEqual(
        entries.map(({ action, actor, result, subject }) => [actor, action, subject, result]),
        [
          ["command line", "key.revoke", "nobody", "refused"],
          ["command line", "key.create", "ada", "refused"],
          ["command line", "key.create", `ada (${key.slice(0, 11)})`, "done"]
        ]
      )
      assert.notInclude(JSON.stringify(entries), key.slice(11))
      assert.include(entries[2]?.detail, "models a, b")
    }).pipe(Effect.provide(access))
  )
})

describe("the commands for keys", () => {
  it.live(
    "print a key and nothing else to standard output, list it without it, and take its name as given away",
    () =>
      Effect.gen(function* () {
        const env = { WEIRGATE_DATA: join(yield* temporaryFolder, "not there yet") }
        const more = ["--priority", "3", "--rpm", "60", "--models", "a, b", "--expires", "30 days"]
        const made = yield* make(env, "ada", ...more)
        assert.match(made.stdout, /^wg-[a-z0-9]{8}[A-Za-z0-9]{40}\n$/)
        const key = made.stdout.trim()
        assert.notInclude(made.output.replace(key, ""), key)
        const list = yield* ran(["key", "list"], env)
        assert.match(
          list.output,
          /^wg-[a-z0-9]{8} +ada +inference +live +priority 3; 60 a minute; models a, b +20\d\d-.* never$/m
        )
        assert.notInclude(list.output, key.slice(11))
        const again = yield* ran(["key", "create", "--name", "Ada", "--role", "token"], env)
        assert.strictEqual(again.code, 1)
        assert.match(again.output, /name: there is a key named Ada already$/m)
        assert.notInclude(bytesIn(env.WEIRGATE_DATA), key.slice(11))
      }),
    30_000
  )

  it.live(
    "refuse a wrong flag in one line that names it",
    () =>
      Effect.gen(function* () {
        const env = { WEIRGATE_DATA: yield* temporaryFolder }
        const refused = (says: RegExp, ...flags: ReadonlyArray<string>) =>
          Effect.map(ran(["key", "create", "--role", "token", ...flags], env), ({ code, output }) => {
            assert.strictEqual(code, 1, output)
            assert.match(output, says)
            assert.notMatch(output, /^ +at /m)
          })
        yield* refused(/--expires: expected a time to come$/m, "--name", "a", "--expires", "2020-01-01")
        yield* refused(/--priority.*between 0 and 9/, "--name", "a", "--priority", "10")
        const unknown = yield* ran(["key", "revoke", "nobody"], env)
        assert.strictEqual(unknown.code, 1)
        assert.match(unknown.output, /there is no key nobody$/m)
      }),
    30_000
  )

  it.live(
    "work beside a running server, which takes the keys of before its start and of after, and refuses one that was revoked",
    () =>
      Effect.gen(function* () {
        const port = String(yield* freePort)
        const env = {
          WEIRGATE_DATA: yield* temporaryFolder,
          WEIRGATE_PORT: port,
          WEIRGATE_SANDBOX_PORT: String(yield* freePort)
        }
        const url = `http://127.0.0.1:${port}`
        const ask = (key?: string) =>
          Effect.map(
            get(`${url}/v1/models`, key === undefined ? {} : { authorization: `Bearer ${key}` }),
            ({ status }) => status
          )
        const before = (yield* make(env, "before")).stdout.trim()
        const server = yield* started(["serve"], env)
        yield* ready(server, `${url}/readyz`)
        assert.strictEqual(yield* ask(), 401)
        assert.strictEqual(yield* ask(before), 200)
        const after = (yield* make(env, "after")).stdout.trim()
        assert.strictEqual(yield* ask(after), 200)
        const revoked = yield* ran(["key", "revoke", "before"], env)
        assert.match(revoked.stdout, /^before \(wg-[a-z0-9]{8}\): revoked$/m)
        assert.strictEqual(yield* ask(before), 401)
        assert.strictEqual(yield* ask(after), 200)
        yield* server.signal("SIGTERM")
        assert.notInclude(server.output(), before.slice(11))
      }),
    60_000
  )

  it.live(
    "take the console's password from a pipe, refuse a short one with the reason, and clear away the one that was made",
    () =>
      Effect.gen(function* () {
        const env = { WEIRGATE_DATA: yield* temporaryFolder }
        const file = join(env.WEIRGATE_DATA, "console-password")
        writeFileSync(file, "synthetic")
        const short = yield* ran(["admin", "password"], env, "short\n")
        assert.strictEqual(short.code, 1)
        assert.match(short.output, /password: expected at least 12 characters$/m)
        const none = yield* ran(["admin", "password"], env)
        assert.strictEqual(none.code, 1)
        assert.match(none.output, /password: expected a line on standard input$/m)
        assert.isTrue(existsSync(file))
        const set = yield* ran(["admin", "password"], env, "synthetic password 1\nnot this\n")
        assert.strictEqual(set.code, 0, set.output)
        assert.isFalse(existsSync(file))
        assert.notInclude(set.output, "synthetic password 1")
        assert.notInclude(bytesIn(env.WEIRGATE_DATA), "synthetic password 1")
      }),
    30_000
  )
})
