/** What holds for every route: who may reach it at all, what an answer must say to a browser, and that nothing breaks unseen. */
import { ByteSize, Cause, Effect, Option } from "effect"
import { HttpIncomingMessage, HttpServerError, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { HttpApiError } from "effect/http-api"
import { firstIssue } from "../domain/firstIssue.ts"
import { isLocalHost } from "./Access.ts"
import { defectResponseFor, responseFor, type WireFailure } from "./Errors.ts"
import { BadRequest, CrossSite, ForeignHost, NotFound } from "./failures.ts"
import { originOf } from "./forwarded.ts"
import * as ModelRequest from "./modelRequest.ts"
import { tooLarge } from "./requestBody.ts"
import { isForeign, isSafe } from "./sameSite.ts"
import { secured } from "./securityHeaders.ts"

export interface Guard {
  /** Whether everyone on this machine may call, so that no other host is answered to. */
  readonly isOpen: () => boolean
  readonly maxBodyBytes: number
  /** Proxies whose word is taken for where a request comes from. */
  readonly trustedProxies: ReadonlySet<string>
}

export const guarded = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, guard: Guard) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const refusal = refusalOf(request, guard)
    const response = yield* refusal === undefined
      ? Effect.catchCauseIf(
          Effect.provideService(handler, HttpServerRequest.HttpServerRequest, placed(request, guard)),
          (cause) => !Cause.hasInterruptsOnly(cause),
          (cause) => broken(request, cause)
        )
      : Effect.succeed(responseFor(request.url, refusal))
    return secured(response)
  }).pipe(Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(guard.maxBodyBytes)))

const placed = (request: HttpServerRequest.HttpServerRequest, { trustedProxies }: Guard) => {
  const origin = Option.map(request.remoteAddress, (peer) =>
    originOf(peer, request.headers["x-forwarded-for"], trustedProxies)
  )
  return request.modify({ remoteAddress: origin })
}

const refusalOf = (request: HttpServerRequest.HttpServerRequest, guard: Guard): WireFailure | undefined => {
  const { headers, method } = request
  if (guard.isOpen() && !isLocalHost(headers["host"])) return new ForeignHost()
  if (isSafe(method)) return undefined
  if (isForeign(headers)) return new CrossSite({ reason: "origin" })
  if (Number(headers["content-length"] ?? 0) > guard.maxBodyBytes) return tooLarge
  return hasBody(headers) && !json.test(headers["content-type"] ?? "") ? ModelRequest.notJsonType : undefined
}

/** The router reads no relative of it. */
const json = /^application\/json\s*(;|$)/i

const hasBody = (headers: HttpServerRequest.HttpServerRequest["headers"]) =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0

/** What the request is at fault for is told; of all else, only that it was. */
const broken = (request: HttpServerRequest.HttpServerRequest, cause: Cause.Cause<unknown>) => {
  const refusal = cause.reasons.map((reason) => faultOf(request, reasonOf(reason))).find((found) => found !== undefined)
  if (refusal !== undefined) return Effect.succeed(responseFor(request.url, refusal))
  return Effect.logError("a request broke", Cause.pretty(cause)).pipe(
    Effect.annotateLogs({ service: "Http" }),
    Effect.as(defectResponseFor(request.url))
  )
}

const reasonOf = (reason: Cause.Reason<unknown>): unknown =>
  Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined

const faultOf = ({ method, url }: HttpServerRequest.HttpServerRequest, error: unknown): WireFailure | undefined => {
  if (HttpApiError.HttpApiSchemaError.is(error) && error.kind !== "Body" && error.kind !== "ResponseHeaders") {
    const { field, reason } = firstIssue(error.cause.issue)
    return new BadRequest({ status: 400, param: field === "" ? null : field, reason })
  }
  if (!HttpServerError.isHttpServerError(error)) return undefined
  switch (error.reason._tag) {
    case "RouteNotFound":
      return nothingAt(method, url)
    case "RequestParseError":
      return error.reason.reason === "BodyTooLarge"
        ? tooLarge
        : new BadRequest({ status: 400, param: null, reason: "the body cannot be read" })
    default:
      return undefined
  }
}

export const nothingAt = (method: string, url: string) => new NotFound({ method, path: url.split("?")[0] ?? url })
