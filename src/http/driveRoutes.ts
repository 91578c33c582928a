/** D4's WoPan service over HTTP. */
import { Clock, DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { DriveFile } from "../contract/drive.ts"
import { Drive, type Listing } from "../drive/Drive.ts"
import type { WopanEntry } from "../upstream/WopanClient.ts"
import { Routed } from "./Api.ts"
import { answeringManager } from "./Errors.ts"

export const driveRoutes = HttpApiBuilder.group(
  Routed,
  "drive",
  Effect.fnUntraced(function* (handlers) {
    const drive = yield* Drive
    const list = ({ account, folder, realtime }: Query) =>
      drive.list({ path: withoutSlashes(folder ?? ""), realtime: realtime === "true" || realtime === "1", account })

    return handlers
      .handle("folders", ({ query }) =>
        Effect.gen(function* () {
          const listing = yield* list(query)
          const names = listing.entries.filter(({ type }) => type === "folder").map(({ name }) => name)
          return { ...answered, data: names, count: names.length, ...provenanceOf(listing), timestamp: yield* now }
        }).pipe(answeringManager)
      )
      .handle("files", ({ query }) =>
        Effect.gen(function* () {
          const listing = yield* list(query)
          const data = {
            folder: listing.path,
            file_count: listing.entries.length,
            ...provenanceOf(listing),
            files: listing.entries.map(fileOf)
          }
          return { ...answered, data, timestamp: yield* now }
        }).pipe(answeringManager)
      )
      .handle("download", ({ query }) =>
        drive.download({ path: withoutSlashes(query.url), account: query.account }).pipe(
          Effect.map(({ account, url }) => ({ ...answered, url, account })),
          answeringManager
        )
      )
  })
)

interface Query {
  readonly folder?: string
  readonly realtime?: "true" | "false" | "1" | "0"
  readonly account?: string
}

const answered = { code: 200, success: true } as const

const instant = (at: number) => DateTime.formatIso(DateTime.makeUnsafe(at))
const now = Effect.map(Clock.currentTimeMillis, instant)

/** D4's users write `/folder/` as well. */
const withoutSlashes = (path: string) => path.replace(/^\/|\/$/g, "")

const provenanceOf = ({ account, ageMs, failure, listedAt, source }: Listing) => ({
  source,
  age: Math.round(ageMs / 1_000),
  listed_at: instant(listedAt),
  account,
  failure: failure ?? null
})

const fileOf = ({ createdAt, fileType, name, size, type }: WopanEntry): DriveFile => ({
  name,
  size,
  create_time: createdAt,
  file_type: fileType,
  type
})
