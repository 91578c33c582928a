/** The environment's variables: settings of their own, and the secrets that the file names. */
import { Config, Effect, Option, Schema } from "effect"
import type { Redacted } from "effect"

/** A value could not be used; `field` is the variable's name or the path in the file. Never holds a secret. */
export class SettingInvalid extends Schema.TaggedError<SettingInvalid>()("SettingInvalid", {
  source: Schema.String,
  field: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.source}: ${this.field}: ${this.reason}`
  }
}

/** A variable: absent is undefined, and an empty one is as good as absent. */
export const variable = <A>(name: string, config: (name: string) => Config.Config<A>) =>
  Effect.gen(function* () {
    const text = yield* Config.option(Config.String(name))
    if (Option.isNone(text) || text.value === "") return undefined
    return yield* config(name)
  }).pipe(
    Effect.mapError(
      (error) => new SettingInvalid({ source: "environment", field: name, reason: firstLine(error.message) })
    )
  )

const firstLine = (message: string) => (message.split("\n")[0] ?? "").replace("SchemaError(", "")

/** The secret of a variable; undefined when it is not set. */
export type SecretOf = (variable: string) => Redacted.Redacted | undefined

export const secretsOf = (names: ReadonlySet<string>): Effect.Effect<SecretOf, SettingInvalid> =>
  Effect.map(
    Effect.forEach(names, (name) => Effect.map(variable(name, Config.Redacted), (secret) => [name, secret] as const)),
    (found) => {
      const secrets = new Map(found)
      return (name) => secrets.get(name)
    }
  )
