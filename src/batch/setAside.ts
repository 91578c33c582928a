/** Where the lines go that are no requests. Each run reads all of its input, so each writes this file anew. */
import { Effect, FileSystem, Option, Scope, Semaphore } from "effect"
import { BatchFileUnusable, unusable } from "./answerFile.ts"
import type { Line } from "./lines.ts"

export interface SetAside {
  /** Adds `{"line", "field", "reason", "input"}`; `input` is the line as it stands, or the beginning of one that is too long. */
  put(line: Line, field: string, reason: string): Effect.Effect<void, BatchFileUnusable>
}

/** The file of an earlier run is taken away; one is made with the first line that is set aside. */
export const make = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<SetAside, BatchFileUnusable, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const scope = yield* Effect.scope
  const writing = yield* Semaphore.make(1)
  if (yield* Effect.mapError(fs.exists(path), unusable(path))) {
    if (!(yield* isOurs(path))) {
      return yield* new BatchFileUnusable({ file: path, reason: "it would be written anew, and holds something else" })
    }
    yield* Effect.mapError(fs.remove(path), unusable(path))
  }
  let file: FileSystem.File | undefined
  return {
    put: ({ bytes, number }, field, reason) =>
      Effect.gen(function* () {
        file ??= yield* Scope.provide(fs.open(path, { flag: "w" }), scope)
        const input = decoder.decode(bytes)
        yield* file.writeAll(Buffer.from(`${JSON.stringify({ line: number, field, reason, input })}\n`))
      }).pipe(Effect.mapError(unusable(path)), Effect.uninterruptible, writing.withPermit)
  }
})

const decoder = new TextDecoder()

const isOurs = (path: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* FileSystem.FileSystem.use((fs) => fs.open(path, { flag: "r" }))
      const beginning = yield* file.readAlloc(64)
      return Option.isNone(beginning) || /^\{"line":\d+,"field":/.test(decoder.decode(beginning.value))
    })
  ).pipe(Effect.mapError(unusable(path)))
