/** What the console shows beside keys and audit: the overview, its live events, tokens, decisions and requests. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Decision } from "../acquisition/decision.ts"
import { levels } from "../domain/quotaLevel.ts"
import { TokenKind } from "../domain/Token.ts"
import { Outcome, Trace } from "../traffic/trace.ts"
import { Access } from "./Access.ts"
import { Overview } from "./overview.ts"
import { aboutBefore, cursor, limitOf, next } from "./page.ts"
import { NewToken, Provider, TokenState } from "./tokens.ts"
import { failures as error } from "./wire.ts"

const Count = Schema.Int
/** Epoch milliseconds. */
const Instant = Schema.Finite

/** A token without its secrets. */
export const ConsoleToken = Schema.Struct({
  id: Schema.String,
  provider: Schema.String,
  name: Schema.String,
  kind: TokenKind,
  state: TokenState,
  /** Why it is out of use, until when, and whether the upstream said so or it is guessed. */
  why: Schema.NullOr(Schema.String),
  until: Schema.NullOr(Instant),
  source: Schema.NullOr(Schema.Literals(["stated", "guessed"])),
  usable: Schema.Boolean,
  created_at: Instant,
  last_used_at: Schema.NullOr(Instant),
  /** When a call last proved it good; null when it is out of use, or an error came after. */
  proven_at: Schema.NullOr(Instant),
  access_expires_at: Schema.NullOr(Instant),
  served: Count,
  succeeded: Count,
  failed: Count,
  /** 0 to 1; null before the first call. */
  success_rate: Schema.NullOr(Schema.Finite),
  leased: Count,
  last_check: Schema.NullOr(Schema.Struct({ at: Instant, ok: Schema.Boolean, detail: Schema.NullOr(Schema.String) })),
  last_failure: Schema.NullOr(
    Schema.Struct({ at: Instant, outcome: Schema.String, detail: Schema.NullOr(Schema.String) })
  ),
  /** The upstream's own word, in its own credits. */
  quota: Schema.NullOr(
    Schema.Struct({ limit: Schema.Finite, used: Schema.Finite, unlimited: Schema.Boolean, at: Instant })
  ),
  /** What is expected of its quota; null while nothing is known. */
  predicted: Schema.NullOr(
    Schema.Struct({
      level: Schema.Literals(levels),
      /** 0 to 1. */
      confidence: Schema.Finite,
      /** 0 to 1: that the next call finds the quota used up. */
      chance: Schema.Finite,
      reason: Schema.String
    })
  )
}).annotate({ identifier: "ConsoleToken" })
export type ConsoleToken = typeof ConsoleToken.Type

const RemovedToken = Schema.Struct({ id: Schema.String, removed: Schema.Literal(true) })

const { steps: _steps, ...told } = Trace.fields
/** An explain-trace without its steps, which `GET /api/admin/requests/:id` has. */
export const TraceSummary = Schema.Struct(told).annotate({ identifier: "TraceSummary" })
export type TraceSummary = typeof TraceSummary.Type

const event = <const Name extends string, S extends Schema.ConstraintCodec<unknown, Schema.Json>>(
  name: Name,
  data: S
) => Schema.Struct({ id: Schema.String, event: Schema.Literal(name), data: Schema.fromJsonString(data) })

export const ConsoleEvent = Schema.Union([
  event("overview", Overview),
  event("decision", Decision),
  event("token", Schema.Union([ConsoleToken, RemovedToken])),
  event("request", TraceSummary)
])

/** Only `true` and `1` say yes. */
const Flag = Schema.optionalKey(Schema.Literals(["true", "false", "1", "0"]))
const id = Schema.Struct({ id: Schema.String.check(Schema.isMaxLength(200)) })

const TokenRows = Schema.Array(Schema.Record(Schema.String, Schema.Json))

export const Imported = Schema.Struct({
  /** Or, with `dry_run`, would be. */
  imported: Count,
  /** Held already, and passed over. */
  skipped: Count
}).annotate({ identifier: "Imported" })

export const ImportProblem = Schema.Struct({
  /** Where the row begins, from 1. */
  line: Count,
  column: Count,
  /** Null when it is the row, or the file, that is wrong. */
  field: Schema.NullOr(Schema.String),
  reason: Schema.String
})

/** The error's frame, and what is wrong line by line: the first 100. */
export const ImportRefusal = Schema.Struct({
  error: Schema.Struct({
    message: Schema.String,
    type: Schema.Literal("invalid_request_error"),
    param: Schema.Null,
    code: Schema.Literal("import_refused")
  }),
  problems: Schema.Array(ImportProblem)
}).annotate({ identifier: "ImportRefusal" })

const aboutEvents = [
  "Server-sent events, each with an `id`. The first is an `overview` with the whole history; then, looked at once a second and only",
  "what has changed: `overview`, `decision`, `token` (whole, or `removed`), `request` (a new trace, or one whose stream has ended; the",
  "newest 100). A comment comes after 15 s of silence. Nothing is repeated after a reconnection, and `Last-Event-ID` is not needed:",
  "once the first event has come, read the lists anew, and nothing is missed. The same holds whenever an `overview` has more than two",
  "steps of history: the reader was too slow, and what it had not read was dropped. One that takes nothing for a minute is cut off.",
  "The stream ends with the session or the key, and with the server; there are at most 20 (then 429)."
].join(" ")

const aboutRequests = [
  "Kept in memory: the newest 500 that were sent with x-weirgate-explain: 1 (`asked`), 500 of a sample of all (`sampled`: five a second",
  "unless `traces.sample` says otherwise), and 500 that ended otherwise than `served` (those of the sample, and `failed`, which have no",
  "steps: twenty a second unless `traces.failures` says otherwise). `outcome` asks for those whose `ended` it is. `before` is what an",
  "answer had as its `next`, or an instant in epoch milliseconds."
].join(" ")

export class Console extends HttpApiGroup.make("console")
  .add(
    HttpApiEndpoint.get("overview", "/api/admin/overview", { success: Overview, error }).annotate(
      OpenApi.Summary,
      "How the server does now, and the last hour in steps of five seconds (kept in memory: begun anew by a restart)"
    ),
    HttpApiEndpoint.get("events", "/api/admin/events", {
      success: HttpApiSchema.StreamSse({ events: ConsoleEvent }),
      error
    })
      .annotate(OpenApi.Summary, "What changes, as it changes")
      .annotate(OpenApi.Description, aboutEvents),
    HttpApiEndpoint.get("tokens", "/api/admin/tokens", {
      query: {
        provider: Schema.optionalKey(Provider),
        state: Schema.optionalKey(TokenState),
        /** A part of the name or of the id, in whatever case. */
        find: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(100))),
        limit: limitOf(1_000),
        cursor
      },
      success: Schema.Struct({
        tokens: Schema.Array(ConsoleToken),
        /** Of those that are meant, on all pages. */
        total: Count,
        next
      }),
      error
    }).annotate(
      OpenApi.Summary,
      "The tokens without their secrets, by provider and name; 100 a page unless it says so"
    ),
    HttpApiEndpoint.post("addToken", "/api/admin/tokens", {
      payload: Schema.Struct({ ...NewToken.fields, provider: Provider }),
      success: ConsoleToken,
      error
    }).annotate(OpenApi.Summary, "Adds a token; 409 when it is held already"),
    HttpApiEndpoint.post("importTokens", "/api/admin/tokens/import", {
      query: { provider: Schema.optionalKey(Provider), skip_known: Flag, dry_run: Flag },
      payload: Schema.Union([Schema.Struct({ tokens: TokenRows }), TokenRows]),
      success: Imported,
      error: [ImportRefusal.pipe(HttpApiSchema.status(422)), ...error]
    })
      .annotate(OpenApi.Summary, "Adds the tokens of a tokens.json: all of them, or none and why, line by line")
      .annotate(
        OpenApi.Description,
        "Up to 1 MiB; rows that name no provider are of `provider` (wopan unless it says so)."
      ),
    HttpApiEndpoint.delete("removeToken", "/api/admin/tokens/:id", {
      params: id,
      success: Schema.Struct({ done: Schema.Literal(true) }),
      error
    }).annotate(OpenApi.Summary, "Forgets a token, secrets and all; leases of it end with it"),
    HttpApiEndpoint.get("decisions", "/api/admin/decisions", {
      query: {
        limit: limitOf(500),
        before: cursor,
        provider: Schema.optionalKey(Provider),
        answer: Schema.optionalKey(Decision.fields.answer),
        step: Schema.optionalKey(Decision.fields.step)
      },
      success: Schema.Struct({ decisions: Schema.Array(Decision), next }),
      error
    })
      .annotate(
        OpenApi.Summary,
        "How requests for a token were decided, and why; newest first, of the 10,000 that are kept; 100 a page unless it says so"
      )
      .annotate(
        OpenApi.Description,
        `${aboutBefore} \`provider\`, \`answer\` and \`step\` leave only the decisions that have them all. A denial that comes again within ten seconds, from the same caller for the same reason, is not told by itself but counted: in \`times\` of one more decision.`
      ),
    HttpApiEndpoint.get("requests", "/api/admin/requests", {
      query: {
        limit: limitOf(500),
        before: cursor,
        /** How it ended. */
        outcome: Schema.optionalKey(Outcome),
        model: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)))
      },
      success: Schema.Struct({ requests: Schema.Array(TraceSummary), next }),
      error
    })
      .annotate(OpenApi.Summary, "What became of requests for models; those that began last first")
      .annotate(OpenApi.Description, aboutRequests)
  )
  .middleware(Access) {}
