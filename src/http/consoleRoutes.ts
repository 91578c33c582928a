/** What the console shows and does beside keys and audit, over HTTP. */
import { DateTime, Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Audit } from "../access/Audit.ts"
import { ClientKeys } from "../access/ClientKeys.ts"
import { ConsoleAccount } from "../access/ConsoleAccount.ts"
import { Acquisition } from "../acquisition/Acquisition.ts"
import { Predictor } from "../acquisition/Predictor.ts"
import { ImportProblem, type ImportRefusal } from "../contract/console.ts"
import { wopanProvider } from "../domain/Provider.ts"
import { TokenId } from "../domain/Token.ts"
import { planned } from "../manager/tokenImport.ts"
import { TokenManager } from "../manager/TokenManager.ts"
import type { Problem } from "../manager/tokensFile.ts"
import { Live, summaryOf } from "../overview/Live.ts"
import { Overview } from "../overview/Overview.ts"
import * as RequestPages from "../overview/requestPages.ts"
import { shown } from "../overview/shownToken.ts"
import * as TokenPages from "../overview/tokenPages.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { Catalog } from "../traffic/Catalog.ts"
import { Traces } from "../traffic/Traces.ts"
import { Routed } from "./Api.ts"
import { auditing } from "./audited.ts"
import { Drain } from "./Drain.ts"
import { answering, errorResponse } from "./Errors.ts"
import { eventStream } from "./eventStream.ts"
import { BadRequest } from "./failures.ts"
import { noCursor, paged, usualLimit } from "./journalPages.ts"

const mostProblems = 100

export const consoleRoutes = HttpApiBuilder.group(
  Routed,
  "console",
  Effect.fnUntraced(function* (handlers) {
    const acquisition = yield* Acquisition
    const audited = auditing(yield* Audit)
    const catalog = yield* Catalog
    const live = yield* Live
    const manager = yield* TokenManager
    const overview = yield* Overview
    const pool = yield* TokenPool
    const predictor = yield* Predictor
    const traces = yield* Traces
    const admission = { account: yield* ConsoleAccount, keys: yield* ClientKeys }
    const { endless } = yield* Drain
    endless.add({ place: -1, end: live.end })

    const shownWithQuota = (view: TokenView) =>
      Effect.map(predictor.predict({ provider: view.provider, kind: view.kind, token: view.id }), (prediction) =>
        shown(view, prediction)
      )

    const importing = Effect.fnUntraced(function* (
      request: HttpServerRequest.HttpServerRequest,
      provider: string,
      skipKnown: boolean,
      isDry: boolean
    ) {
      const text = yield* textOf(request)
      const providers = [wopanProvider, ...catalog.current().providers.keys()]
      const planning = planned(text, { provider, providers, skipKnown })
      const { fresh, problems, skipped } = yield* Effect.provideService(planning, TokenManager, manager)
      if (problems.length > 0) {
        const refused = importRefused(problems)
        return yield* isDry ? refused : audited("token.import", "tokens.json", Effect.fail(refused))
      }
      if (!isDry) yield* audited("token.import", `${fresh.length} tokens`, manager.addAll(fresh))
      return HttpServerResponse.jsonUnsafe({ imported: fresh.length, skipped })
    })

    return handlers
      .handle("overview", () => overview.read())
      .handleRaw("events", ({ request }) => answering(eventStream(live, request, admission)))
      .handle("tokens", ({ query: { cursor, find, limit = usualLimit, provider, state } }) =>
        Effect.gen(function* () {
          const after = cursor === undefined ? undefined : TokenPages.placeAt(cursor)
          if (cursor !== undefined && after === undefined) return yield* noCursor("cursor")
          const views = (yield* pool.list(provider)).filter(TokenPages.matching(state, find))
          const page = TokenPages.after(views, after, limit)
          const tokens = yield* Effect.forEach(page.items, shownWithQuota)
          return { tokens, total: views.length, next: page.next ?? null }
        }).pipe(answering)
      )
      .handle("addToken", ({ payload: { expires_at, kind, name, provider, refresh_token, token } }) =>
        Effect.gen(function* () {
          const accessExpiresAt = expires_at && DateTime.toEpochMillis(expires_at)
          const adding = manager.add({ provider, name, kind, token, refresh: refresh_token, accessExpiresAt })
          const { id } = yield* audited("token.add", (added) => added.name, adding)
          return yield* shownWithQuota(yield* pool.view(id))
        }).pipe(answering)
      )
      .handleRaw("importTokens", ({ query: { dry_run, provider = wopanProvider, skip_known }, request }) =>
        importing(request, provider, isYes(skip_known), isYes(dry_run)).pipe(
          Effect.catch((failure) =>
            Effect.succeed(failure._tag === "ImportRefused" ? failure.response : errorResponse(failure))
          )
        )
      )
      .handle("removeToken", ({ params }) =>
        Effect.gen(function* () {
          const id = TokenId.make(params.id)
          // Another process may have added it a moment ago.
          const found = pool.view(id).pipe(Effect.catch(() => Effect.andThen(pool.sync, pool.view(id))))
          const removing = Effect.tap(found, () => pool.remove(id))
          yield* audited("token.remove", (removed) => removed.name, removing)
          return { done: true as const }
        }).pipe(answering)
      )
      .handle("decisions", ({ query: { before, limit, ...where } }) =>
        paged({ before, limit }, (query) => acquisition.decisionPage({ ...query, where })).pipe(
          Effect.map(({ items, next }) => ({ decisions: items, next })),
          answering
        )
      )
      .handle("requests", ({ query: { before, limit = usualLimit, model, outcome } }) =>
        Effect.gen(function* () {
          const place = before === undefined ? undefined : RequestPages.placeAt(before)
          if (before !== undefined && place === undefined) return yield* noCursor("before")
          const wanted = traces
            .all()
            .filter(
              (trace) =>
                (outcome === undefined || trace.ended === outcome) && (model === undefined || trace.model === model)
            )
          const page = RequestPages.before(wanted, place, limit)
          return { requests: page.items.map(summaryOf), next: page.next ?? null }
        }).pipe(answering)
      )
  })
)

const isYes = (flag: string | undefined) => flag === "true" || flag === "1"

/** Bounded by the server's largest body; one that cannot be read is answered to as everywhere. */
const textOf = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const bytes = yield* Effect.orDie(request.arrayBuffer)
  return yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => new BadRequest({ status: 400, param: null, reason: "the body is not UTF-8" })
  })
})

/** The file cannot be imported as it is. */
class ImportRefused extends Schema.TaggedError<ImportRefused>()("ImportRefused", {
  problems: Schema.Array(ImportProblem),
  /** Of all of them. */
  count: Schema.Int
}) {
  override get message() {
    return `${this.count === 1 ? "1 problem" : `${this.count} problems`}; nothing was imported`
  }

  get response() {
    const body: typeof ImportRefusal.Type = {
      error: { message: this.message, type: "invalid_request_error", param: null, code: "import_refused" },
      problems: this.problems
    }
    return HttpServerResponse.jsonUnsafe(body, { status: 422 })
  }
}

const importRefused = (problems: ReadonlyArray<Problem>) =>
  new ImportRefused({
    problems: problems
      .slice(0, mostProblems)
      .map(({ column, field = null, line, reason }) => ({ line, column, field, reason })),
    count: problems.length
  })
