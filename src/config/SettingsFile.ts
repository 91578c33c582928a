/**
 * The file's shape. What an editor shows of it and what `weirgate config schema` prints is derived from this, so every field
 * says here what it means. Fields it does not know are refused; secrets are named, never written.
 */
import { Result, Schema } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import { Role } from "../access/Client.ts"
import { TokenKind } from "../domain/Token.ts"
import { wopanProvider } from "../domain/Provider.ts"
import { whyNotBaseUrl } from "./baseUrl.ts"
import {
  count,
  distinct,
  env,
  field,
  HttpUrl,
  Limit,
  namesVariable,
  phase,
  Port,
  positive,
  required,
  SecretRef,
  some
} from "./fields.ts"
import { offsetOfError, placeOf } from "./jsonText.ts"
import { type Problem, problemsOf } from "./problems.ts"

const ProviderName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9._-]*$/u, {
    expected: "a name of lower-case letters, digits, dots, dashes and underscores"
  })
)
const TargetName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9._-]*\/\S.*$/u, { expected: "a target, written provider/model" })
)
const Models = Schema.Array(Schema.NonEmptyString).check(
  some("at least one model, or no list"),
  distinct("model", (name: string) => name)
)

const Timeouts = Schema.Struct({
  connect: phase("Until a connection stands. Default: 10 seconds."),
  headers: phase("From there until the answer's headers. Default: 2 minutes."),
  firstToken: phase("From the request's leaving until the first piece of a streamed answer. Default: 2 minutes."),
  idle: phase("The longest silence inside an answer. Default: 1 minute."),
  total: phase("The whole call, its answer included. Default: 10 minutes.")
})

const Key = Schema.Union([
  Schema.NonEmptyString,
  Schema.Struct({
    env,
    kind: field(TokenKind, "Anonymous keys are spent first, personal ones last. Default: shared.")
  })
]).annotate({ message: `Expected ${namesVariable}; or, for a base URL on this machine, the key itself` })

const BaseUrl = Schema.String.check(
  Schema.makeFilter(whyNotBaseUrl, { toJsonSchema: () => [{}, true] }).abort(),
  Schema.isPattern(/^(https?:\/\/|sandbox:\/)\S+$/u, { expected: "an http or https URL, or sandbox:/PATH" })
).annotate({ examples: ["https://api.example.com/v1", "http://127.0.0.1:8000/v1", "sandbox:/nvidia1/v1"] })

const OpenAiProvider = Schema.Struct({
  name: required(ProviderName, "How routes, logs and metrics call it; warp is another kind's."),
  kind: Schema.Literal("openai"),
  baseUrl: required(
    BaseUrl,
    "Ends before /chat/completions. Plain http only on this machine and on private networks, unless allowInsecure. sandbox:/PATH is a path of the sandbox, wherever that listens."
  ),
  allowInsecure: field(
    Schema.Boolean,
    "Whether keys and questions may cross the internet in clear text. Default: false."
  ),
  keys: field(
    Schema.Array(Key).check(some("at least one key, or no list for an upstream that asks for none")),
    "The keys it accepts; left out for an upstream that asks for none."
  ),
  concurrency: field(Limit, "Calls at work at once, over all keys. Left out, it is unknown and learned."),
  rpm: field(Limit, "Calls in any 60 seconds, over all keys. Left out, it is unknown and learned."),
  tpm: field(Limit, "Model tokens in any 60 seconds, over all keys. Default: unlimited."),
  models: field(Models, "Its own names of the models it offers. Left out, any may be asked for."),
  timeouts: field(Timeouts, "How long each phase of a call may take.")
}).annotate({ title: "An OpenAI-compatible upstream" })

const warpUpstream = {
  baseUrl: HttpUrl,
  identityUrl: HttpUrl,
  tokenUrl: HttpUrl,
  firebaseApiKey: SecretRef,
  minting: field(Schema.Boolean, "Whether new anonymous users may be made there. Default: false.")
}

const WarpProvider = Schema.Struct({
  name: required(
    Schema.String.check(
      Schema.isPattern(/^warp$/u, { expected: `"${warpProvider}", the name of the one of its kind` })
    ),
    "Always warp: there is one of its kind."
  ),
  kind: Schema.Literal("warp"),
  ...warpUpstream,
  concurrency: field(Limit, "Calls at work at once. Default: unlimited."),
  rpm: field(Limit, "Calls in any 60 seconds. Default: unlimited; its quotas are its tokens'."),
  models: field(Models, "The models it is asked for. Default: those its clients offered in 2025."),
  timeouts: field(Timeouts, "How long each phase of a call may take.")
}).annotate({ title: "Warp" })

const Route = Schema.Struct({
  model: required(Schema.NonEmptyString, "The public name, which clients ask for."),
  targets: required(
    Schema.Array(TargetName).check(
      some("at least one target"),
      distinct("target", (name: string) => name)
    ),
    "Who serves it, as provider/model, in order of preference: the one that can start soonest is taken."
  )
})

const ClientKey = Schema.Struct({
  env,
  name: field(
    Schema.String.check(
      Schema.isPattern(/^(?!(?:key-\d+|local|console|weirgate)$)[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u, {
        expected:
          "at most 64 letters, digits, dots, dashes, underscores and @, and not key-N, local, console or weirgate"
      })
    ),
    "How logs and the queue call its holder; several keys may have one holder. Default: key-1, key-2, …"
  ),
  priority: field(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
    "Its requests' priority, 9 being the most urgent, and the most it may ask for."
  ),
  timeout: phase("How long its requests may take when they do not say it themselves."),
  role: field(
    Role,
    "inference asks models, token takes and gives tokens at /api/token, admin does all. Default: inference."
  ),
  rpm: field(count, "Its requests in any 60 seconds. Default: as many as the upstreams take."),
  models: field(Models, "The public model names it may ask for. Default: all.")
}).annotate({ message: `Expected ${namesVariable}` })

/** A trace takes memory and time: more than this is no sample. */
const PerSecond = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))

const Wopan = Schema.Struct({
  baseUrl: required(HttpUrl, "Ends before /{channel}/dispatcher."),
  clientId: required(Schema.NonEmptyString, "Of the web client."),
  clientSecret: required(SecretRef, "Of the web client: 16 characters."),
  iv: required(SecretRef, "The cipher's initial vector: 16 characters."),
  cacheFor: positive("How long a listing answers for the drive when nobody asks for realtime. Default: 5 minutes.")
})

const tokenFields = {
  name: Schema.NonEmptyString,
  kind: TokenKind
}
const Token = Schema.Union([
  Schema.Struct({ ...tokenFields, provider: Schema.Literal(warpProvider), refreshToken: SecretRef }),
  Schema.Struct({
    ...tokenFields,
    provider: Schema.Literal(wopanProvider),
    accessToken: SecretRef,
    refreshToken: Schema.optionalKey(SecretRef)
  })
]).annotate({ discriminator: "provider", message: 'Expected "warp" | "wopan"' })

export const SettingsFile = Schema.Struct({
  $schema: field(Schema.String, "Where an editor finds this schema. Weirgate does not read it."),
  server: Schema.optionalKey(
    Schema.Struct({
      host: field(Schema.NonEmptyString, "Default: 127.0.0.1. Off the loopback, apiKeys are needed."),
      port: field(Port, "Default: 28889; 0 takes a free one."),
      apiKeys: field(
        Schema.Array(ClientKey),
        "Whoever calls must show one of these; without any, the server stays on the loopback."
      ),
      maxBodyBytes: field(count, "The largest request it reads. Default: 10 MiB."),
      trustedProxies: field(
        Schema.Array(
          Schema.String.check(
            Schema.isPattern(/^[0-9a-f.:]{2,45}$/iu, { expected: "an IP address, such as 127.0.0.1" })
          )
        ),
        "Proxies whose X-Forwarded-For tells where a request comes from: for the audit log and for slowing wrong passwords."
      ),
      maxConnections: field(count, "Connections at once; more are closed as they come. Default: 10000."),
      drain: positive("How long requests under way may go on after SIGTERM. Default: 20 seconds.")
    })
  ),
  acquisition: field(
    Schema.Struct({
      preset: field(Schema.Literals(["strict", "production", "standard"]), "Default: strict."),
      hourly: field(count, "New tokens in any hour."),
      daily: field(count, "New tokens in any day."),
      interval: positive("Between two attempts, at least."),
      backoff: field(
        Schema.Struct({ base: positive("After the first failure."), max: positive("At most.") }),
        "After failures in a row; each doubles it."
      ),
      alertAbove: field(count, "More attempts than this in an hour raise the alert.")
    }),
    "How often a new token may be asked for."
  ),
  pool: field(
    Schema.Struct({
      strategy: field(Schema.Literals(["priority", "round_robin", "best"]), "Which token is lent. Default: priority."),
      renewBefore: positive("How long before its end an access token is renewed."),
      disableFor: field(
        Schema.Struct({
          base: positive("After the first time. Default: 30 seconds."),
          max: positive("At most. Default: 1 hour.")
        }),
        "How long a token is left alone that fails too often; each time doubles it, until it has served."
      ),
      leaseFor: positive("How long a token that /api/token/get gave may be reported on. Default: 10 minutes.")
    }),
    "How tokens are lent."
  ),
  warp: field(Schema.Struct(warpUpstream), "Short for a provider of kind warp."),
  wopan: field(
    Wopan,
    "The WoPan cloud drive, whose files /api/files serves. Without it, a sandbox that runs plays it."
  ),
  tokens: field(
    Schema.Array(Token).check(distinct("name", ({ name, provider }) => `${provider}/${name}`, ["name"])),
    "Tokens that the pool starts with."
  ),
  health: field(
    Schema.Struct({ every: positive("Between two checks of one token. Default: 5 minutes.") }),
    "Asks the upstreams, at no cost, whether each token is still good."
  ),
  traces: field(
    Schema.Struct({
      sample: field(
        PerSecond,
        "Of all requests, so many a second are traced step by step, spread evenly; 0 for none. Default: 5."
      ),
      failures: field(
        PerSecond,
        "Of the others, so many a second of those that end in failure are kept without their steps. Default: 20."
      )
    }),
    "Which requests are traced besides those sent with x-weirgate-explain; kept in memory, the newest 500 of each sort."
  ),
  alerts: field(
    Schema.Struct({
      webhook: field(
        Schema.Struct({
          url: required(
            HttpUrl,
            "Where each alert is posted. Plain http only on this machine and on private networks."
          ),
          secret: required(SecretRef, "Signs what is posted, so that the receiver knows who sent it.")
        }),
        "Told of each alert beside the log and the metrics."
      )
    }),
    "Who is told of what needs a person."
  ),
  providers: field(
    Schema.Array(
      Schema.Union([OpenAiProvider, WarpProvider]).annotate({
        discriminator: "kind",
        message: 'Expected "openai" | "warp"'
      })
    ).check(distinct("name", ({ name }) => name, ["name"])),
    "The upstreams that answer model requests. Without any, a sandbox plays one."
  ),
  routes: field(
    Schema.Array(Route).check(distinct("name", ({ model }) => model, ["model"])),
    "Public model names. Without any, each listed model is served by all providers that list it, and provider/model by that provider."
  ),
  traffic: field(
    Schema.Struct({
      attempts: field(count, "The most upstream calls that one request may make. Default: 5."),
      timeout: phase("A request's whole time when its client says nothing. Default: 10 minutes."),
      maxWait: phase(
        "The longest wait in line when the client says nothing. Default: 65 seconds: a minute that is full is over then."
      ),
      queue: field(
        Schema.Struct({
          limit: field(count, "Requests that may wait at once. Default: 1000."),
          ageing: phase("After each such wait, a request counts as one priority higher. Default: 5 seconds.")
        }),
        "The requests that wait for a slot."
      )
    }),
    "What holds for every request."
  )
}).annotate({ title: "Weirgate's configuration" })
export type SettingsFile = typeof SettingsFile.Type
export type FileProvider = NonNullable<SettingsFile["providers"]>[number]
export type FileWarp = NonNullable<SettingsFile["warp"]>
export type FileWopan = NonNullable<SettingsFile["wopan"]>
export type FileToken = NonNullable<SettingsFile["tokens"]>[number]
export type FileWebhook = NonNullable<NonNullable<SettingsFile["alerts"]>["webhook"]>
export type FileClient = NonNullable<NonNullable<SettingsFile["server"]>["apiKeys"]>[number]

/** All that is wrong with its shape; what stands against what is judged by whoever puts it together. */
export const parse = (text: string): Result.Result<SettingsFile, readonly [Problem, ...ReadonlyArray<Problem>]> => {
  const json = Result.try({
    try: () => JSON.parse(text) as unknown,
    // Only where, never what: the text around it may hold anything.
    catch: (): readonly [Problem] => [
      { field: "(file)", reason: `it is not JSON, from ${placeOf(text, offsetOfError(text) ?? 0)} on` }
    ]
  })
  return Result.flatMap(json, (value) =>
    Result.mapError(decode(value, { onExcessProperty: "error", errors: "all" }), ({ issue }) => {
      const [first = { field: "(file)", reason: "invalid" }, ...others] = problemsOf(issue)
      return [first, ...others]
    })
  )
}

const decode = Schema.decodeUnknownResult(SettingsFile)
