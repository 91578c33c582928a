/** D4's token manager on the wire (protocols section 6): its names, with honest statuses, and a lease for each token given. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { TokenKind } from "../domain/Token.ts"
import { RedactedTokenSecret as Secret } from "../domain/tokenSecret.ts"
import { Access } from "./Access.ts"
import { answered, managerFailures as error } from "./wire.ts"

const Name = Schema.String.check(
  Schema.isPattern(/^\S(?:[^\p{Cc}]{0,98}\S)?$/u, {
    expected: "1 to 100 characters, without control characters and without spaces at its ends"
  })
)
export const Provider = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9._-]{0,63}$/u, { expected: "the name of a provider" })
)
/** RFC 3339, in UTC. */
const Instant = Schema.String

export const Strategy = Schema.Literals(["round_robin", "best", "priority"])
export type Strategy = typeof Strategy.Type

/** Which tokens: `wopan`'s unless it says otherwise. */
const provider = Schema.optionalKey(Provider)

export const LentToken = Schema.Struct({
  /** To call with. */
  token: Secret,
  name: Schema.String,
  id: Schema.String,
  provider: Schema.String,
  /** To report with. */
  lease: Schema.String,
  /** Until when a report counts. */
  lease_expires_at: Instant,
  /** Until when the token can be called with; null when it does not say. */
  expires_at: Schema.NullOr(Instant)
}).annotate({ identifier: "LentToken" })
export type LentToken = typeof LentToken.Type

/** `abandoned` gives the lease back and says nothing of the token. */
export const Outcome = Schema.Literals([
  "succeeded",
  "failed",
  "quota_exhausted",
  "rate_limited",
  "unauthorized",
  "upstream_fault",
  "abandoned"
])
export type Outcome = typeof Outcome.Type

export const Report = Schema.Struct({
  lease: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(4_096))),
  /** Without `lease`: the caller's oldest open lease of this token is meant. */
  token: Schema.optionalKey(Secret),
  provider,
  success: Schema.Boolean,
  /** What kind of failure it was, if more is known than that it was one. */
  outcome: Schema.optionalKey(Outcome),
  /** Of `rate_limited`, in seconds. */
  retry_after: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 86_400 }))),
  error: Schema.optionalKey(Schema.NullOr(Schema.String.check(Schema.isMaxLength(2_000))))
}).annotate({ identifier: "Report" })
export type Report = typeof Report.Type

export const NewToken = Schema.Struct({
  token: Secret,
  /** Default: `Token-n`. */
  name: Schema.optionalKey(Name),
  provider,
  kind: Schema.optionalKey(TokenKind),
  /** What it is renewed with, for upstreams that renew. */
  refresh_token: Schema.optionalKey(Secret),
  expires_at: Schema.optionalKey(Schema.DateTimeUtcFromString)
}).annotate({ identifier: "NewToken" })
export type NewToken = typeof NewToken.Type

/** By any one of the three. */
export const WhichToken = Schema.Struct({
  token: Schema.optionalKey(Secret),
  id: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
  name: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
  provider
}).annotate({ identifier: "WhichToken" })
export type WhichToken = typeof WhichToken.Type

export const TokenState = Schema.Literals(["active", "cooling", "exhausted", "disabled", "dead"])
export type TokenState = typeof TokenState.Type

const NamedToken = Schema.Struct({ id: Schema.String, name: Schema.String, provider: Schema.String })

export const TokenStatistics = Schema.Struct({
  /** Its id: no part of the secret. */
  id: Schema.String,
  /** The same, under D4's name for it. */
  token: Schema.String,
  name: Schema.String,
  provider: Schema.String,
  is_active: Schema.Boolean,
  state: TokenState,
  last_used: Schema.NullOr(Instant),
  success_count: Schema.Int,
  error_count: Schema.Int,
  last_error: Schema.NullOr(Schema.String),
  last_check: Schema.NullOr(Instant),
  /** Percent; 100 when unused. */
  success_rate: Schema.Finite,
  /** How many have it now. */
  leased: Schema.Int
}).annotate({ identifier: "TokenStatistics" })
export type TokenStatistics = typeof TokenStatistics.Type

export const Statistics = Schema.Struct({
  total_tokens: Schema.Int,
  active_tokens: Schema.Int,
  total_requests: Schema.Int,
  total_success: Schema.Int,
  total_errors: Schema.Int,
  /** Percent; 100 when nothing was asked. */
  overall_success_rate: Schema.Finite,
  tokens: Schema.Array(TokenStatistics)
}).annotate({ identifier: "Statistics" })
export type Statistics = typeof Statistics.Type

export class Tokens extends HttpApiGroup.make("tokens")
  .add(
    HttpApiEndpoint.get("get", "/api/token/get", {
      query: { strategy: Schema.optionalKey(Strategy), provider },
      success: answered({ data: LentToken }),
      error
    }).annotate(OpenApi.Summary, "Lends a token; how the call with it ended is to be reported"),
    HttpApiEndpoint.post("add", "/api/token/add", {
      payload: NewToken,
      success: answered({ message: Schema.String, data: NamedToken }),
      error
    }).annotate(OpenApi.Summary, "Adds a token; 409 when it is held already"),
    HttpApiEndpoint.delete("remove", "/api/token/remove", {
      payload: WhichToken,
      success: answered({ message: Schema.String, data: NamedToken }),
      error
    }).annotate(OpenApi.Summary, "Forgets a token"),
    HttpApiEndpoint.post("report", "/api/token/report", {
      payload: Report,
      success: answered({
        message: Schema.String,
        data: Schema.Struct({ ...NamedToken.fields, state: TokenState })
      }),
      error
    }).annotate(OpenApi.Summary, "Says how the call ended that a token was lent for; a lease counts once"),
    HttpApiEndpoint.get("stats", "/api/token/stats", {
      query: { provider },
      success: answered({ data: Statistics }),
      error
    }).annotate(OpenApi.Summary, "How the tokens do; never a token itself")
  )
  .middleware(Access) {}
