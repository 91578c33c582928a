/** The alerts over HTTP. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Alerts } from "../monitoring/Alerts.ts"
import { Routed } from "./Api.ts"
import { answering } from "./Errors.ts"
import { paged } from "./journalPages.ts"

export const alertRoutes = HttpApiBuilder.group(
  Routed,
  "alerts",
  Effect.fnUntraced(function* (handlers) {
    const alerts = yield* Alerts
    return handlers.handle("alerts", ({ query }) =>
      Effect.gen(function* () {
        const active = yield* alerts.active
        const { items, next } = yield* paged(query, alerts.page)
        return { active: active.map(({ firedAt, ...rest }) => ({ ...rest, fired_at: firedAt })), recent: items, next }
      }).pipe(answering)
    )
  })
)
