/** The requests of a batch's input that are still to be asked, read as they are wanted. */
import { Effect, FileSystem, Option } from "effect"
import type { Scope } from "effect"
import { BatchFileUnusable, unusable } from "./answerFile.ts"
import { printOf, unknownPrint } from "./answerLine.ts"
import * as Lines from "./lines.ts"
import * as RequestLine from "./requestLine.ts"
import type { SetAside } from "./setAside.ts"

/**
 * What is known of each `custom_id`: some 100 bytes for each, 100 MB for a million of them. A map holds no more than 16
 * million, so a batch has no more than that.
 */
export interface Known {
  /** An answer of an earlier run. */
  found(customId: string, print: number, isFailed: boolean): void
  /** Of a request of this input: takes its name. */
  take(customId: string, print: number): "new" | "taken" | "answered" | "failed" | "full"
  /** How many were answered before with another body. */
  readonly changed: () => number
}

const mostIds = 16_000_000
const taken = -1

export const makeKnown = (): Known => {
  // An answer of an earlier run is its print, made even for a good one and odd for a bad one.
  const ids = new Map<string, number>()
  let changed = 0
  return {
    found: (customId, print, isFailed) => {
      if (ids.size < mostIds) ids.set(customId, (print + 1) * 2 + (isFailed ? 1 : 0))
    },
    take: (customId, print) => {
      const known = ids.get(customId)
      if (known === taken) return "taken"
      if (known === undefined && ids.size >= mostIds) return "full"
      ids.set(customId, taken)
      if (known === undefined) return "new"
      const before = Math.floor(known / 2) - 1
      if (before !== unknownPrint && before !== print) changed++
      return known % 2 === 0 ? "answered" : "failed"
    },
    changed: () => changed
  }
}

export interface Told {
  answeredBefore: number
  failedBefore: number
  rejected: number
}

const chunk = 256 * 1024

/** The next request that has no answer yet, or undefined after the last. Bad lines on the way are set aside, and all is counted. */
export const open = Effect.fnUntraced(function* (
  path: string,
  known: Known,
  setAside: SetAside,
  told: Told
): Effect.fn.Return<
  Effect.Effect<RequestLine.Question | undefined, BatchFileUnusable>,
  BatchFileUnusable,
  FileSystem.FileSystem | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const file = yield* Effect.mapError(fs.open(path, { flag: "r" }), unusable(path))
  const splitter = Lines.make(RequestLine.longestLine)
  // The lines of one chunk, of which those before `at` are done.
  let lines: ReadonlyArray<Lines.Line> = []
  let at = 0
  let isOver = false

  const more = Effect.map(Effect.mapError(file.readAlloc(chunk), unusable(path)), (bytes) => {
    at = 0
    isOver = Option.isNone(bytes)
    const last = isOver ? splitter.end() : undefined
    lines = Option.isSome(bytes) ? splitter.push(bytes.value) : last === undefined ? [] : [last]
  })

  const reject = (line: Lines.Line, field: string, reason: string) => {
    told.rejected++
    return setAside.put(line, field, reason)
  }

  return Effect.gen(function* () {
    while (true) {
      const line = lines[at]
      if (line === undefined) {
        if (isOver) return undefined
        yield* more
        continue
      }
      at++
      const read = RequestLine.read(line)
      if (read._tag === "Blank") continue
      if (read._tag === "Bad") {
        yield* reject(line, read.field, read.reason)
        continue
      }
      const { question } = read
      switch (known.take(question.customId, printOf(question.digest))) {
        case "new":
          return question
        case "answered":
          told.answeredBefore++
          break
        case "failed":
          told.failedBefore++
          break
        case "taken":
          yield* reject(line, "custom_id", `a line before it has the same: ${JSON.stringify(question.customId)}`)
          break
        case "full":
          return yield* new BatchFileUnusable({
            file: path,
            reason: `it has more than ${mostIds / 1e6} million requests: split it`
          })
      }
    }
  })
})

/** Lines that are not blank. */
export const count = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fs.open(path, { flag: "r" })
  const splitter = Lines.make(RequestLine.longestLine)
  let total = 0
  while (true) {
    const bytes = yield* file.readAlloc(chunk)
    if (Option.isNone(bytes)) break
    for (const line of splitter.push(bytes.value)) if (!RequestLine.isBlank(line)) total++
  }
  const last = splitter.end()
  return last === undefined || RequestLine.isBlank(last) ? total : total + 1
}, Effect.scoped)
