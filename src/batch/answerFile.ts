/** A file of answers: what a run finds there of earlier ones, and how it adds to it. */
import { Effect, FileSystem, Option, Schema, Scope, Semaphore } from "effect"
import type { PlatformError } from "effect"
import * as AnswerLine from "./answerLine.ts"
import * as Lines from "./lines.ts"

/** A file of the batch cannot be read, cannot be written, or is not what it is taken for. Nothing in it is lost. */
export class BatchFileUnusable extends Schema.TaggedError<BatchFileUnusable>()("BatchFileUnusable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

export const unusable = (file: string) => (error: PlatformError.PlatformError) =>
  new BatchFileUnusable({ file, reason: error.message })

export interface AnswerFile {
  /** Adds whole lines, one call after the other; what was begun is written even when the caller is interrupted. */
  append(lines: string): Effect.Effect<void, BatchFileUnusable>
  /** Has the system bring to the disk what it may hold in memory still. */
  readonly sync: Effect.Effect<void, BatchFileUnusable>
}

const chunk = 256 * 1024

/** An answer may be several times as long as its question. */
const longestAnswer = 512 * 1024 * 1024

/**
 * Tells `found` of each answer in the file, and cuts off a last line that was torn. A file with anything else in it is refused
 * and left as it is: it is somebody's, and no output of a batch. One that is not there is made with the first answer.
 */
export const open = Effect.fnUntraced(function* (
  path: string,
  found: (customId: string, print: number) => void
): Effect.fn.Return<AnswerFile, BatchFileUnusable, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const scope = yield* Effect.scope
  const opened = Scope.provide(fs.open(path, { flag: "a+" }), scope)
  let file: FileSystem.File | undefined
  if (yield* Effect.mapError(fs.exists(path), unusable(path))) {
    file = yield* Effect.mapError(opened, unusable(path))
    yield* recover(path, file, found)
  }

  const writing = yield* Semaphore.make(1)
  return {
    append: (lines) =>
      Effect.gen(function* () {
        file ??= yield* opened
        yield* file.writeAll(Buffer.from(lines))
      }).pipe(Effect.mapError(unusable(path)), Effect.uninterruptible, writing.withPermit),
    sync: Effect.suspend(() => (file === undefined ? Effect.void : Effect.mapError(file.sync, unusable(path))))
  }
})

const recover = Effect.fnUntraced(function* (
  path: string,
  file: FileSystem.File,
  found: (customId: string, print: number) => void
) {
  const foreign = ({ number }: Lines.Line) =>
    new BatchFileUnusable({ file: path, reason: `line ${number} is not a batch's answer; nothing was changed` })
  const splitter = Lines.make(longestAnswer)
  while (true) {
    const bytes = yield* Effect.mapError(file.readAlloc(chunk), unusable(path))
    if (Option.isNone(bytes)) break
    for (const line of splitter.push(bytes.value)) {
      const text = decoder.decode(line.bytes)
      if (text.trim() === "") continue
      const answer = AnswerLine.readAnswer(text)
      if (answer === undefined) return yield* foreign(line)
      found(answer.customId, answer.print)
    }
  }
  const last = splitter.end()
  if (last === undefined) return
  const text = decoder.decode(last.bytes)
  const answer = AnswerLine.readAnswer(text)
  if (answer === undefined && !AnswerLine.mayBeTorn(text)) return yield* foreign(last)
  // One that is whole but for its end of line is an answer all the same.
  yield* Effect.mapError(answer === undefined ? file.truncate(last.start) : file.writeAll(lineFeed), unusable(path))
  if (answer !== undefined) found(answer.customId, answer.print)
})

const decoder = new TextDecoder()
const lineFeed = new Uint8Array([0x0a])
