/** The emulated Warp's GraphQL endpoint and its identity and token services. */
import { Clock, DateTime, Effect, Option, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { HttpServerError } from "effect/http"
import { Faults } from "../Faults.ts"
import { Statistics } from "../Statistics.ts"
import { bearerOf } from "../bearer.ts"
import { strike } from "./strike.ts"
import { WarpAccounts } from "./WarpAccounts.ts"
import type { Issued, TokenRefused } from "./WarpAccounts.ts"
import type { WarpCall } from "./warpFault.ts"
import * as Responses from "./warpResponses.ts"

type Handled = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  HttpServerError.HttpServerError,
  HttpServerRequest.HttpServerRequest | HttpServerRequest.ParsedSearchParams
>

export const accountRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const accounts = yield* WarpAccounts
    const faults = yield* Faults
    const statistics = yield* Statistics

    const counted = (call: WarpCall, handled: Handled) =>
      statistics.track(
        "warp",
        call,
        Effect.fnUntraced(function* (open) {
          const struck = yield* strike(faults, open, call)
          return struck ?? (yield* handled)
        })
      )

    const createAnonymousUser = (body: unknown) =>
      Effect.gen(function* () {
        const input = Option.getOrUndefined(decodeCreation(body))
        if (input === undefined) return Responses.graphqlErrors("the variables do not fit CreateAnonymousUser")
        const now = yield* Clock.currentTimeMillis
        const created = yield* accounts.create
        const { anonymousUserType, expirationType } = input.variables.input
        return Responses.graphqlData("createAnonymousUser", {
          __typename: "CreateAnonymousUserOutput",
          expiresAt: expirationType === "NO_EXPIRATION" ? null : rfc3339(now + fourteenDays),
          anonymousUserType,
          firebaseUid: created.uid,
          idToken: created.custom,
          isInviteValid: true
        })
      }).pipe(Effect.catchTag("CreationRefused", () => Effect.succeed(Responses.tooManyRequests)))

    const quota = Effect.gen(function* () {
      const account = yield* accounts.authenticate(yield* bearerOf)
      const { limit, refilledAt, used } = yield* accounts.quota(account)
      return Responses.graphqlData("user", {
        __typename: "UserOutput",
        user: {
          requestLimitInfo: {
            isUnlimited: false,
            nextRefreshTime: rfc3339(refilledAt),
            requestLimit: limit,
            requestsUsedSinceLastRefresh: used,
            requestLimitRefreshDuration: "MONTHLY"
          },
          bonusGrants: []
        }
      })
    }).pipe(Effect.catchTag("BearerRefused", ({ reason }) => Effect.succeed(Responses.unauthorized(reason))))

    yield* router.add(
      "POST",
      "/graphql/v2",
      Effect.gen(function* () {
        const { op } = yield* HttpServerRequest.ParsedSearchParams
        const body = yield* Effect.orElseSucceed(
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.json),
          () => null
        )
        switch (op ?? Option.getOrUndefined(decodeOperation(body))?.operationName) {
          case "CreateAnonymousUser":
            return yield* counted("createAnonymousUser", createAnonymousUser(body))
          case "GetRequestLimitInfo":
            return yield* counted("quota", quota)
          default:
            return Responses.graphqlErrors("the sandbox knows CreateAnonymousUser and GetRequestLimitInfo")
        }
      })
    )

    /** Both services want the web API key, and a form, though JSON is understood as well. */
    const withForm = (
      handled: (form: ReadonlyMap<string, string>) => Effect.Effect<HttpServerResponse.HttpServerResponse, TokenRefused>
    ): Handled =>
      Effect.gen(function* () {
        const { key } = yield* HttpServerRequest.ParsedSearchParams
        if (key !== accounts.apiKey) return Responses.invalidApiKey
        const request = yield* HttpServerRequest.HttpServerRequest
        return yield* Effect.catchTag(handled(yield* formOf(request)), "TokenRefused", ({ code }) =>
          Effect.succeed(Responses.identityError(code))
        )
      })

    const exchange = withForm((form) => {
      const token = form.get("token")
      if (!token) return Effect.succeed(Responses.identityError("MISSING_CUSTOM_TOKEN"))
      return Effect.map(accounts.exchange(token), exchanged)
    })

    const refresh = withForm(
      Effect.fnUntraced(function* (form) {
        const token = form.get("refresh_token")
        if (form.get("grant_type") !== "refresh_token") return Responses.identityError("INVALID_GRANT_TYPE")
        if (!token) return Responses.identityError("MISSING_REFRESH_TOKEN")
        const issued = yield* accounts.refresh(token)
        const fault = yield* faults.take({ provider: "warp", call: "refresh", phase: "accepted" })
        return refreshed(fault === undefined ? issued : yield* accounts.refresh(issued.refresh, "revoke"))
      })
    )

    yield* router.add("POST", "/v1/accounts::signInWithCustomToken", counted("exchange", exchange))
    yield* router.add("POST", "/proxy/customToken", counted("exchange", exchange))
    yield* router.add("POST", "/v1/token", counted("refresh", refresh))
    yield* router.add("POST", "/proxy/token", counted("refresh", refresh))
  })
)

const fourteenDays = 14 * 24 * 60 * 60 * 1000

const rfc3339 = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const decodeOperation = Schema.decodeUnknownOption(Schema.Struct({ operationName: Schema.String }))

const decodeCreation = Schema.decodeUnknownOption(
  Schema.Struct({
    variables: Schema.Struct({
      input: Schema.Struct({
        anonymousUserType: Schema.Literals([
          "NATIVE_CLIENT_ANONYMOUS_USER",
          "NATIVE_CLIENT_ANONYMOUS_USER_FEATURE_GATED",
          "WEB_CLIENT_ANONYMOUS_USER"
        ]),
        expirationType: Schema.Literals(["NO_EXPIRATION", "EXPIRATION_14_DAYS"]),
        referralCode: Schema.optionalKey(Schema.NullOr(Schema.String))
      }),
      requestContext: Schema.Record(Schema.String, Schema.Json)
    })
  })
)

const formOf = (request: HttpServerRequest.HttpServerRequest) =>
  request.headers["content-type"]?.includes("json") === true
    ? Effect.map(request.json, (body) =>
        typeof body === "object" && body !== null
          ? new Map(Object.entries(body).filter((entry): entry is [string, string] => typeof entry[1] === "string"))
          : new Map<string, string>()
      )
    : Effect.map(request.text, (body) => new Map(new URLSearchParams(body)))

const exchanged = ({ access, lifetimeSeconds, refresh }: Issued) =>
  HttpServerResponse.jsonUnsafe({
    kind: "identitytoolkit#VerifyCustomTokenResponse",
    idToken: access,
    refreshToken: refresh,
    expiresIn: `${lifetimeSeconds}`,
    isNewUser: true
  })

const refreshed = ({ access, account, lifetimeSeconds, refresh }: Issued) =>
  HttpServerResponse.jsonUnsafe({
    access_token: access,
    expires_in: `${lifetimeSeconds}`,
    token_type: "Bearer",
    refresh_token: refresh,
    id_token: access,
    user_id: account.uid,
    project_id: "weirgate-sandbox"
  })
