/**
 * Keeps a second process from the same files: by a lock of the operating system on a file beside them, which ends with the
 * process that holds it, however it ends.
 */
import { Context, Effect, Layer, Schema } from "effect"
import type { Scope } from "effect"
import { DatabaseSync } from "node:sqlite"

/** Another one is at work there, or it cannot be locked. */
export class FileLocked extends Schema.TaggedError<FileLocked>()("FileLocked", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

export class FileLock extends Context.Service<
  FileLock,
  {
    /** Holds the file until the scope closes. Never waits: a file that is held is refused. */
    hold(file: string): Effect.Effect<void, FileLocked, Scope.Scope>
  }
>()("weirgate/batch/FileLock") {
  /**
   * Among all processes of this machine. An empty `FILE.lock` stays where it was made: taking it away could give two
   * processes a lock each.
   */
  static readonly layer: Layer.Layer<FileLock> = Layer.succeed(FileLock, {
    hold: (file) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.suspend(() => take(file)),
          (held) => Effect.sync(() => held.close())
        )
      )
  })

  /** Within this process, for files that are none of the operating system's. */
  static readonly layerMemory: Layer.Layer<FileLock> = Layer.sync(FileLock, () => {
    // As many as there are batches at work.
    const held = new Set<string>()
    return FileLock.of({
      hold: (file) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.suspend(() => (held.has(file) ? Effect.fail(busy(file)) : Effect.sync(() => held.add(file)))),
            () => Effect.sync(() => held.delete(file))
          )
        )
    })
  })
}

const busy = (file: string) => new FileLocked({ file, reason: "another batch is at work on it" })

/** Node has no file locks of its own; SQLite takes one of the system's before its first write, and needs no content for it. */
const take = (file: string) =>
  Effect.try({
    try: () => {
      const db = new DatabaseSync(`${file}.lock`, { timeout: 0 })
      try {
        db.exec("BEGIN EXCLUSIVE")
        return db
      } catch (cause) {
        db.close()
        throw cause
      }
    },
    catch: (cause) => {
      const detail = cause instanceof Error ? cause.message : String(cause)
      return detail.includes("locked") ? busy(file) : new FileLocked({ file, reason: `it cannot be locked: ${detail}` })
    }
  })
