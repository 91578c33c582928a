/**
 * The emulated Warp's accounts: creates them within its limit, issues and checks their tokens, and counts their quota.
 * What it issued stays good after a restart with the same seed; what was used up does not.
 */
import { Clock, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { between, hex } from "../seed.ts"
import { admit } from "./creationLimit.ts"
import { sign, verify } from "./signedToken.ts"

/** Too many users were created of late. */
export class CreationRefused extends Schema.TaggedError<CreationRefused>()("CreationRefused", {}) {}

/** A custom or refresh token is not accepted; `code` is the identity service's own. */
export class TokenRefused extends Schema.TaggedError<TokenRefused>()("TokenRefused", { code: Schema.String }) {}

/** A bearer is not accepted; `reason` is what the upstream says about it. */
export class BearerRefused extends Schema.TaggedError<BearerRefused>()("BearerRefused", { reason: Schema.String }) {}

export interface WarpAccountsOptions {
  readonly seed: string
  /** How many users may be created in any window of time (default 5 in a minute and 10 in an hour). */
  readonly creationLimit?: ReadonlyArray<{ readonly count: number; readonly per: Duration.Input }> | undefined
  /** The quota of an anonymous account is drawn from this range (default 10 to 20). */
  readonly anonymousQuota?: { readonly min: number; readonly max: number } | undefined
  /** Default 100,000. */
  readonly personalQuota?: number | undefined
  /** How long until quotas are refilled, counted from the start (default 30 days). */
  readonly quotaPeriod?: Duration.Input | undefined
  /** How long an access token is good (default one hour). */
  readonly accessLifetime?: Duration.Input | undefined
  /** What a renewal answers: the same refresh token (default), a new one, or a new one that revokes the old. */
  readonly rotation?: "keep" | "rotate" | "revoke" | undefined
}

export interface Account {
  readonly uid: string
  readonly kind: "anonymous" | "personal"
}

export interface Issued {
  readonly account: Account
  readonly access: string
  readonly refresh: string
  readonly lifetimeSeconds: number
}

export interface AccountQuota {
  readonly limit: number
  readonly used: number
  /** Epoch milliseconds. */
  readonly refilledAt: number
}

export class WarpAccounts extends Context.Service<
  WarpAccounts,
  {
    /** The web API key every call to the identity and token services must carry. */
    readonly apiKey: string
    /** Accounts that exist from the start, without having been created. */
    readonly provisioned: Readonly<Record<Account["kind"], { readonly uid: string; readonly refresh: string }>>
    readonly create: Effect.Effect<{ readonly uid: string; readonly custom: string }, CreationRefused>
    exchange(custom: string): Effect.Effect<Issued, TokenRefused>
    refresh(refresh: string, rotation?: "keep" | "rotate" | "revoke"): Effect.Effect<Issued, TokenRefused>
    authenticate(bearer: string): Effect.Effect<Account, BearerRefused>
    quota(account: Account): Effect.Effect<AccountQuota>
    /** Takes one unit and answers how many were taken since the start, by anyone; `undefined` when the account has none left. */
    spend(account: Account): Effect.Effect<number | undefined>
    /** Forgets creations, usage and revocations. What was issued stays good. */
    readonly reset: Effect.Effect<void>
  }
>()("weirgate/sandbox/WarpAccounts") {
  static readonly layerWith = (options: WarpAccountsOptions) => Layer.effect(WarpAccounts, make(options))
}

/** How many accounts' usage and revocations are remembered; the one touched longest ago is forgotten first. */
const mostAccounts = 10_000

const issuer = "https://securetoken.google.com/weirgate-sandbox"

const CustomClaims = Schema.Struct({ uid: Schema.String, exp: Schema.Finite })
const RefreshClaims = Schema.Struct({ sub: Schema.String, generation: Schema.Int })
const AccessClaims = Schema.Struct({ sub: Schema.String, exp: Schema.Finite })

const make = Effect.fnUntraced(function* (options: WarpAccountsOptions) {
  const { seed } = options
  const windows = (
    options.creationLimit ?? [
      { count: 5, per: "1 minute" },
      { count: 10, per: "1 hour" }
    ]
  ).map(({ count, per }) => ({ count, millis: Duration.toMillis(per) }))
  const anonymousQuota = options.anonymousQuota ?? { min: 10, max: 20 }
  const period = Duration.toMillis(options.quotaPeriod ?? "30 days")
  const lifetimeSeconds = Math.round(Duration.toSeconds(options.accessLifetime ?? "1 hour"))

  let startedAt = yield* Clock.currentTimeMillis
  let created: ReadonlyArray<number> = []
  let ordinal = 0
  let issued = 0
  let spent = 0
  const used = new Map<string, { readonly period: number; readonly units: number }>()
  const oldestGeneration = new Map<string, number>()

  const periodAt = (now: number): number => Math.floor((now - startedAt) / period)

  const quotaAt = (account: Account, now: number): AccountQuota => {
    const usage = used.get(account.uid)
    return {
      limit:
        account.kind === "personal"
          ? (options.personalQuota ?? 100_000)
          : between(anonymousQuota.min, anonymousQuota.max, seed, "quota", ordinalOf(account.uid)),
      used: usage?.period === periodAt(now) ? usage.units : 0,
      refilledAt: startedAt + (periodAt(now) + 1) * period
    }
  }

  const refreshTokenOf = (uid: string, generation: number) => sign(seed, "refresh", { sub: uid, generation })

  const issue = (uid: string, refresh: string) =>
    Effect.map(Clock.currentTimeMillis, (now): Issued => {
      const account = accountOf(uid)
      const issuedAt = Math.floor(now / 1000)
      const access = sign(seed, "access", {
        iss: issuer,
        aud: "weirgate-sandbox",
        auth_time: issuedAt,
        user_id: uid,
        sub: uid,
        iat: issuedAt,
        exp: issuedAt + lifetimeSeconds,
        // Two tokens of one second differ, as they do upstream.
        jti: hex(16, seed, "access", uid, ++issued),
        ...(account.kind === "personal"
          ? { email: "person@sandbox.invalid", email_verified: true, firebase: personalSignIn }
          : { firebase: anonymousSignIn })
      })
      return { account, access, refresh, lifetimeSeconds }
    })

  const provision = (kind: Account["kind"]) => {
    const uid = kind === "personal" ? `personal-${hex(10, seed, kind)}` : `anonymous-0-${hex(10, seed, kind)}`
    return { uid, refresh: refreshTokenOf(uid, 0) }
  }

  return WarpAccounts.of({
    apiKey: `sandbox-web-key-${hex(24, seed, "web key")}`,
    provisioned: { personal: provision("personal"), anonymous: provision("anonymous") },
    create: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const decision = admit(created, now, windows)
      created = decision.created
      if (!decision.admitted) return yield* new CreationRefused()
      ordinal++
      // The time keeps users apart that two lives of one sandbox created with the same ordinal.
      const uid = `anonymous-${ordinal}-${hex(10, seed, "user", ordinal, now)}`
      return { uid, custom: sign(seed, "custom", { uid, exp: Math.floor(now / 1000) + 3600 }) }
    }),
    exchange: Effect.fnUntraced(function* (custom) {
      const now = yield* Clock.currentTimeMillis
      const claims = Option.getOrUndefined(verify(seed, "custom", custom, CustomClaims))
      if (claims === undefined || claims.exp * 1000 <= now) {
        return yield* new TokenRefused({ code: "INVALID_CUSTOM_TOKEN" })
      }
      return yield* issue(claims.uid, refreshTokenOf(claims.uid, oldestGeneration.get(claims.uid) ?? 0))
    }),
    refresh: Effect.fnUntraced(function* (refresh, rotation = options.rotation ?? "keep") {
      const claims = Option.getOrUndefined(verify(seed, "refresh", refresh, RefreshClaims))
      if (claims === undefined) return yield* new TokenRefused({ code: "INVALID_REFRESH_TOKEN" })
      const { generation, sub } = claims
      if (generation < (oldestGeneration.get(sub) ?? 0)) return yield* new TokenRefused({ code: "TOKEN_EXPIRED" })
      if (rotation === "keep") return yield* issue(sub, refresh)
      if (rotation === "revoke") touch(oldestGeneration, sub, generation + 1)
      return yield* issue(sub, refreshTokenOf(sub, generation + 1))
    }),
    authenticate: Effect.fnUntraced(function* (bearer) {
      const now = yield* Clock.currentTimeMillis
      const claims = Option.getOrUndefined(verify(seed, "access", bearer, AccessClaims))
      if (claims === undefined) return yield* new BearerRefused({ reason: "ID token is invalid" })
      if (claims.exp * 1000 <= now) {
        return yield* new BearerRefused({ reason: `ID token has expired at: ${claims.exp}` })
      }
      return accountOf(claims.sub)
    }),
    quota: (account) => Effect.map(Clock.currentTimeMillis, (now) => quotaAt(account, now)),
    spend: (account) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const quota = quotaAt(account, now)
        if (quota.used >= quota.limit) return undefined
        touch(used, account.uid, { period: periodAt(now), units: quota.used + 1 })
        return ++spent
      }),
    reset: Effect.map(Clock.currentTimeMillis, (now) => {
      startedAt = now
      created = []
      ordinal = 0
      spent = 0
      used.clear()
      oldestGeneration.clear()
    })
  })
})

const personalSignIn = { identities: { email: ["person@sandbox.invalid"] }, sign_in_provider: "password" }
const anonymousSignIn = { identities: {}, sign_in_provider: "custom" }

const accountOf = (uid: string): Account => ({ uid, kind: uid.startsWith("personal-") ? "personal" : "anonymous" })

/** Quotas follow the order of creation, so that one seed draws the same ones in every run. */
const ordinalOf = (uid: string): string => uid.split("-")[1] ?? ""

const touch = <A>(map: Map<string, A>, key: string, value: A): void => {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > mostAccounts && oldest !== undefined) map.delete(oldest)
}
