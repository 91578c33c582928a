/** What a file amounts to: shapes brought together, names resolved, defaults filled in. Pure; secrets are given. */
import { Duration, Redacted } from "effect"
import {
  defaultTimeouts,
  type Limit,
  type Limits,
  type Provider,
  type ProviderKey,
  type Route,
  type Target,
  type Timeouts,
  warpProvider,
  wopanProvider
} from "../domain/Provider.ts"
import type { Credential, TokenKind } from "../domain/Token.ts"
import type { Client } from "../access/Client.ts"
import { isSandboxUrl, normalBaseUrl, reachOf } from "./baseUrl.ts"
import type { SecretOf } from "./environment.ts"
import type { Problem } from "./problems.ts"
import type {
  FileClient,
  FileProvider,
  FileToken,
  FileWarp,
  FileWebhook,
  FileWopan,
  SettingsFile
} from "./SettingsFile.ts"

export interface WarpUpstream {
  readonly baseUrl: string
  readonly identityUrl: string
  readonly tokenUrl: string
  readonly apiKey: Redacted.Redacted
  readonly minting: boolean
}

export interface WopanUpstream {
  readonly baseUrl: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  readonly iv: Redacted.Redacted
}

/** What the pool starts with, besides the keys of the providers. */
export interface InitialToken {
  readonly name: string
  readonly provider: string
  readonly kind: TokenKind
  readonly credential: Partial<Credential>
}

/** Who is told of alerts beside the log and the metrics. */
export interface AlertTargets {
  readonly webhook: { readonly url: string; readonly secret: Redacted.Redacted } | undefined
}

export interface Traffic {
  /** The most upstream calls that one request may make. */
  readonly attempts: number
  /** A request's whole time when its client says nothing. */
  readonly timeout: Duration.Duration
  /** The longest in line when the client says nothing. */
  readonly maxWait: Duration.Duration
  readonly queue: { readonly limit: number; readonly ageing: Duration.Duration }
}

export interface Configured {
  /** In the file's order, after them the one that `warp` is short for. Without an upstream, the Warp that the sandbox plays. */
  readonly providers: ReadonlyArray<Provider>
  readonly routes: ReadonlyArray<Route>
  /** Absent when Warp is not configured. */
  readonly warp: WarpUpstream | undefined
  /** Absent when the drive is not configured. */
  readonly wopan: WopanUpstream | undefined
  readonly tokens: ReadonlyArray<InitialToken>
  readonly alerts: AlertTargets
  /** The nth of the clients holds the nth key. */
  readonly apiKeys: ReadonlyArray<Redacted.Redacted>
  readonly clients: ReadonlyArray<Client>
  readonly traffic: Traffic
  /** A provider is reached at the sandbox, or there is no other. */
  readonly usesSandbox: boolean
}

/** Of use only when there is no problem. */
export const configured = (
  file: SettingsFile,
  secretOf: SecretOf
): { readonly configured: Configured; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const refuse: Refuse = (field, reason) => void problems.push({ field, reason })
  const secret: ReadSecret = (variable, field) => {
    const found = secretOf(variable)
    if (found !== undefined) return found
    const reason = `the environment variable ${variable}, which it names, is not set`
    problems.push({ field, reason, variable })
    return none
  }

  const written = file.providers ?? []
  const apiKeys = file.server?.apiKeys ?? []
  const keys = apiKeys.map(({ env }, i) => secret(env, `server.apiKeys[${i}].env`))
  const providers = written.map((provider, i) => providerOf(provider, `providers[${i}]`, secret, refuse))
  const warps = warpsOf(file)
  if (warps.length > 1) refuse("warp", `it is short for ${warps[1]?.field}, which is there as well: keep one of them`)
  const warp = warps[0] && warpOf(warps[0].warp, warps[0].field, secret, refuse)
  if (file.warp !== undefined) providers.push(warpAlone)
  const wopan = file.wopan && wopanOf(file.wopan, secret, refuse)
  const tokens = (file.tokens ?? []).map((token, i) => tokenOf(token, `tokens[${i}]`, secret))
  for (const [provider, upstream] of [
    [warpProvider, warp],
    [wopanProvider, wopan]
  ] as const) {
    const first = tokens.findIndex((token) => token.provider === provider)
    if (upstream === undefined && first >= 0) {
      refuse(`tokens[${first}].provider`, `there is no upstream for it; set ${provider}`)
    }
  }
  // Whoever has configured the drive alone wants nothing played.
  const offered = providers.length > 0 || wopan !== undefined ? providers : [warpAlone]

  return {
    problems,
    configured: {
      providers: offered,
      routes: routesOf(file, offered, refuse),
      warp,
      wopan,
      tokens,
      alerts: { webhook: file.alerts?.webhook && webhookOf(file.alerts.webhook, secret, refuse) },
      apiKeys: keys,
      clients: apiKeys.map(clientOf),
      traffic: trafficOf(file),
      usesSandbox:
        (providers.length === 0 && offered.length > 0) ||
        offered.some((provider) => provider.kind === "openai" && isSandboxUrl(provider.baseUrl))
    }
  }
}

/** The variables that a file names: whoever looks them up need not know where they stand. */
export const variablesOf = (file: SettingsFile): ReadonlySet<string> => {
  const names = new Set<string>()
  configured(file, (name) => {
    names.add(name)
    return undefined
  })
  return names
}

type Refuse = (field: string, reason: string) => void
type ReadSecret = (variable: string, field: string) => Redacted.Redacted

const none = Redacted.make("")

const timeoutsOf = (written: FileProvider["timeouts"]): Timeouts => {
  const phase = (name: keyof Timeouts) => written?.[name] ?? Duration.fromInputUnsafe(defaultTimeouts[name])
  return {
    connect: phase("connect"),
    headers: phase("headers"),
    firstToken: phase("firstToken"),
    idle: phase("idle"),
    total: phase("total")
  }
}

/** Its limits are its tokens' quotas, so what is left out is not learned. */
const warpLimits = (concurrency: Limit = "unlimited", rpm: Limit = "unlimited"): Limits => ({
  concurrency,
  rpm,
  tpm: "unlimited"
})

/** With nothing said about it as a provider. */
const warpAlone: Provider = {
  kind: "warp",
  name: warpProvider,
  limits: warpLimits(),
  timeouts: timeoutsOf(undefined),
  models: undefined
}

const providerOf = (written: FileProvider, field: string, secret: ReadSecret, refuse: Refuse): Provider => {
  const { concurrency, models, name, rpm } = written
  const timeouts = timeoutsOf(written.timeouts)
  if (written.kind === "warp") {
    return { kind: "warp", name: warpProvider, limits: warpLimits(concurrency, rpm), timeouts, models }
  }
  if (name === warpProvider) refuse(`${field}.name`, `that is the name of the provider of kind ${warpProvider}`)
  if (written.allowInsecure !== true) {
    refuseClearText(written.baseUrl, `${field}.baseUrl`, refuse, ", or set allowInsecure")
  }
  return {
    kind: "openai",
    name,
    baseUrl: normalBaseUrl(written.baseUrl),
    keys: keysOf(written, field, secret, refuse),
    limits: { concurrency: concurrency ?? "unknown", rpm: rpm ?? "unknown", tpm: written.tpm ?? "unlimited" },
    timeouts,
    models
  }
}

const refuseClearText = (url: string, field: string, refuse: Refuse, otherwise = "") => {
  if (!url.startsWith("http:") || reachOf(url) !== "far") return
  refuse(field, `plain http would carry secrets over the internet in clear text: use https${otherwise}`)
}

const keysOf = (
  { baseUrl, keys }: Extract<FileProvider, { readonly kind: "openai" }>,
  field: string,
  secret: ReadSecret,
  refuse: Refuse
): ReadonlyArray<ProviderKey> => {
  if (keys === undefined) return [{ name: "keyless:1", kind: "shared", secret: none }]
  const variables = keys.map((key) => (typeof key === "string" ? undefined : key.env))
  let literals = 0
  return keys.map((key, i) => {
    const at = `${field}.keys[${i}]`
    if (typeof key === "string") {
      if (reachOf(baseUrl) !== "own") {
        refuse(at, 'only a base URL on this machine may have its key in the file; here write { "env": "NAME" }')
      }
      return { name: `literal:${++literals}`, kind: "shared", secret: Redacted.make(key) }
    }
    const first = variables.indexOf(key.env)
    if (first < i) refuse(`${at}.env`, `keys[${first}] names the same variable`)
    return { name: `env:${key.env}`, kind: key.kind ?? "shared", secret: secret(key.env, `${at}.env`) }
  })
}

const warpsOf = ({ providers = [], warp }: SettingsFile): ReadonlyArray<{ field: string; warp: FileWarp }> => [
  ...(warp === undefined ? [] : [{ field: "warp", warp }]),
  ...providers.flatMap((provider, i) =>
    provider.kind === "warp" ? [{ field: `providers[${i}]`, warp: provider }] : []
  )
]

const warpOf = (warp: FileWarp, field: string, secret: ReadSecret, refuse: Refuse): WarpUpstream => {
  const { baseUrl, firebaseApiKey, identityUrl, minting, tokenUrl } = warp
  for (const [name, url] of Object.entries({ baseUrl, identityUrl, tokenUrl })) {
    refuseClearText(url, `${field}.${name}`, refuse)
  }
  const apiKey = secret(firebaseApiKey.env, `${field}.firebaseApiKey.env`)
  return { baseUrl, identityUrl, tokenUrl, apiKey, minting: minting ?? false }
}

const wopanOf = (wopan: FileWopan, secret: ReadSecret, refuse: Refuse): WopanUpstream => {
  refuseClearText(wopan.baseUrl, "wopan.baseUrl", refuse)
  const clientSecret = secret(wopan.clientSecret.env, "wopan.clientSecret.env")
  const iv = secret(wopan.iv.env, "wopan.iv.env")
  for (const [name, value] of Object.entries({ clientSecret, iv })) {
    // One that is not set is told already.
    if (value === none || isCipherText(Redacted.value(value))) continue
    refuse(`wopan.${name}.env`, "the variable that it names does not hold 16 printable ASCII characters")
  }
  return { baseUrl: wopan.baseUrl, clientId: wopan.clientId, clientSecret, iv }
}

const webhookOf = ({ secret: { env }, url }: FileWebhook, secret: ReadSecret, refuse: Refuse) => {
  const { password, username } = new URL(url)
  if (username !== "" || password !== "") refuse("alerts.webhook.url", "it holds credentials; sign with the secret")
  refuseClearText(url, "alerts.webhook.url", refuse)
  return { url, secret: secret(env, "alerts.webhook.secret.env") }
}

const isCipherText = (text: string) => /^[\x21-\x7e]{16}$/.test(text)

const tokenOf = (token: FileToken, field: string, secret: ReadSecret): InitialToken => {
  const { kind, name, provider, refreshToken } = token
  const refresh = refreshToken && secret(refreshToken.env, `${field}.refreshToken.env`)
  if (token.provider === warpProvider) return { name, provider, kind, credential: { refresh } }
  const access = secret(token.accessToken.env, `${field}.accessToken.env`)
  return { name, provider, kind, credential: { access, ...(refresh && { refresh }) } }
}

const clientOf = ({ models, name, priority, role, rpm, timeout }: FileClient, i: number): Client => ({
  name: name ?? `key-${i + 1}`,
  role: role ?? "inference",
  priority,
  timeout,
  models: models && new Set(models),
  rpm
})

/** A target is split at its first slash: a model's name may hold more of them. */
const targetOf = (written: string): Target => {
  const slash = written.indexOf("/")
  return { provider: written.slice(0, slash), model: written.slice(slash + 1) }
}

const routesOf = (
  { routes = [] }: SettingsFile,
  providers: ReadonlyArray<Provider>,
  refuse: Refuse
): ReadonlyArray<Route> => {
  const known = new Map(providers.map((provider) => [provider.name, provider]))
  return routes.map(({ model, targets }, i) => ({
    model,
    targets: targets.map((written, j) => {
      const target = targetOf(written)
      const field = `routes[${i}].targets[${j}]`
      const provider = known.get(target.provider)
      if (provider === undefined) {
        refuse(field, `there is no provider ${target.provider}; there are ${[...known.keys()].join(", ")}`)
      } else if (provider.models?.includes(target.model) === false) {
        refuse(field, `the provider ${target.provider} does not list the model ${target.model}`)
      }
      return target
    })
  }))
}

const trafficOf = ({ traffic = {} }: SettingsFile): Traffic => ({
  attempts: traffic.attempts ?? 5,
  timeout: traffic.timeout ?? Duration.minutes(10),
  maxWait: traffic.maxWait ?? Duration.seconds(65),
  queue: { limit: traffic.queue?.limit ?? 1_000, ageing: traffic.queue?.ageing ?? Duration.seconds(5) }
})
