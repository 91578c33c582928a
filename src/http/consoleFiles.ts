/** The console's page and what it loads, as `npm run build:console` has made them: read once, and compressed once. */
import { Effect, FileSystem, Layer, Path } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { gzipSync } from "node:zlib"
import { takesGzip } from "./takesGzip.ts"

/** Beside the built program, or below the sources that are run as they are. */
const folders = ["../page", "../../dist/page"]

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml"
}

interface File {
  readonly contentType: string
  readonly bytes: Uint8Array
  readonly zipped: Uint8Array
}

/** At `/` the page, and at `/console/` its parts, whose names change with what they hold. */
export const consoleFiles = Layer.unwrap(
  Effect.gen(function* () {
    const files = yield* built
    const page = files.get("index.html")
    if (page === undefined) {
      yield* Effect.annotateLogs(
        Effect.logWarning("the console was not built, so there is no page at /: npm run build:console"),
        { service: "Http" }
      )
      return Layer.empty
    }
    const parts = [...files].filter(([name]) => name !== "index.html")
    return Layer.mergeAll(
      HttpRouter.add("GET", "/", answered(page, "no-cache")),
      ...parts.map(([name, file]) => HttpRouter.add("GET", `/console/${name}`, answered(file, forEver)))
    )
  })
)

const forEver = "public, max-age=31536000, immutable"

const answered = (file: File, cacheControl: string) => {
  const headers = { "cache-control": cacheControl, vary: "accept-encoding" }
  const plain = HttpServerResponse.uint8Array(file.bytes, { contentType: file.contentType, headers })
  const zipped = HttpServerResponse.uint8Array(file.zipped, {
    contentType: file.contentType,
    headers: { ...headers, "content-encoding": "gzip" }
  })
  return Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
    takesGzip(request.headers["accept-encoding"] ?? "") ? zipped : plain
  )
}

/** None when they were not built. */
const built = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (const folder of folders) {
    const found = path.join(import.meta.dirname, folder)
    if (!(yield* fs.exists(path.join(found, "index.html")))) continue
    const names = (yield* fs.readDirectory(found)).filter((name) => path.extname(name) in types)
    const files = yield* Effect.forEach(names, (name) =>
      Effect.map(fs.readFile(path.join(found, name)), (bytes): readonly [string, File] => [
        name,
        { contentType: types[path.extname(name)] ?? "", bytes, zipped: gzipSync(bytes) }
      ])
    )
    return new Map(files)
  }
  return new Map<string, File>()
})
