/** Serves what the emulated drive's addresses lead to: a small content that follows from the file, whole or in part. */
import { Clock, Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Faults } from "../Faults.ts"
import { digest } from "../seed.ts"
import { Statistics } from "../Statistics.ts"
import { partOf } from "./byteRange.ts"
import { basePath } from "./dispatcherRoutes.ts"
import { fidOf } from "./downloadLink.ts"
import { strike } from "./strike.ts"

/** Whatever size a file is said to have. */
const contentLength = 1_024

export const downloadRoute = ({ seed }: { readonly seed: string }) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const faults = yield* Faults
      const statistics = yield* Statistics

      const served = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { fid: signed } = yield* HttpServerRequest.ParsedSearchParams
        const now = yield* Clock.currentTimeMillis
        const fid = typeof signed === "string" ? fidOf(signed, { seed, now }) : undefined
        if (fid === undefined || !isOwnReferer(request.headers["referer"])) {
          return HttpServerResponse.empty({ status: 403 })
        }
        const content = contentOf(seed, fid)
        const part = partOf(request.headers["range"], content.length)
        if (part === undefined) return answered(content, 200, {})
        if (part === "NotSatisfiable") {
          return HttpServerResponse.empty({ status: 416, headers: { "content-range": `bytes */${content.length}` } })
        }
        const { end, start } = part
        return answered(content.subarray(start, end + 1), 206, {
          "content-range": `bytes ${start}-${end}/${content.length}`
        })
      })

      yield* router.add(
        "GET",
        `${basePath}/openapi/download`,
        statistics.track(
          "wopan",
          "content",
          Effect.fnUntraced(function* (open) {
            const struck = yield* strike(faults, open, "content", undefined)
            return struck?._tag === "Response" ? struck.response : yield* served
          })
        )
      )
    })
  )

/** The real one refuses pages of others. */
const isOwnReferer = (referer = "") => referer === "" || URL.parse(referer)?.origin === "https://pan.wo.cn"

const contentOf = (seed: string, fid: string) =>
  Buffer.concat(Array.from({ length: contentLength / 32 }, (_, i) => digest(seed, "content", fid, i)))

const answered = (bytes: Uint8Array, status: number, headers: Record<string, string>) =>
  HttpServerResponse.uint8Array(bytes, {
    status,
    contentType: "application/octet-stream",
    headers: { "accept-ranges": "bytes", ...headers }
  })
