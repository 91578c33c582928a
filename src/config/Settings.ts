/** What an operator can set: the environment's variables and one JSON file. A wrong value is refused by its name. */
import { Config, Context, Duration, Effect, FileSystem, Layer, Option, Schema } from "effect"
import type { Redacted, SchemaIssue } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import { firstIssue } from "../domain/firstIssue.ts"
import { TokenKind } from "../domain/Token.ts"

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

/** Secrets are never written in the file: it names the environment's variable that holds one. */
const SecretRef = Schema.Struct({ env: Schema.NonEmptyString })

const positive = Schema.DurationFromString.check(
  Schema.makeFilter((duration) => Duration.isGreaterThan(duration, Duration.zero), { expected: "a positive duration" })
)
const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
/** 0 takes any free one. */
const port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))
const url = Schema.String.check(
  Schema.makeFilter((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ""), { expected: "an http or https URL" })
)

/** The file's shape. Fields it does not know are refused. */
export const SettingsFile = Schema.Struct({
  server: Schema.optionalKey(
    Schema.Struct({
      host: Schema.optionalKey(Schema.NonEmptyString),
      port: Schema.optionalKey(port),
      /** Whoever calls must show one of these; without any, the server stays on the loopback. */
      apiKeys: Schema.optionalKey(Schema.Array(SecretRef)),
      maxBodyBytes: Schema.optionalKey(count),
      /** How long requests under way may go on after SIGTERM. */
      drain: Schema.optionalKey(positive)
    })
  ),
  acquisition: Schema.optionalKey(
    Schema.Struct({
      preset: Schema.optionalKey(Schema.Literals(["strict", "production", "standard"])),
      hourly: Schema.optionalKey(count),
      daily: Schema.optionalKey(count),
      interval: Schema.optionalKey(positive),
      backoff: Schema.optionalKey(
        Schema.Struct({ base: Schema.optionalKey(positive), max: Schema.optionalKey(positive) })
      ),
      /** More attempts than this in an hour raise the alert. */
      alertAbove: Schema.optionalKey(count)
    })
  ),
  pool: Schema.optionalKey(
    Schema.Struct({
      strategy: Schema.optionalKey(Schema.Literals(["priority", "round_robin", "best"])),
      renewBefore: Schema.optionalKey(positive)
    })
  ),
  warp: Schema.optionalKey(
    Schema.Struct({
      baseUrl: url,
      identityUrl: url,
      tokenUrl: url,
      firebaseApiKey: SecretRef,
      minting: Schema.optionalKey(Schema.Boolean)
    })
  ),
  tokens: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        name: Schema.NonEmptyString,
        provider: Schema.Literal(warpProvider),
        kind: TokenKind,
        refreshToken: SecretRef
      })
    )
  )
})
type SettingsFile = typeof SettingsFile.Type

const sandboxTokens = ["anonymous", "personal"] as const

export interface WarpUpstream {
  readonly baseUrl: string
  readonly identityUrl: string
  readonly tokenUrl: string
  readonly apiKey: Redacted.Redacted
  readonly minting: boolean
}

export class Settings extends Context.Service<
  Settings,
  {
    readonly server: {
      readonly host: string
      readonly port: number
      readonly apiKeys: ReadonlyArray<Redacted.Redacted>
      readonly maxBodyBytes: number
      readonly drain: Duration.Duration
    }
    readonly dataFolder: string
    readonly masterKey: Redacted.Redacted | undefined
    readonly acquisition: NonNullable<SettingsFile["acquisition"]>
    readonly pool: NonNullable<SettingsFile["pool"]>
    /** Absent when no upstream is configured: then the sandbox is one. */
    readonly warp: WarpUpstream | undefined
    readonly tokens: ReadonlyArray<{
      readonly name: string
      readonly kind: TokenKind
      readonly refresh: Redacted.Redacted
    }>
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
}

/** A variable: absent is undefined, and an empty one is as good as absent. */
const variable = <A>(name: string, config: (name: string) => Config.Config<A>) =>
  Effect.gen(function* () {
    const text = yield* Config.option(Config.String(name))
    if (Option.isNone(text) || text.value === "") return undefined
    return yield* config(name)
  }).pipe(
    Effect.mapError(
      (error) => new SettingInvalid({ source: "environment", field: name, reason: firstLine(error.message) })
    )
  )

const secret = (name: string, field: string, source: string) =>
  Effect.filterOrFail(
    variable(name, Config.Redacted),
    (value) => value !== undefined,
    () => new SettingInvalid({ source, field, reason: `the environment variable ${name}, which it names, is not set` })
  )

const httpUrl = (name: string) => Config.schema(url, name)
const portNumber = (name: string) =>
  Config.schema(
    Schema.String.check(Schema.isPattern(/^\d+$/)).pipe(
      Schema.decodeTo(Schema.FiniteFromString),
      Schema.decodeTo(port)
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
  const file = filename === undefined ? {} : yield* readFile(filename)
  const source = filename ?? "configuration"
  const { server, warp, tokens = [] } = file
  const refuse = (field: string, reason: string) => new SettingInvalid({ source, field, reason })
  if (warp === undefined && tokens.length > 0) return yield* refuse("tokens", "there is no upstream for them; set warp")
  for (const [i, { name }] of tokens.entries()) {
    const first = tokens.findIndex((token) => token.name === name)
    if (first < i) return yield* refuse(`tokens[${i}].name`, `tokens[${first}] has the same name`)
  }

  return Settings.of({
    server: {
      host: (yield* variable("WEIRGATE_HOST", Config.String)) ?? server?.host ?? "127.0.0.1",
      port: (yield* variable("WEIRGATE_PORT", portNumber)) ?? server?.port ?? 28_889,
      apiKeys: yield* Effect.forEach(server?.apiKeys ?? [], (key, i) =>
        secret(key.env, `server.apiKeys[${i}].env`, source)
      ),
      maxBodyBytes: server?.maxBodyBytes ?? 10 * 1024 * 1024,
      drain: server?.drain ?? Duration.seconds(20)
    },
    dataFolder: (yield* variable("WEIRGATE_DATA", Config.String)) ?? ".weirgate",
    masterKey: yield* variable("WEIRGATE_MASTER_KEY", Config.Redacted),
    acquisition: file.acquisition ?? {},
    pool: file.pool ?? {},
    warp:
      warp === undefined
        ? undefined
        : {
            baseUrl: warp.baseUrl,
            identityUrl: warp.identityUrl,
            tokenUrl: warp.tokenUrl,
            apiKey: yield* secret(warp.firebaseApiKey.env, "warp.firebaseApiKey.env", source),
            minting: warp.minting ?? false
          },
    tokens: yield* Effect.forEach(tokens, ({ name, kind, refreshToken }, i) =>
      Effect.map(secret(refreshToken.env, `tokens[${i}].refreshToken.env`, source), (refresh) => ({
        name,
        kind,
        refresh
      }))
    ),
    sandbox: {
      port: (yield* variable("WEIRGATE_SANDBOX_PORT", portNumber)) ?? 28_890,
      url: yield* variable("WEIRGATE_SANDBOX_URL", httpUrl),
      seed: (yield* variable("WEIRGATE_SANDBOX_SEED", Config.String)) ?? "weirgate",
      tokens: yield* tokensOf("WEIRGATE_SANDBOX_TOKENS")
    }
  })
})

const readFile = Effect.fnUntraced(function* (filename: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(filename),
    (error) =>
      new SettingInvalid({ source: "environment", field: "WEIRGATE_CONFIG", reason: `${filename}: ${error.message}` })
  )
  return yield* decodeFile(text, filename)
})

/** Exact paths, and all of what is wrong at once would drown the first: the first is told. */
export const decodeFile = (text: string, source: string): Effect.Effect<SettingsFile, SettingInvalid> =>
  Effect.try({
    try: () => JSON.parse(text) as unknown,
    // Only where, never what: the text around it may hold anything.
    catch: (cause) =>
      new SettingInvalid({
        source,
        field: "(file)",
        reason: `it is not JSON (${/position \d+/.exec(String(cause))?.[0] ?? "unexpected end"})`
      })
  }).pipe(
    Effect.flatMap((json) =>
      Effect.mapError(Schema.decodeUnknownEffect(SettingsFile)(json, { onExcessProperty: "error" }), (error) =>
        describe(error.issue, source)
      )
    )
  )

const describe = (issue: SchemaIssue.Issue, source: string) => {
  const { field, reason } = firstIssue(issue)
  return new SettingInvalid({ source, field: field === "" ? "(file)" : field, reason })
}

const firstLine = (message: string) => (message.split("\n")[0] ?? "").replace("SchemaError(", "")
