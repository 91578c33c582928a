/** The files of a batch: named after one another, each another one, and held by this run alone. */
import { Effect, FileSystem } from "effect"
import type { Scope } from "effect"
import { basename, dirname, join, resolve } from "node:path"
import { BatchFileUnusable, unusable } from "./answerFile.ts"
import type { BatchFiles, BatchJob } from "./Batch.ts"
import { FileLock, type FileLocked } from "./FileLock.ts"

export const of = Effect.fnUntraced(function* (
  job: Pick<BatchJob, "errors" | "input" | "output">
): Effect.fn.Return<BatchFiles, BatchFileUnusable | FileLocked, FileLock | FileSystem.FileSystem | Scope.Scope> {
  const files = namesOf(job)
  yield* distinct(files)
  const fs = yield* FileSystem.FileSystem
  const { type } = yield* Effect.mapError(fs.stat(files.input), unusable(files.input))
  if (type !== "File") {
    return yield* new BatchFileUnusable({
      file: files.input,
      reason: "a batch is read again to resume it: it must be a file"
    })
  }
  const lock = yield* FileLock
  // The one that lines are set aside in goes with the output, and so do the errors, unless they have been given a name.
  for (const file of job.errors === undefined ? [files.output] : [files.output, files.errors]) {
    yield* lock.hold(yield* Effect.mapError(realPath(fs, file), unusable(file)))
  }
  return files
})

/** Without `output`, all are named after the input; with it, after that. */
export const namesOf = ({ errors, input, output }: Pick<BatchJob, "errors" | "input" | "output">): BatchFiles => {
  const stem = (output ?? input).replace(/\.jsonl$/i, "")
  return {
    input,
    output: output ?? `${stem}.output.jsonl`,
    errors: errors ?? `${stem}.errors.jsonl`,
    rejected: `${stem}.rejected.jsonl`
  }
}

const distinct = (files: BatchFiles) => {
  const seen = new Map<string, string>()
  for (const [role, file] of Object.entries(files)) {
    const other = seen.get(resolve(file))
    if (other !== undefined) {
      return Effect.fail(new BatchFileUnusable({ file, reason: `it is the ${other} and the ${role} at once` }))
    }
    seen.set(resolve(file), role)
  }
  return Effect.void
}

/** One name for one file, whatever leads to it. */
const realPath = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, file: string) {
  return (yield* fs.exists(file)) ? yield* fs.realPath(file) : join(yield* fs.realPath(dirname(file)), basename(file))
})
