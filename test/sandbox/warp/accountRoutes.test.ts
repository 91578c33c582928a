import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result, Schema } from "effect"
import { Base64Url } from "effect/encoding"
import { TestClock } from "effect/testing"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import {
  accessOf,
  ask,
  at,
  callModel,
  createUser,
  exchange,
  idTokenOf,
  postJson,
  quota,
  refresh,
  text,
  withSandbox
} from "../warpCaller.ts"

const identityError = (code: string) => ({ error: { code: 400, message: code, status: "INVALID_ARGUMENT" } })
const badKey = identityError("API key not valid. Please pass a valid API key.")

/** The claims of an access token, which any client may read. */
const claimsOf = (token: string): unknown =>
  Schema.decodeSync(Schema.fromJsonString(Schema.Unknown))(
    Result.getOrThrow(Base64Url.decodeString(token.split(".")[1] ?? ""))
  )

describe("accountRoutes", () => {
  it.effect("creates an anonymous user whose token can be exchanged, renewed and used", () =>
    Effect.gen(function* () {
      const created = yield* createUser()
      assert.strictEqual(created.status, 200)
      const user = at(created.json, "data", "createAnonymousUser")
      assert.deepInclude(user, {
        __typename: "CreateAnonymousUserOutput",
        expiresAt: null,
        anonymousUserType: "NATIVE_CLIENT_ANONYMOUS_USER_FEATURE_GATED",
        isInviteValid: true
      })
      const exchanged = yield* exchange(idTokenOf(created))
      assert.strictEqual(at(exchanged.json, "expiresIn"), "3600")
      assert.strictEqual((yield* callModel(text(exchanged.json, "idToken"), ask("hi"))).status, 200)
      const renewed = yield* refresh(text(exchanged.json, "refreshToken"))
      assert.deepInclude(renewed.json, {
        expires_in: "3600",
        token_type: "Bearer",
        refresh_token: text(exchanged.json, "refreshToken"),
        user_id: text(user, "firebaseUid"),
        project_id: "weirgate-sandbox"
      })
      assert.strictEqual(at(renewed.json, "access_token"), at(renewed.json, "id_token"))
      assert.notStrictEqual(at(renewed.json, "id_token"), at(exchanged.json, "idToken"))
      assert.strictEqual((yield* callModel(text(renewed.json, "access_token"), ask("hi"))).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("puts into an access token the claims by which a client tells the accounts apart", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(5_000)
      const anonymous = claimsOf(yield* accessOf("anonymous"))
      assert.deepInclude(anonymous, { iss: "https://securetoken.google.com/weirgate-sandbox", iat: 5, exp: 3605 })
      assert.strictEqual(at(anonymous, "sub"), at(anonymous, "user_id"))
      assert.deepStrictEqual(at(anonymous, "firebase"), { identities: {}, sign_in_provider: "custom" })
      assert.isUndefined(at(anonymous, "email"))
      const personal = claimsOf(yield* accessOf("personal"))
      assert.strictEqual(at(personal, "email"), "person@sandbox.invalid")
      assert.strictEqual(at(personal, "firebase", "sign_in_provider"), "password")
    }).pipe(withSandbox())
  )

  it.effect("answers a creation beyond the limit with the page of the edge, and none of its hints", () =>
    Effect.gen(function* () {
      yield* createUser()
      const refused = yield* createUser()
      assert.strictEqual(refused.status, 429)
      assert.include(refused.headers["content-type"], "text/html")
      assert.isUndefined(refused.headers["retry-after"])
      assert.match(refused.text, /^<!doctype html>.*429 Too Many Requests$/)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* createUser()).status, 200)
    }).pipe(withSandbox({ creationLimit: [{ count: 1, per: "30 seconds" }] }))
  )

  it.effect("lets a user expire where that was asked for", () =>
    Effect.gen(function* () {
      const created = yield* createUser({ expirationType: "EXPIRATION_14_DAYS" })
      assert.strictEqual(at(created.json, "data", "createAnonymousUser", "expiresAt"), "1970-01-15T00:00:00.000Z")
    }).pipe(withSandbox())
  )

  it.effect("answers variables that do not fit with GraphQL errors, and creates nobody", () =>
    Effect.gen(function* () {
      const answers = [
        yield* createUser({ anonymousUserType: "SOMETHING_ELSE" }),
        yield* postJson("/graphql/v2?op=CreateAnonymousUser", {}),
        yield* postJson("/graphql/v2?op=SomethingElse", {})
      ]
      for (const { json, status } of answers) {
        assert.strictEqual(status, 200)
        assert.isNull(at(json, "data"))
        assert.isString(at(json, "errors", 0, "message"))
      }
      assert.strictEqual((yield* createUser()).status, 200)
    }).pipe(withSandbox({ creationLimit: [{ count: 1, per: "1 hour" }] }))
  )

  it.effect("refuses a wrong or empty web API key at each address of both services", () =>
    Effect.gen(function* () {
      const { apiKey } = yield* Sandbox
      for (const path of ["/v1/accounts:signInWithCustomToken", "/v1/token", "/proxy/customToken", "/proxy/token"]) {
        for (const key of ["", "?key=", `?key=${Redacted.value(apiKey)}x`]) {
          const { json, status } = yield* postJson(`${path}${key}`, {})
          assert.strictEqual(status, 400)
          assert.deepStrictEqual(json, badKey)
        }
      }
    }).pipe(withSandbox())
  )

  it.effect("serves the fallbacks as it serves the services themselves", () =>
    Effect.gen(function* () {
      const exchanged = yield* exchange(idTokenOf(yield* createUser()), "/proxy/customToken")
      assert.strictEqual((yield* refresh(text(exchanged.json, "refreshToken"), "/proxy/token")).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("reads JSON where a form is usual", () =>
    Effect.gen(function* () {
      const { apiKey, personalRefreshToken } = yield* Sandbox
      const renewed = yield* postJson(`/v1/token?key=${Redacted.value(apiKey)}`, {
        grant_type: "refresh_token",
        refresh_token: Redacted.value(personalRefreshToken)
      })
      assert.strictEqual(renewed.status, 200)
    }).pipe(withSandbox())
  )

  it.effect("names what is wrong with a token by the service's own code", () =>
    Effect.gen(function* () {
      const { apiKey } = yield* Sandbox
      const key = `key=${Redacted.value(apiKey)}`
      const grant = { grant_type: "refresh_token" }
      const cases = [
        [yield* exchange("nonsense"), "INVALID_CUSTOM_TOKEN"],
        [yield* postJson(`/v1/accounts:signInWithCustomToken?${key}`, {}), "MISSING_CUSTOM_TOKEN"],
        [yield* refresh("nonsense"), "INVALID_REFRESH_TOKEN"],
        [yield* postJson(`/v1/token?${key}`, grant), "MISSING_REFRESH_TOKEN"],
        [yield* postJson(`/v1/token?${key}`, {}), "INVALID_GRANT_TYPE"]
      ] as const
      for (const [{ json, status }, code] of cases) {
        assert.strictEqual(status, 400)
        assert.deepStrictEqual(json, identityError(code))
      }
    }).pipe(withSandbox())
  )

  it.effect("rotates refresh tokens when it is set to", () =>
    Effect.gen(function* () {
      const { personalRefreshToken } = yield* Sandbox
      const first = Redacted.value(personalRefreshToken)
      const renewed = yield* refresh(first)
      assert.notStrictEqual(at(renewed.json, "refresh_token"), first)
      assert.deepStrictEqual((yield* refresh(first)).json, identityError("TOKEN_EXPIRED"))
      assert.strictEqual((yield* refresh(text(renewed.json, "refresh_token"))).status, 200)
    }).pipe(withSandbox({ rotation: "revoke" }))
  )

  it.effect("tells the quota of an account, which spends none of it", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* callModel(access, ask("hi"))
      const told = { ...(yield* quota(access)) }
      assert.deepStrictEqual(yield* quota(access), { ...told, headers: (yield* quota(access)).headers })
      assert.strictEqual(at(told.json, "data", "user", "__typename"), "UserOutput")
      assert.deepStrictEqual(at(told.json, "data", "user", "user", "requestLimitInfo"), {
        isUnlimited: false,
        nextRefreshTime: "1970-01-31T00:00:00.000Z",
        requestLimit: 100_000,
        requestsUsedSinceLastRefresh: 1,
        requestLimitRefreshDuration: "MONTHLY"
      })
    }).pipe(withSandbox())
  )

  it.effect("tells no quota to one it does not know", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* quota("nonsense")).status, 401)
    }).pipe(withSandbox())
  )
})
