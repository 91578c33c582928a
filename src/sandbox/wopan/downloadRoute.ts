/** Serves what the emulated drive's addresses lead to: a small content that follows from the file, whole or in part. */
import { Clock, Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { digest } from "../seed.ts"
import { basePath } from "./dispatcherRoutes.ts"
import { fidOf } from "./downloadLink.ts"

/** Whatever size a file is said to have. */
const contentLength = 1_024

export const downloadRoute = ({ seed }: { readonly seed: string }) =>
  HttpRouter.add(
    "GET",
    `${basePath}/openapi/download`,
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { fid: signed } = yield* HttpServerRequest.ParsedSearchParams
      const fid = fidOf(String(signed), { seed, now: yield* Clock.currentTimeMillis })
      if (fid === undefined || !isOwnReferer(request.headers["referer"]))
        return HttpServerResponse.empty({ status: 403 })
      const content = contentOf(seed, fid)
      const range = request.headers["range"]
      if (range === undefined) return answered(content, 200, {})
      const [, first = "", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? []
      const start = Number(first)
      const end = last === "" ? content.length - 1 : Math.min(Number(last), content.length - 1)
      if (first === "" || start > end) {
        return HttpServerResponse.empty({ status: 416, headers: { "content-range": `bytes */${content.length}` } })
      }
      return answered(content.subarray(start, end + 1), 206, {
        "content-range": `bytes ${start}-${end}/${content.length}`
      })
    })
  )

/** The real one refuses pages of others. */
const isOwnReferer = (referer: string | undefined) =>
  referer === undefined || referer === "" || referer.startsWith("https://pan.wo.cn/")

const contentOf = (seed: string, fid: string) =>
  Buffer.concat(Array.from({ length: contentLength / 32 }, (_, i) => digest(seed, "content", fid, i)))

const answered = (bytes: Uint8Array, status: number, headers: Record<string, string>) =>
  HttpServerResponse.uint8Array(bytes, {
    status,
    contentType: "application/octet-stream",
    headers: { "accept-ranges": "bytes", ...headers }
  })
