/** What a person wants to know of a configuration file before a server runs on it. Asks no upstream and prints no secret. */
import { Duration, Effect, FileSystem, Result, Schema } from "effect"
import { type Configured, configured, variablesOf } from "../config/configured.ts"
import { secretsOf } from "../config/environment.ts"
import { jsonSchema } from "../config/jsonSchema.ts"
import type { Problem } from "../config/problems.ts"
import { parse } from "../config/SettingsFile.ts"
import { type Limit, nameOf, type Provider } from "../domain/Provider.ts"
import { table } from "./table.ts"

/** The file cannot be used; the message names all that is wrong with it, a line for each. */
export class FileRefused extends Schema.TaggedError<FileRefused>()("FileRefused", {
  file: Schema.String,
  problems: Schema.Array(Schema.Struct({ field: Schema.String, reason: Schema.String }))
}) {
  override get message() {
    const lines = this.problems.map(({ field, reason }) => `\n  ${field}: ${reason}`)
    return `${this.file} cannot be used:${lines.join("")}`
  }
}

export const schema = Effect.sync(() => JSON.stringify(jsonSchema(), undefined, 2))

/** A variable that is not set is no fault of the file: the summary names it, and the file may be right. */
export const check = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(file), ({ message }) =>
    refused(file, [{ field: "(file)", reason: message }])
  )
  const read = parse(text)
  if (Result.isFailure(read)) return yield* refused(file, read.failure)
  const secretOf = yield* secretsOf(variablesOf(read.success))
  const { configured: made, problems } = configured(read.success, secretOf)
  const faults = problems.filter(({ variable }) => variable === undefined)
  return faults.length > 0 ? yield* refused(file, faults) : summaryOf(file, made, problems)
})

const refused = (file: string, problems: ReadonlyArray<Problem>) =>
  new FileRefused({ file, problems: problems.map(({ field, reason }) => ({ field, reason })) })

const summaryOf = (
  file: string,
  { clients, providers, routes, traffic, usesSandbox, wopan }: Configured,
  missing: ReadonlyArray<Problem>
) => {
  const unset = new Set(missing.map(({ variable }) => variable))
  return [
    "Providers",
    table(
      ["name", "kind", "base URL", "keys", "concurrency", "per minute", "tokens per minute", "models"],
      providers.map((provider) => [
        provider.name,
        provider.kind,
        provider.kind === "warp" ? "" : provider.baseUrl,
        keysOf(provider, unset),
        limit(provider.limits.concurrency),
        limit(provider.limits.rpm),
        limit(provider.limits.tpm),
        provider.models?.length ?? (provider.kind === "warp" ? "Warp's own" : "any")
      ])
    ),
    "",
    "Routes",
    routes.length === 0
      ? "(none: models are asked for by their own names, or as provider/model)"
      : table(
          ["model", "targets"],
          routes.map(({ model, targets }) => [model, targets.map(nameOf).join(", ")])
        ),
    "",
    `Clients  ${clients.length === 0 ? "whoever has a key that was made; before the first, everyone on this machine" : clients.map(({ name, role }) => `${name} (${role})`).join(", ")}`,
    `Drive    ${wopan === undefined ? (usesSandbox ? "the sandbox plays it" : "none") : wopan.baseUrl}`,
    `Request  at most ${traffic.attempts} upstream calls in ${Duration.format(traffic.timeout)}, ${Duration.format(traffic.maxWait)} of them in a line of ${traffic.queue.limit}`,
    ...(usesSandbox ? ["Sandbox  is run, or the one at WEIRGATE_SANDBOX_URL is used"] : []),
    "",
    ...missing.map(({ field, variable }) => `${field}: ${variable} is not set here`),
    missing.length === 0
      ? `${file} can be used`
      : `${file} can be used once ${missing.length === 1 ? "it is" : "they are"} set`
  ].join("\n")
}

const keysOf = (provider: Provider, unset: ReadonlySet<string | undefined>) => {
  if (provider.kind === "warp") return "tokens"
  return provider.keys
    .map(({ name }) => {
      const variable = /^env:(.*)$/.exec(name)?.[1]
      return variable === undefined ? name : `${name} ${unset.has(variable) ? "missing" : "found"}`
    })
    .join(", ")
}

const limit = (value: Limit) => (value === "unknown" ? "learned" : value)
