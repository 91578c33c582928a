/** Files without a disk, whose every operation is over at once: so that virtual time alone decides what comes next. */
import { ByteSize, Effect, FileSystem, Layer, Option, PlatformError } from "effect"

type Files = Map<string, Uint8Array>

/** What is in the files is the test's to write and to read; a disk of so many bytes is full in the middle of a line. */
export const memoryFiles = (
  files: Files,
  disk = { size: Number.POSITIVE_INFINITY }
): Layer.Layer<FileSystem.FileSystem> =>
  Layer.succeed(
    FileSystem.FileSystem,
    FileSystem.makeNoop({
      exists: (path) => Effect.sync(() => files.has(path)),
      realPath: (path) => Effect.succeed(path),
      remove: (path) => Effect.sync(() => void files.delete(path)),
      stat: (path) => Effect.map(contentOf(files, path), infoOf),
      open: (path, options) => {
        const flag = options?.flag ?? "r"
        return flag === "r"
          ? Effect.map(contentOf(files, path), () => fileOf(files, path, disk))
          : Effect.sync(() => {
              if (flag === "w" || !files.has(path)) files.set(path, new Uint8Array())
              return fileOf(files, path, disk)
            })
      }
    })
  )

const contentOf = (files: Files, path: string) =>
  Effect.suspend(() => {
    const content = files.get(path)
    return content === undefined
      ? Effect.fail(
          PlatformError.systemError({ module: "FileSystem", method: "open", _tag: "NotFound", pathOrDescriptor: path })
        )
      : Effect.succeed(content)
  })

const infoOf = (content: Uint8Array): FileSystem.File.Info => ({
  type: "File",
  mtime: Option.none(),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0n,
  rdev: Option.none(),
  ino: Option.none(),
  mode: 0o600,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  size: ByteSize.bytes(content.length),
  blksize: Option.none(),
  blocks: Option.none()
})

/** Reads at a place of its own; writes at the end, as files that are appended to do. */
const fileOf = (files: Files, path: string, disk: { readonly size: number }): FileSystem.File => {
  let at = 0
  const content = () => files.get(path) ?? new Uint8Array()
  const append = (bytes: Uint8Array) =>
    Effect.suspend(() => {
      const free = disk.size - content().length
      files.set(path, Buffer.concat([content(), bytes.subarray(0, Math.max(0, free))]))
      return bytes.length <= free
        ? Effect.void
        : Effect.fail(
            PlatformError.systemError({
              module: "FileSystem",
              method: "writeAll",
              _tag: "Unknown",
              description: "no space left",
              pathOrDescriptor: path
            })
          )
    })
  const taken = (size: number) => {
    const bytes = content().subarray(at, at + size)
    at += bytes.length
    return bytes
  }
  return {
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: Effect.sync(() => infoOf(content())),
    sync: Effect.void,
    seek: (offset) => Effect.sync(() => BigInt((at = Number(offset)))),
    read: (buffer) =>
      Effect.sync(() => {
        const bytes = taken(buffer.length)
        buffer.set(bytes)
        return bytes.length
      }),
    readAlloc: (size) =>
      Effect.sync(() => {
        const bytes = taken(size)
        return bytes.length === 0 ? Option.none() : Option.some(Uint8Array.from(bytes))
      }),
    truncate: (length = 0) => Effect.sync(() => void files.set(path, content().slice(0, length))),
    write: (bytes) => Effect.as(append(bytes), bytes.length),
    writeAll: append
  }
}
