/**
 * The emulated drive's accounts: their tokens, which are renewed by rotation, and what is in them. Tokens stay good over a
 * restart with the same seed; that an older one is void is learned anew when a newer is seen.
 */
import { Clock, Context, DateTime, Duration, Effect, Layer, Schema } from "effect"
import { hex } from "../seed.ts"
import { type Folder, treeOf, withFile, without } from "./tree.ts"
import { type Claims, claimsOf, tokenOf } from "./wopanToken.ts"

/** The dispatcher's code for a token that it does not take: 1001 of one that is none, 9999 of one that has ended. */
export class AccessRefused extends Schema.TaggedError<AccessRefused>()("AccessRefused", {
  code: Schema.Literals(["1001", "9999"])
}) {}

/** A refresh token that was never issued, or has been used. */
export class RenewalRefused extends Schema.TaggedError<RenewalRefused>()("RenewalRefused", {}) {}

export interface WopanAccountsOptions {
  readonly seed: string
  /** How long an access token is good (default 604,799 seconds, as the real ones are). */
  readonly wopanLifetime?: Duration.Input | undefined
}

/** The web client's constants, by which it is known. */
export interface WopanConstants {
  readonly clientId: string
  readonly clientSecret: string
  readonly iv: string
}

export interface IssuedToken {
  readonly account: string
  readonly accessToken: string
  readonly refreshToken: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export class WopanAccounts extends Context.Service<
  WopanAccounts,
  {
    readonly constants: WopanConstants
    readonly names: ReadonlyArray<string>
    /** What each account starts with: the same at each start, so that whoever keeps them finds nothing new. */
    readonly provisioned: ReadonlyArray<IssuedToken>
    /** The account of an access token. */
    authenticate(access: string): Effect.Effect<string, AccessRefused>
    /** Voids both tokens of the account and issues new ones. */
    renew(refresh: string): Effect.Effect<IssuedToken, RenewalRefused>
    /** Has the account's access token end at once: false of an account that there is not. */
    expire(account: string): Effect.Effect<boolean>
    tree(account: string): Folder
    addFile(account: string, path: ReadonlyArray<string>, size: number): Effect.Effect<void>
    remove(account: string, path: ReadonlyArray<string>): Effect.Effect<void>
    /** Everything as at the start, but for the tokens: those that are in use stay good. */
    readonly reset: Effect.Effect<void>
  }
>()("weirgate/sandbox/WopanAccounts") {
  static readonly layerWith = (options: WopanAccountsOptions): Layer.Layer<WopanAccounts> =>
    Layer.effect(
      WopanAccounts,
      Effect.suspend(() => make(options))
    )
}

const names = ["account-1", "account-2"]
const lifetime = Duration.seconds(604_799)

const make = Effect.fnUntraced(function* ({ seed, wopanLifetime }: WopanAccountsOptions) {
  const startedAt = yield* Clock.currentTimeMillis
  const life = Duration.toMillis(wopanLifetime ?? lifetime)
  const constant = (what: string) => hex(16, seed, "wopan", what)
  const constants = { clientId: "1001000021", clientSecret: constant("client secret"), iv: constant("iv") }

  /** By account; there are two. */
  const newest = new Map<number, number>()
  /** The generation whose access token was ended before its time. */
  const ended = new Map<number, number>()
  const trees = new Map(names.map((name) => [name, treeOf(seed, name)]))

  const expiryOf = ({ issuedAt }: Claims) => (issuedAt === 0 ? startedAt : issuedAt * 1_000) + life
  const issued = (claims: Claims): IssuedToken => ({
    account: names[claims.account] ?? "",
    accessToken: tokenOf(seed, "access", claims),
    refreshToken: tokenOf(seed, "refresh", claims),
    expiresAt: expiryOf(claims)
  })
  /** Undefined of a token that is void. */
  const valid = (claims: Claims | undefined): Claims | undefined => {
    if (claims === undefined || names[claims.account] === undefined) return undefined
    const { account, generation } = claims
    if (generation < (newest.get(account) ?? 0)) return undefined
    newest.set(account, generation)
    return claims
  }

  return WopanAccounts.of({
    constants,
    names,
    provisioned: names.map((_, account) => issued({ account, generation: 0, issuedAt: 0 })),
    authenticate: Effect.fnUntraced(function* (access) {
      const claims = valid(claimsOf(seed, "access", access))
      if (claims === undefined) return yield* new AccessRefused({ code: "1001" })
      const now = yield* Clock.currentTimeMillis
      if (now >= expiryOf(claims) || ended.get(claims.account) === claims.generation) {
        return yield* new AccessRefused({ code: "9999" })
      }
      return names[claims.account] ?? ""
    }),
    renew: Effect.fnUntraced(function* (refresh) {
      const claims = valid(claimsOf(seed, "refresh", refresh))
      if (claims === undefined) return yield* new RenewalRefused()
      const { account, generation } = claims
      newest.set(account, generation + 1)
      const now = yield* Clock.currentTimeMillis
      return issued({ account, generation: generation + 1, issuedAt: Math.floor(now / 1_000) })
    }),
    expire: (account) =>
      Effect.sync(() => {
        const index = names.indexOf(account)
        if (index >= 0) ended.set(index, newest.get(index) ?? 0)
        return index >= 0
      }),
    tree: (account) => trees.get(account) ?? treeOf(seed, account),
    addFile: Effect.fnUntraced(function* (account, path, size) {
      const tree = trees.get(account)
      if (tree === undefined) return
      const at = path.join("/")
      const createTime = DateTime.formatIso(yield* DateTime.now)
        .replace(/\D/g, "")
        .slice(0, 14)
      const file = {
        name: path.at(-1) ?? "",
        id: hex(32, seed, "wopan", account, "added", at),
        fid: `fid-${hex(40, seed, "fid", account, "added", at)}`,
        size,
        createTime,
        type: 1,
        fileType: "5"
      } as const
      trees.set(
        account,
        withFile(tree, path, file, (folder) => hex(32, seed, "wopan", account, folder))
      )
    }),
    remove: (account, path) =>
      Effect.sync(() => {
        const tree = trees.get(account)
        if (tree !== undefined) trees.set(account, without(tree, path))
      }),
    reset: Effect.sync(() => {
      ended.clear()
      for (const name of names) trees.set(name, treeOf(seed, name))
    })
  })
})
