/** D4's WoPan service on the wire (protocols section 6). */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Access } from "./Access.ts"
import { answered, managerFailures as error } from "./wire.ts"

const Source = Schema.Literals(["realtime", "cache"])
/** RFC 3339, in UTC. */
const Instant = Schema.String
/** As it stands in a query: only `true` and `1` say yes. */
const Flag = Schema.Literals(["true", "false", "1", "0"])
const Path = Schema.String.check(Schema.isMaxLength(4_096))
/** The name of the token whose account is meant. */
const account = Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)))

/** Where an answer comes from. */
const provenance = {
  source: Source,
  /** In seconds: of what the drive said. 0 when it was asked just now. */
  age: Schema.Finite,
  listed_at: Instant,
  account: Schema.String,
  /** Why the drive could not be asked, when it was to be. */
  failure: Schema.NullOr(Schema.String)
}

export const DriveFile = Schema.Struct({
  name: Schema.String,
  size: Schema.Finite,
  /** `YYYY-MM-DD HH:MM:SS`, in the drive's own time. */
  create_time: Schema.String,
  file_type: Schema.String,
  type: Schema.Literals(["file", "folder"])
}).annotate({ identifier: "DriveFile" })
export type DriveFile = typeof DriveFile.Type

export class DriveApi extends HttpApiGroup.make("drive")
  .add(
    HttpApiEndpoint.get("folders", "/api/folders", {
      query: { realtime: Schema.optionalKey(Flag), folder: Schema.optionalKey(Path), account },
      success: answered({
        data: Schema.Array(Schema.String),
        count: Schema.Int,
        ...provenance,
        timestamp: Instant
      }),
      error
    }).annotate(OpenApi.Summary, "The names of the folders in the root, or in `folder`"),
    HttpApiEndpoint.get("files", "/api/files", {
      query: { realtime: Schema.optionalKey(Flag), folder: Schema.optionalKey(Path), account },
      success: answered({
        data: Schema.Struct({
          folder: Schema.String,
          file_count: Schema.Int,
          ...provenance,
          files: Schema.Array(DriveFile)
        }),
        timestamp: Instant
      }),
      error
    }).annotate(OpenApi.Summary, "What is in a folder, such as `a/b`; without one, in the root"),
    HttpApiEndpoint.get("download", "/api/download/", {
      query: { url: Path, account },
      success: answered({ url: Schema.RedactedFromValue(Schema.String), account: Schema.String }),
      error
    }).annotate(OpenApi.Summary, "An address at which the file `url`, such as `folder/name`, can be had for a while")
  )
  .middleware(Access) {}
