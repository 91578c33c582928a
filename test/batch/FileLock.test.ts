import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { FileLock } from "../../src/batch/FileLock.ts"
import { temporaryFolder } from "../support/running.ts"

const hold = (file: string) => FileLock.use((lock) => lock.hold(file))

/** Another process that holds it, until it is killed. */
const holder = (file: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly kill: Effect.Effect<void> }>((resume) => {
      const program = `
        import { Effect } from "effect"
        import { FileLock } from ${JSON.stringify(join(import.meta.dirname, "../../src/batch/FileLock.ts"))}
        const held = FileLock.use((lock) => lock.hold(${JSON.stringify(file)}))
        const told = Effect.sync(() => console.log("held"))
        Effect.runFork(Effect.scoped(held.pipe(Effect.andThen(told), Effect.andThen(Effect.never), Effect.provide(FileLock.layer))))
        setInterval(() => {}, 1e6)`
      const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
      const kill = Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        Effect.promise(() => exited)
      )
      child.stdout.once("data", () => resume(Effect.succeed({ kill })))
    }),
    ({ kill }) => kill
  )

describe("FileLock", () => {
  it.live("is held against another in the same process, until its scope closes", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "out.jsonl")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* hold(file)
          assert.include((yield* Effect.flip(Effect.scoped(hold(file)))).message, "another batch is at work on it")
          yield* Effect.scoped(hold(`${file}.other`))
        })
      )
      yield* Effect.scoped(hold(file))
      assert.isFalse(existsSync(file))
    }).pipe(Effect.provide(FileLock.layer))
  )

  it.live("is held against another process, and ends with it when it is killed", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "out.jsonl")
      const { kill } = yield* holder(file)
      const refused = yield* Effect.flip(Effect.scoped(hold(file)))
      assert.strictEqual(refused._tag, "FileLocked")
      yield* kill
      yield* Effect.scoped(hold(file)).pipe(Effect.retry(Schedule.recurs(0)))
    }).pipe(Effect.provide(FileLock.layer))
  )

  it.live("says why where nothing can be locked", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "no", "such", "folder", "out.jsonl")
      assert.include((yield* Effect.flip(Effect.scoped(hold(file)))).message, "it cannot be locked")
    }).pipe(Effect.provide(FileLock.layer))
  )
})
