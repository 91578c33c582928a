/** Upstreams that answer model requests, as the operator describes them. */
import type { Duration, Redacted } from "effect"
import type { TokenKind } from "./Token.ts"

/** The name under which the pool, the ledger and the configuration know Warp. */
export const warpProvider = "warp"

/** The name under which the pool and the configuration know the WoPan drive. */
export const wopanProvider = "wopan"

/** So many, no limit, or one that nobody told us: then it is learned. */
export type Limit = number | "unlimited" | "unknown"

/** What the upstream accepts from us as a whole, over all our keys. */
export interface Limits {
  /** Calls at work at once. */
  readonly concurrency: Limit
  /** Calls in any 60 seconds. */
  readonly rpm: Limit
  /** Model tokens (of questions and answers) in any 60 seconds. Never learned. */
  readonly tpm: Limit
}

/** How long each phase of a call may take. */
export interface Timeouts {
  /** Until a connection stands and the request leaves. */
  readonly connect: Duration.Duration
  /** From there until the answer's headers. */
  readonly headers: Duration.Duration
  /** From the request's leaving until the first piece of content of a streamed answer. */
  readonly firstToken: Duration.Duration
  /** The longest silence inside an answer. */
  readonly idle: Duration.Duration
  /** The whole call, its answer included. */
  readonly total: Duration.Duration
}

export const defaultTimeouts = {
  connect: "10 seconds",
  headers: "2 minutes",
  firstToken: "2 minutes",
  idle: "1 minute",
  total: "10 minutes"
} as const

/** A credential from the configuration; it becomes a token of the pool under this name. */
export interface ProviderKey {
  /** Made of the variable's name, never of the secret. */
  readonly name: string
  readonly kind: TokenKind
  /** Empty for an upstream that asks for none. */
  readonly secret: Redacted.Redacted
}

interface Common {
  readonly name: string
  readonly limits: Limits
  readonly timeouts: Timeouts
  /** The upstream's own names of what it offers; undefined when the operator has not listed them: then any is asked for. */
  readonly models: ReadonlyArray<string> | undefined
}

export interface OpenAiProvider extends Common {
  readonly kind: "openai"
  /** Ends before `/chat/completions`, such as `https://api.example/v1`; without a slash at its end. */
  readonly baseUrl: string
  readonly keys: ReadonlyArray<ProviderKey>
}

/** How Warp is reached is `WarpClient`'s; its tokens are the pool's. */
export interface WarpProvider extends Common {
  readonly kind: "warp"
}

export type Provider = OpenAiProvider | WarpProvider

/** A model at a provider. */
export interface Target {
  readonly provider: string
  /** The provider's own name for it. */
  readonly model: string
}

/** What a client may ask for, and who serves it. */
export interface Route {
  /** The public name. */
  readonly model: string
  /** In order of preference. */
  readonly targets: ReadonlyArray<Target>
}

/** How a target is written: `provider/model`. */
export const nameOf = ({ model, provider }: Target): string => `${provider}/${model}`
