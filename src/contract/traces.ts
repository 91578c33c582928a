/** What became of one request. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Trace } from "../traffic/trace.ts"
import { Access } from "./Access.ts"
import { failures as error } from "./wire.ts"

export class TracesApi extends HttpApiGroup.make("traces")
  .add(
    HttpApiEndpoint.get("request", "/api/admin/requests/:id", {
      params: { id: Schema.String },
      success: Trace,
      error
    }).annotate(
      OpenApi.Summary,
      "What became of a request that was traced; for who sent it only with x-weirgate-explain: 1"
    )
  )
  .middleware(Access) {}
