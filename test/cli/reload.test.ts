import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Deferred,
  Effect,
  Exit,
  FileSystem,
  Layer,
  Logger,
  PlatformError,
  Queue,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import * as Reload from "../../src/cli/reload.ts"
import { Settings } from "../../src/config/Settings.ts"

type Values = Settings["Service"]

const one = { name: "one", kind: "openai", baseUrl: "http://127.0.0.1:1/v1", keys: ["synthetic key 1"] }
const two = { ...one, name: "two" }
const before = JSON.stringify({ providers: [one] })
const after = JSON.stringify({ providers: [one, two], routes: [{ model: "expert", targets: ["two/x"] }] })
const bad = JSON.stringify({ providers: [{ ...one, rpm: 0 }] })

const names = ({ providers }: Values) => providers.map(({ name }) => name)

class Refused extends Error {
  override readonly message = "the pool is away"
}

/** Lets all that can go on now go on. */
const idle = Effect.repeat(Effect.yieldNow, { times: 100 })

/** A file that can be written and watched by hand, and a program that follows it. */
const following = Effect.fnUntraced(function* (
  options: { readonly env?: Record<string, string>; readonly isWatched?: boolean } = {}
) {
  let text: string | undefined = before
  let isRefusing = false
  const signs = yield* Queue.unbounded<FileSystem.WatchEvent>()
  const taken: Array<Values> = []
  const lines: Array<string> = []
  const error = (tag: "NotFound" | "Unknown", method: string) =>
    PlatformError.systemError({ _tag: tag, module: "FileSystem", method })
  const files = FileSystem.layerNoop({
    readFileString: () =>
      Effect.suspend(() => (text === undefined ? error("NotFound", "readFile") : Effect.succeed(text))),
    watch: () => (options.isWatched === false ? Stream.fail(error("Unknown", "watch")) : Stream.fromQueue(signs))
  })
  const provider = ConfigProvider.layer(
    ConfigProvider.fromEnv({ env: options.env ?? { WEIRGATE_CONFIG: "/etc/weirgate/weirgate.json" } })
  )
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const onSettings = (settings: Values) =>
    isRefusing ? Effect.fail(new Refused()) : Effect.sync(() => void taken.push(settings))
  yield* Layer.buildWithScope(
    Reload.layerWith(onSettings).pipe(
      Layer.provide(Settings.layer),
      Layer.provide(files),
      Layer.provide(provider),
      Layer.provide(Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void lines.push(line))])),
      Layer.fresh
    ),
    scope
  )
  yield* idle
  return {
    taken,
    lines,
    log: () => lines.splice(0).join("\n"),
    release: Effect.suspend(() => Scope.close(scope, Exit.void)),
    refuse: (now: boolean) => void (isRefusing = now),
    write: (now: string | undefined) => void (text = now),
    /** As an editor does: the file is written, and the watcher tells of it. */
    save: (now: string | undefined, path = "weirgate.json") => {
      text = now
      return Queue.offer(signs, { _tag: "Update", path })
    },
    hangUp: Effect.andThen(
      Effect.sync(() => void process.emit("SIGHUP")),
      idle
    )
  }
})

describe("a configuration file that is followed", () => {
  it.effect("is taken over some 200 ms after it was last written, and the log says what is new", () =>
    Effect.gen(function* () {
      const file = yield* following()
      assert.strictEqual(file.log(), "")
      yield* file.save(after)
      yield* TestClock.adjust("150 millis")
      yield* file.save(after)
      yield* TestClock.adjust("199 millis")
      assert.deepStrictEqual(file.taken, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
      assert.deepStrictEqual(
        file.taken[0]?.routes.map(({ model }) => model),
        ["expert"]
      )
      const log = file.log()
      assert.include(log, "provider two added; route expert added")
      assert.notInclude(log, "synthetic")
      yield* file.save(after)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(file.taken, 1)
      assert.strictEqual(file.log(), "")
    })
  )

  it.effect("changes nothing when it is bad, and the log says why; the good one after it is taken over", () =>
    Effect.gen(function* () {
      const file = yield* following()
      yield* file.save(bad)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(file.taken, [])
      const log = file.log()
      assert.include(log, "providers[0].rpm")
      assert.include(log, "/etc/weirgate/weirgate.json")
      assert.include(log, "level=ERROR")
      assert.notInclude(log, "synthetic")
      // Told once, not at each look.
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(file.log(), "")
      yield* file.save(after)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
    })
  )

  it.effect("is not called bad while it is being written", () =>
    Effect.gen(function* () {
      const file = yield* following()
      for (const half of ["", after.slice(0, 10), after.slice(0, 40), undefined]) {
        yield* file.save(half)
        yield* TestClock.adjust("200 millis")
      }
      yield* file.save(after)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
      assert.notInclude(file.log(), "level=ERROR")
    })
  )

  it.effect("is called bad in the end also when it is written without end", () =>
    Effect.gen(function* () {
      const file = yield* following()
      yield* file.save("0")
      for (let n = 2; n < 30; n++) {
        yield* TestClock.adjust("200 millis")
        file.write("0".repeat(n))
      }
      assert.include(file.log(), "level=ERROR")
    })
  )

  it.effect("may be gone for a while", () =>
    Effect.gen(function* () {
      const file = yield* following()
      yield* file.save(undefined)
      yield* TestClock.adjust("1 minute")
      assert.match(file.log(), /level=ERROR.*NotFound/)
      yield* file.save(before)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(file.taken, [])
      assert.include(file.log(), "nothing changed")
    })
  )

  it.effect("is looked at every five seconds, as not every change is told of", () =>
    Effect.gen(function* () {
      const file = yield* following({ isWatched: false })
      assert.include(file.log(), "cannot be watched")
      file.write(after)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
    })
  )

  it.effect("does not mind what is written beside it", () =>
    Effect.gen(function* () {
      const file = yield* following()
      yield* file.save(after, "weirgate.db-wal")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(file.taken, [])
    })
  )

  it.effect("is read at once at SIGHUP, also when nothing changed, and the log says so", () =>
    Effect.gen(function* () {
      const file = yield* following()
      yield* file.hangUp
      assert.include(file.log(), "nothing changed")
      file.write(after)
      yield* file.hangUp
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
    })
  )

  it.effect("leaves what a running program cannot change for the next start, and says so each time", () =>
    Effect.gen(function* () {
      const file = yield* following()
      yield* file.save(JSON.stringify({ providers: [one, two], server: { port: 1 }, pool: { strategy: "best" } }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
      assert.strictEqual(file.taken[0]?.server.port, 28_889)
      assert.deepStrictEqual(file.taken[0]?.pool, {})
      assert.match(file.log(), /level=WARN.*server, pool.*next start/)
      yield* file.hangUp
      assert.match(file.log(), /server, pool.*next start/)
      assert.lengthOf(file.taken, 1)
    })
  )

  it.effect("is tried again when it could not be taken over", () =>
    Effect.gen(function* () {
      const file = yield* following()
      file.refuse(true)
      yield* file.save(after)
      yield* TestClock.adjust("1 second")
      assert.match(file.log(), /level=ERROR.*the pool is away/)
      file.refuse(false)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(file.taken.map(names), [["one", "two"]])
      assert.include(file.log(), "provider two added")
    })
  )

  it.effect("is found changed when it was written while the program started", () =>
    Effect.gen(function* () {
      const env = { WEIRGATE_CONFIG: "/etc/weirgate/weirgate.json" }
      let reads = 0
      const files = FileSystem.layerNoop({
        readFileString: () => Effect.sync(() => (reads++ === 0 ? before : after)),
        watch: () => Stream.never
      })
      const taken = yield* Deferred.make<Values>()
      yield* Layer.build(
        Reload.layerWith((settings) => Effect.asVoid(Deferred.succeed(taken, settings))).pipe(
          Layer.provide(Settings.layer),
          Layer.provide(files),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
          Layer.provide(Logger.layer([])),
          Layer.fresh
        )
      )
      assert.deepStrictEqual(names(yield* Deferred.await(taken)), ["one", "two"])
    })
  )

  it.effect("leaves SIGHUP alone once the program stops", () =>
    Effect.gen(function* () {
      const listeners = process.listenerCount("SIGHUP")
      const file = yield* following()
      assert.strictEqual(process.listenerCount("SIGHUP"), listeners + 1)
      yield* file.release
      assert.strictEqual(process.listenerCount("SIGHUP"), listeners)
    })
  )

  it.effect("need not be there: then SIGHUP does no harm and says so", () =>
    Effect.gen(function* () {
      const file = yield* following({ env: {} })
      yield* file.hangUp
      assert.include(file.log(), "WEIRGATE_CONFIG names no file")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(file.taken, [])
    })
  )
})

describe("a file on a disk", () => {
  const onDisk = Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    const file = join(folder, "weirgate.json")
    yield* fs.writeFileString(file, before)
    const taken = yield* Queue.unbounded<Values>()
    const lines = yield* Queue.unbounded<string>()
    yield* Layer.build(
      Reload.layerWith((settings) => Effect.asVoid(Queue.offer(taken, settings))).pipe(
        Layer.provide(Settings.layer),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { WEIRGATE_CONFIG: file } }))),
        Layer.provide(Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void Queue.offerUnsafe(lines, line))])),
        Layer.fresh
      )
    )
    return { fs, file, taken: Effect.map(Queue.take(taken), names), line: Queue.take(lines) }
  })

  it.live("is followed when it is written over, replaced by another, and at a real SIGHUP", () =>
    Effect.gen(function* () {
      const { file, fs, line, taken } = yield* onDisk
      yield* fs.writeFileString(file, after)
      assert.deepStrictEqual(yield* taken, ["one", "two"])
      yield* fs.writeFileString(`${file}.new`, before)
      yield* fs.rename(`${file}.new`, file)
      assert.deepStrictEqual(yield* taken, ["one"])
      assert.include(yield* line, "provider two added")
      assert.include(yield* line, "provider two removed")
      process.kill(process.pid, "SIGHUP")
      assert.include(yield* line, "nothing changed")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
