/** Makes, shows and revokes the keys that clients show, in the store that a running server may share. */
import { Clock, Console, DateTime, Duration, Effect, Option, Redacted, Schema } from "effect"
import { Audit } from "../access/Audit.ts"
import { ClientKeys, type KeyView, takenOverWithin } from "../access/ClientKeys.ts"
import type { Role } from "../access/Client.ts"
import { keyView } from "../http/adminRoutes.ts"
import { json } from "./json.ts"
import { table } from "./table.ts"
import { ago, timeOf } from "./time.ts"

/** What was given for a flag cannot be used. */
export class FlagRefused extends Schema.TaggedError<FlagRefused>()("FlagRefused", {
  flag: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `--${this.flag}: ${this.reason}`
  }
}

export interface Wanted {
  readonly name: string
  readonly role: Role
  readonly priority: number | undefined
  readonly rpm: number | undefined
  /** Separated by commas. */
  readonly models: string | undefined
  /** A duration from now on, or an ISO date, which without a zone is UTC's. */
  readonly expires: string | undefined
}

/** Nothing but the key goes to standard output, so that a script can take it from there. */
export const create = Effect.fnUntraced(function* ({ expires, models, ...rest }: Wanted) {
  const keys = yield* ClientKeys
  const names = models === undefined ? undefined : yield* modelsOf(models)
  const expiresAt = expires === undefined ? undefined : yield* expiryOf(expires, yield* Clock.currentTimeMillis)
  const { key, view } = yield* keys
    .create({ ...rest, models: names, expiresAt })
    .pipe(Effect.tapError((error) => audited("key.create", rest.name, "refused", error.message)))
  yield* audited("key.create", called(view), "done", said(view))
  yield* Console.log(Redacted.value(key))
  yield* Console.error(
    `${called(view)}: ${said(view)}\nThe key is shown this once. Every server on this data folder takes it within a second.`
  )
})

/** Ends when the key is refused everywhere. */
export const revoke = Effect.fnUntraced(function* (idOrName: string) {
  const keys = yield* ClientKeys
  const view = yield* keys
    .revoke(idOrName)
    .pipe(
      Effect.tapError((error) =>
        audited("key.revoke", error._tag === "KeyUnknown" ? error.key : "a key", "refused", error.message)
      )
    )
  yield* audited("key.revoke", called(view), "done")
  yield* Effect.sleep(takenOverWithin)
  yield* Console.log(`${called(view)}: revoked`)
})

export const list = Effect.fnUntraced(function* (isJson: boolean) {
  const views = yield* ClientKeys.use((keys) => keys.list)
  const now = yield* Clock.currentTimeMillis
  if (isJson) return json({ keys: views.map(keyView) })
  if (views.length === 0) return "There is no key: models may be asked without one, from this machine"
  return table(
    ["id", "name", "role", "state", "limits", "expires", "last used"],
    views.map((view) => [
      view.id,
      view.name,
      view.role,
      view.state,
      limitsOf(view),
      view.expiresAt === undefined ? "never" : timeOf(view.expiresAt),
      view.lastUsedAt === undefined ? "never" : ago(now - view.lastUsedAt)
    ])
  )
})

const audited = (action: string, subject: string, result: "done" | "refused", detail?: string) =>
  Audit.use((audit) =>
    audit.record({
      actor: "command line",
      action,
      subject,
      result,
      ...(detail === undefined ? {} : { detail })
    })
  )

const called = ({ id, name }: KeyView) => `${name} (${id})`

const limitsOf = ({ models, priority, rpm }: KeyView) =>
  [
    ...(priority === undefined ? [] : [`priority ${priority}`]),
    ...(rpm === undefined ? [] : [`${rpm} a minute`]),
    ...(models === undefined ? [] : [`models ${models.join(", ")}`])
  ].join("; ") || "no limits"

const said = (view: KeyView) =>
  [
    `role ${view.role}`,
    limitsOf(view),
    view.expiresAt === undefined ? "never expires" : `expires ${timeOf(view.expiresAt)} UTC`
  ].join("; ")

const modelsOf = (text: string) => {
  const names = [...new Set(text.split(",").map((name) => name.trim()))].filter((name) => name !== "")
  return names.length > 0
    ? Effect.succeed(names)
    : Effect.fail(new FlagRefused({ flag: "models", reason: "expected names of models with commas between them" }))
}

const isoDate = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/
const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/

/** A date alone is UTC's to JavaScript, but a time without a zone is local: here it is UTC's too. */
const instantOf = (text: string): number | undefined => {
  if (!isoDate.test(text)) return undefined
  const day = text.slice(0, 10)
  // The thirtieth of February would be taken for a day in March.
  const isDay = Option.exists(DateTime.make(day), (at) => DateTime.formatIso(at).startsWith(day))
  const written = text.length > 10 && !zoned.test(text.slice(10)) ? `${text}Z` : text
  return isDay
    ? Option.getOrUndefined(Option.map(DateTime.make(written.replace(" ", "T")), DateTime.toEpochMillis))
    : undefined
}

/** Epoch milliseconds. */
export const expiryOf = (text: string, now: number): Effect.Effect<number, FlagRefused> => {
  const refused = (reason: string) => Effect.fail(new FlagRefused({ flag: "expires", reason }))
  const duration = Schema.decodeUnknownOption(Schema.DurationFromString)(text.trim())
  const at = Option.isSome(duration) ? now + Duration.toMillis(duration.value) : instantOf(text.trim())
  if (at === undefined) return refused('expected a duration such as "30 days" or an ISO date')
  if (at <= now) return refused("expected a time to come")
  // The last instant that a date can tell.
  return at > 8.64e15
    ? refused("expected a year before 275760; leave it out for a key that never expires")
    : Effect.succeed(Math.floor(at))
}
