/**
 * The emulated drive's accounts: their tokens, which are renewed by rotation, and what is in them. Tokens stay good over a
 * restart with the same seed; that an older one is void is learned anew when a newer is seen.
 */
import { Clock, Context, DateTime, Duration, Effect, Layer, Schema } from "effect"
import { between, hex } from "../seed.ts"
import { entriesIn, type Folder, newFile, newFolder, treeOf, wayTo, withFile, withFolder, without } from "./tree.ts"
import { type Claims, claimsOf, tokenOf } from "./wopanToken.ts"

/** The dispatcher's code for a token that it does not take: 1001 of one that is void or none, 9999 of one that has ended. */
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

/** `Taken` when something else is there, or a file where a folder would have to be; `Full` when there is no room. */
export type Added = "Added" | "Taken" | "Full"

export class WopanAccounts extends Context.Service<
  WopanAccounts,
  {
    readonly constants: WopanConstants
    readonly names: ReadonlyArray<string>
    /** What each account starts with: the same at each start, so that whoever keeps them finds nothing new. */
    readonly provisioned: ReadonlyArray<IssuedToken>
    readonly lifetimeSeconds: number
    /** The account that an access or refresh token was issued to, void or not. */
    ownerOf(token: string): string | undefined
    /** The account of an access token. */
    authenticate(access: string): Effect.Effect<string, AccessRefused>
    /** Voids both tokens of the account and issues new ones. */
    renew(refresh: string): Effect.Effect<IssuedToken, RenewalRefused>
    /** Voids both tokens of the account until the next `reset`. */
    logout(access: string): Effect.Effect<void, AccessRefused>
    /** Has the account's access token end at once, until it is renewed: false of an account that there is not. */
    expire(account: string): Effect.Effect<boolean>
    tree(account: string): Folder
    addFile(account: string, path: ReadonlyArray<string>, size: number): Effect.Effect<Added>
    /** Answers with its id. `parent` is an id of a folder that there is. */
    addFolder(account: string, parent: string, name: string): Effect.Effect<{ readonly id: string } | Added>
    /** False when there is no such file or folder. */
    remove(account: string, path: ReadonlyArray<string>): Effect.Effect<boolean>
    /** Everything as at the start, and every token that was issued is good again until a newer is seen. */
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
/** Of files and folders in one account; it starts with some 1,000. */
const mostEntries = 20_000

const make = Effect.fnUntraced(function* ({ seed, wopanLifetime }: WopanAccountsOptions) {
  const startedAt = yield* Clock.currentTimeMillis
  const lifetimeSeconds = Math.round(Duration.toSeconds(wopanLifetime ?? lifetime))
  const constants = {
    clientId: String(between(1_000_000_000, 1_999_999_999, seed, "wopan", "client id")),
    clientSecret: hex(16, seed, "wopan", "client secret"),
    iv: hex(16, seed, "wopan", "iv")
  }

  // All three are by account, of which there are two.
  const newest = new Map<number, number>()
  /** Those whose access token was ended before its time. */
  const ended = new Set<number>()
  /** Made when it is first looked at, for it takes long. */
  const trees = new Map<string, Folder>()

  const expiryOf = ({ issuedAt }: Claims) => (issuedAt === 0 ? startedAt : issuedAt * 1_000) + lifetimeSeconds * 1_000
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
  const authenticated = Effect.fnUntraced(function* (access: string) {
    const claims = valid(claimsOf(seed, "access", access))
    if (claims === undefined) return yield* new AccessRefused({ code: "1001" })
    const now = yield* Clock.currentTimeMillis
    if (now >= expiryOf(claims) || ended.has(claims.account)) return yield* new AccessRefused({ code: "9999" })
    return claims
  })

  const treeIn = (account: string): Folder => {
    const known = trees.get(account)
    if (known !== undefined) return known
    const tree = treeOf(seed, account)
    trees.set(account, tree)
    return tree
  }
  /** `add` is given what makes the folders of a path, and the time; it answers undefined when something is in its way. */
  const adding = Effect.fnUntraced(function* (
    account: string,
    add: (tree: Folder, make: (path: string) => Folder, createTime: string) => Folder | undefined
  ) {
    const now = DateTime.formatIso(yield* DateTime.now)
    const createTime = now.replace(/\D/g, "").slice(0, 14)
    const next = add(treeIn(account), (path) => newFolder(seed, account, path, createTime), createTime)
    if (next === undefined) return "Taken"
    if (entriesIn(next) > mostEntries) return "Full"
    trees.set(account, next)
    return "Added"
  })

  return WopanAccounts.of({
    constants,
    names,
    provisioned: names.map((_, account) => issued({ account, generation: 0, issuedAt: 0 })),
    lifetimeSeconds,
    ownerOf: (token) => {
      const claims = claimsOf(seed, "access", token) ?? claimsOf(seed, "refresh", token)
      return claims && names[claims.account]
    },
    authenticate: (access) => Effect.map(authenticated(access), ({ account }) => names[account] ?? ""),
    renew: Effect.fnUntraced(function* (refresh) {
      const claims = valid(claimsOf(seed, "refresh", refresh))
      if (claims === undefined) return yield* new RenewalRefused()
      const { account } = claims
      const generation = claims.generation + 1
      newest.set(account, generation)
      ended.delete(account)
      const now = yield* Clock.currentTimeMillis
      // Rounded up, so that it is good for as long as it is said to be.
      return issued({ account, generation, issuedAt: Math.ceil(now / 1_000) })
    }),
    logout: (access) =>
      Effect.map(authenticated(access), ({ account, generation }) => {
        newest.set(account, generation + 1)
      }),
    expire: (account) =>
      Effect.sync(() => {
        const index = names.indexOf(account)
        if (index >= 0) ended.add(index)
        return index >= 0
      }),
    tree: treeIn,
    addFile: (account, path, size) =>
      adding(account, (tree, make, createTime) =>
        withFile(tree, path, { ...newFile(seed, account, path.join("/"), createTime), size }, make)
      ),
    addFolder: Effect.fnUntraced(function* (account, parent, name) {
      const above = wayTo(treeIn(account), parent) ?? []
      const path = [...above.slice(1).map((folder) => folder.name), name]
      const added = yield* adding(account, (tree, make) => withFolder(tree, path, make))
      return added === "Added" ? { id: newFolder(seed, account, path.join("/"), "").id } : added
    }),
    remove: (account, path) =>
      Effect.sync(() => {
        const next = without(treeIn(account), path)
        if (next !== undefined) trees.set(account, next)
        return next !== undefined
      }),
    reset: Effect.sync(() => {
      newest.clear()
      ended.clear()
      trees.clear()
    })
  })
})
