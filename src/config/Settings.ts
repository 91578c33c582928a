/** What an operator can set: the environment's variables and one JSON file. A wrong value is refused by its name. */
import { Config, Context, Duration, Effect, FileSystem, Layer, Result, Schema } from "effect"
import type { Redacted } from "effect"
import { type Configured, configured, variablesOf } from "./configured.ts"
import { secretsOf, SettingInvalid, variable } from "./environment.ts"
import { HttpUrl, Port } from "./fields.ts"
import type { Problem } from "./problems.ts"
import { parse, type SettingsFile } from "./SettingsFile.ts"

export type { InitialToken, Traffic, WarpUpstream, WopanUpstream } from "./configured.ts"
export { SettingInvalid } from "./environment.ts"

const sandboxTokens = ["anonymous", "personal"] as const

export class Settings extends Context.Service<
  Settings,
  Omit<Configured, "apiKeys" | "clients"> & {
    /** The file that it was read from. */
    readonly file: string | undefined
    readonly server: Pick<Configured, "apiKeys" | "clients"> & {
      readonly host: string
      readonly port: number
      readonly maxBodyBytes: number
      readonly maxConnections: number
      readonly trustedProxies: ReadonlyArray<string>
      /** How long requests under way may go on after SIGTERM. */
      readonly drain: Duration.Duration
    }
    readonly dataFolder: string
    readonly masterKey: Redacted.Redacted | undefined
    readonly acquisition: NonNullable<SettingsFile["acquisition"]>
    readonly pool: NonNullable<SettingsFile["pool"]>
    readonly health: NonNullable<SettingsFile["health"]>
    readonly traces: NonNullable<SettingsFile["traces"]>
    readonly drive: { readonly cacheFor?: Duration.Duration }
    readonly sandbox: {
      readonly port: number
      /** A sandbox that runs already. */
      readonly url: string | undefined
      readonly seed: string
      readonly tokens: ReadonlyArray<(typeof sandboxTokens)[number]>
    }
  }
>()("weirgate/config/Settings") {
  /** Reads the environment and the file it names, once. */
  static readonly layer = Layer.effect(
    Settings,
    Effect.suspend(() => read)
  )

  /** The same of a text in place of the file's. The environment is read again as well. */
  static readonly fromText = (text: string, filename: string): Effect.Effect<Settings["Service"], SettingInvalid> =>
    Effect.suspend(() => ofText(text, filename))
}

const httpUrl = (name: string) => Config.schema(HttpUrl, name)
const portNumber = (name: string) =>
  Config.schema(
    Schema.String.check(Schema.isPattern(/^\d+$/)).pipe(
      Schema.decodeTo(Schema.FiniteFromString),
      Schema.decodeTo(Port)
    ),
    name
  )

const tokensOf = Effect.fnUntraced(function* (name: string) {
  const text = yield* variable(name, Config.String)
  if (text === undefined) return sandboxTokens
  if (text.trim() === "none") return []
  const names = text.split(",").map((part) => part.trim())
  const known = sandboxTokens.filter((kind) => names.includes(kind))
  if (known.length !== new Set(names).size) {
    const reason = `expected "none" or a list of ${sandboxTokens.join(", ")}, got ${JSON.stringify(text)}`
    return yield* new SettingInvalid({ source: "environment", field: name, reason })
  }
  return known
})

const read = Effect.gen(function* () {
  const filename = yield* variable("WEIRGATE_CONFIG", Config.String)
  if (filename === undefined) return yield* settle({}, undefined)
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(filename),
    (error) =>
      new SettingInvalid({ source: "environment", field: "WEIRGATE_CONFIG", reason: `${filename}: ${error.message}` })
  )
  return yield* ofText(text, filename)
})

const ofText = Effect.fnUntraced(function* (text: string, filename: string) {
  const file = parse(text)
  // All that is wrong at once would drown the first; `weirgate config check` tells them all.
  return Result.isSuccess(file) ? yield* settle(file.success, filename) : yield* invalid(file.failure[0], filename)
})

const settle = Effect.fnUntraced(function* (file: SettingsFile, filename: string | undefined) {
  const secretOf = yield* secretsOf(variablesOf(file))
  const { configured: made, problems } = configured(file, secretOf)
  const [problem] = problems
  if (problem !== undefined) return yield* invalid(problem, filename ?? "configuration")
  const { apiKeys, clients, ...rest } = made
  const { server } = file
  return Settings.of({
    ...rest,
    file: filename,
    server: {
      apiKeys,
      clients,
      host: (yield* variable("WEIRGATE_HOST", Config.String)) ?? server?.host ?? "127.0.0.1",
      port: (yield* variable("WEIRGATE_PORT", portNumber)) ?? server?.port ?? 28_889,
      maxBodyBytes: server?.maxBodyBytes ?? 10 * 1024 * 1024,
      maxConnections: server?.maxConnections ?? 10_000,
      trustedProxies: server?.trustedProxies ?? [],
      drain: server?.drain ?? Duration.seconds(20)
    },
    dataFolder: (yield* variable("WEIRGATE_DATA", Config.String)) ?? ".weirgate",
    masterKey: yield* variable("WEIRGATE_MASTER_KEY", Config.Redacted),
    acquisition: file.acquisition ?? {},
    pool: file.pool ?? {},
    health: file.health ?? {},
    traces: file.traces ?? {},
    drive: file.wopan?.cacheFor === undefined ? {} : { cacheFor: file.wopan.cacheFor },
    sandbox: {
      port: (yield* variable("WEIRGATE_SANDBOX_PORT", portNumber)) ?? 28_890,
      url: yield* variable("WEIRGATE_SANDBOX_URL", httpUrl),
      seed: (yield* variable("WEIRGATE_SANDBOX_SEED", Config.String)) ?? "weirgate",
      tokens: yield* tokensOf("WEIRGATE_SANDBOX_TOKENS")
    }
  })
})

const invalid = ({ field, reason }: Problem, source: string) => new SettingInvalid({ source, field, reason })
