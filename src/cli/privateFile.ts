/** Writes a file that only its owner can read: whole or not at all, and there when it returns, also after a power cut. */
import { Effect, FileSystem, Random, Schema } from "effect"
import type { PlatformError } from "effect"
import { dirname } from "node:path"

/** It is there, and was not to be replaced. */
export class FileExists extends Schema.TaggedError<FileExists>()("FileExists", { file: Schema.String }) {
  override get message() {
    return `${this.file} is there already; --force replaces it`
  }
}

export const write = Effect.fnUntraced(function* (
  file: string,
  text: string,
  { force }: { readonly force: boolean }
): Effect.fn.Return<void, FileExists | PlatformError.PlatformError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const exists = new FileExists({ file })
  // Before a secret is written anywhere.
  if (!force && (yield* fs.exists(file))) return yield* exists
  const draft = `${file}.${(yield* Random.nextIntBetween(0, 0xffffffff)).toString(16)}.draft`
  yield* Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* fs.open(draft, { flag: "wx", mode: 0o600 })
      yield* opened.writeAll(new TextEncoder().encode(text))
      yield* opened.sync
    })
  ).pipe(
    Effect.andThen(
      force
        ? fs.rename(draft, file)
        : Effect.andThen(
            // Unlike renaming it, this does not replace what has come there meanwhile.
            Effect.catchIf(
              fs.link(draft, file),
              ({ reason }) => reason._tag === "AlreadyExists",
              () => Effect.fail(exists)
            ),
            fs.remove(draft)
          )
    ),
    Effect.onError(() => Effect.ignore(fs.remove(draft, { force: true }))),
    Effect.uninterruptible
  )
  yield* Effect.scoped(Effect.flatMap(fs.open(dirname(file)), ({ sync }) => sync))
})
