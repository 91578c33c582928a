/** Takes over a changed configuration file while the program runs: when it is told to by SIGHUP, and when the file changes. */
import { Cause, Effect, Equal, Exit, FileSystem, Layer, Option, Queue, Result, Stream } from "effect"
import type { Scope } from "effect"
import { basename, dirname, resolve } from "node:path"
import { difference } from "../config/difference.ts"
import { Settings } from "../config/Settings.ts"

/** After the last sign of writing, so that an editor can finish; and before a file that is wrong is called so. */
const settling = "200 millis"

/** Looked at in any case so often: not every file system tells of its changes, nor does a link when what it leads to changes. */
const interval = "5 seconds"

/** How often a file that is wrong may change before that is told: a writer that never ends must not keep it from being told. */
const patience = 10

/**
 * Has `onSettings` called with the settings that are to be at work, one call at a time, whenever what the running program can
 * take over has changed. A file that cannot be used changes nothing, and the log says why; so it does of what has to wait for
 * the next start. Never fails: when `onSettings` does, that is logged, and it is tried again in some seconds.
 *
 * SIGHUP is caught from the time the layer is built until it is released, also when there is no file to read.
 */
export const layerWith = <E extends { readonly message: string }, R>(
  onSettings: (settings: Settings["Service"]) => Effect.Effect<void, E, R>
): Layer.Layer<never, never, FileSystem.FileSystem | Settings | R> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const settings = yield* Settings
      const hangups = yield* caught("SIGHUP")
      yield* Effect.forkScoped(
        (settings.file === undefined
          ? Stream.runForEach(hangups, () => Effect.logWarning("SIGHUP: WEIRGATE_CONFIG names no file to read again"))
          : following(settings, settings.file, hangups, onSettings)
        ).pipe(Effect.annotateLogs({ service: "Reload" }))
      )
    })
  )

/** One that comes while another waits to be taken says nothing new. */
const caught = (signal: NodeJS.Signals): Effect.Effect<Stream.Stream<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const signals = yield* Queue.sliding<void>(1)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const listener = () => void Queue.offerUnsafe(signals, undefined)
        process.on(signal, listener)
        return listener
      }),
      (listener) => Effect.sync(() => process.off(signal, listener))
    )
    return Stream.fromQueue(signals)
  })

const following = Effect.fnUntraced(function* <E extends { readonly message: string }, R>(
  first: Settings["Service"],
  file: string,
  hangups: Stream.Stream<void>,
  onSettings: (settings: Settings["Service"]) => Effect.Effect<void, E, R>
) {
  const fs = yield* FileSystem.FileSystem
  const read = Effect.result(Effect.mapError(fs.readFileString(file), ({ message }) => message))
  let running = first
  // What was judged last: nothing yet, since the file may have changed after the program read it.
  let judged: Result.Result<string, string> | undefined

  const take = Effect.fnUntraced(function* (next: Settings["Service"], isFirst: boolean) {
    const { deferred, settings, taken } = difference(running, next)
    if (deferred.length > 0) {
      yield* Effect.logWarning(`${file}: ${deferred.join(", ")}: what changed there takes effect at the next start`)
    }
    if (taken.length === 0) {
      return isFirst || deferred.length > 0 ? undefined : yield* Effect.logInfo(`${file}: read again; nothing changed`)
    }
    const exit = yield* Effect.exit(onSettings(settings))
    if (Exit.isFailure(exit)) {
      const reason = Option.match(Cause.findErrorOption(exit.cause), {
        onNone: () => Cause.pretty(exit.cause),
        onSome: ({ message }) => message
      })
      // The next look finds it changed again.
      judged = undefined
      return yield* Effect.logError(`${file}: not taken over as a whole, to be tried again: ${reason}`)
    }
    running = settings
    yield* Effect.logInfo(`${file}: taken over: ${taken.join("; ")}`)
  })

  const look = Effect.fnUntraced(function* (isAsked: boolean) {
    const isFirst = judged === undefined
    let content = yield* read
    if (!isAsked && Equal.equals(content, judged)) return
    let settings = yield* settingsOf(content, file)
    for (let n = 0; Result.isFailure(settings) && n < patience; n++) {
      yield* Effect.sleep(settling)
      const again = yield* read
      if (Equal.equals(again, content)) break
      content = again
      settings = yield* settingsOf(content, file)
    }
    judged = content
    if (Result.isSuccess(settings)) return yield* take(settings.success, isFirst)
    yield* Effect.logError(`${settings.failure} – the configuration at work stays as it is`)
  })

  const changes = Stream.merge(Stream.tick(interval), Stream.debounce(signsOf(fs, file), settling))
  const looks = Stream.merge(
    Stream.map(hangups, () => true),
    Stream.map(changes, () => false)
  )
  yield* Stream.runForEach(looks, look)
})

/** The folder is watched and not the file, which editors replace by another. */
const signsOf = (fs: FileSystem.FileSystem, file: string): Stream.Stream<unknown> =>
  fs.watch(dirname(resolve(file))).pipe(
    Stream.filter(({ path }) => basename(path) === basename(file)),
    Stream.catch((error) =>
      Stream.drain(
        Stream.fromEffect(
          Effect.logWarning(`${file}: looked at every ${interval}, as it cannot be watched: ${error.message}`)
        )
      )
    )
  )

const settingsOf = (
  content: Result.Result<string, string>,
  file: string
): Effect.Effect<Result.Result<Settings["Service"], string>> =>
  Result.isSuccess(content)
    ? Effect.result(Effect.mapError(Settings.fromText(content.success, file), ({ message }) => message))
    : Effect.succeed(Result.fail(`${file}: ${content.failure}`))
