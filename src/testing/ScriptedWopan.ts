/**
 * A `WopanClient` without a wire, for tests: drives made of plain objects, secrets that end and rotate, and failures when
 * it is told to. Whatever takes time takes it on the `Clock`, so `TestClock` drives it. All of it lives as long as the layer.
 */
import { Clock, Context, Duration, Effect, Layer, Redacted } from "effect"
import {
  AccessRejected,
  RefreshRejected,
  type RenewFailure,
  RequestRejected,
  type UpstreamUnavailable
} from "../domain/Failure.ts"
import type { Credential, TokenId } from "../domain/Token.ts"
import {
  rootFolder,
  WopanClient,
  type WopanEntry,
  type WopanFailure,
  wopanProvider,
  type WopanToken
} from "../upstream/WopanClient.ts"

/** What a folder holds, by name: a number is a file of so many bytes. Listed in this order. */
export interface ScriptedFolder {
  readonly [name: string]: number | ScriptedFolder
}

/** How a call of each kind can fail. */
export interface ScriptedWopanFailures {
  readonly list: WopanFailure
  readonly downloadUrl: WopanFailure
  readonly check: WopanFailure
  readonly refresh: RenewFailure
}
export type ScriptedWopanCall = keyof ScriptedWopanFailures

/** A call that was begun, the failed ones included. */
export interface ScriptedWopanAsked {
  readonly call: ScriptedWopanCall
  /** Undefined when the secret is none of an account's. */
  readonly account: string | undefined
  /** Undefined of a refresh, which is asked without one. */
  readonly token: TokenId | undefined
  /** Of a listing: the path of the folder, empty for the root, and the page. */
  readonly path?: string | undefined
  readonly page?: number | undefined
}

export interface ScriptedWopanOptions {
  /** What each account holds (default: one empty account, `account-1`). Secrets that are no account's are rejected. */
  readonly accounts?: Readonly<Record<string, ScriptedFolder>> | undefined
  /** How long an access secret is accepted (default 7 days). */
  readonly accessLifetime?: Duration.Input | undefined
}

/** The hands of the test: what was asked so far, and what happens next. */
export class ScriptedWopan extends Context.Service<
  ScriptedWopan,
  {
    /** The newest secrets of the account, which the drive accepts. */
    secrets(account: string): Effect.Effect<Required<Credential> & { readonly refresh: Redacted.Redacted }>
    /** Calls begun, by kind. */
    readonly calls: Effect.Effect<Readonly<Record<ScriptedWopanCall, number>>>
    /** Calls begun, in order. */
    readonly asked: Effect.Effect<ReadonlyArray<ScriptedWopanAsked>>
    /** The account holds this from now on, instead of what it held. */
    hold(account: string, folder: ScriptedFolder): Effect.Effect<void>
    /** Its access secrets are rejected from now on, before the end that `secrets` tells; its refresh secret is good. */
    expire(account: string): Effect.Effect<void>
    /** Its refresh secret is rejected from now on too. */
    revoke(account: string): Effect.Effect<void>
    /** The next `times` calls (default 1) of that kind fail so, after those told before. */
    fail<K extends ScriptedWopanCall>(call: K, failure: ScriptedWopanFailures[K], times?: number): Effect.Effect<void>
    /** Every call fails so until it is told `undefined`; with an account, only those with its secrets. */
    outage(failure: UpstreamUnavailable | undefined, account?: string): Effect.Effect<void>
    /** The next refresh that is accepted rotates the secret, and its answer is lost so on the way back. */
    loseRefresh(failure: UpstreamUnavailable): Effect.Effect<void>
    /** The next `times` calls (default 1) of that kind take so long before they answer or fail. */
    delay(call: ScriptedWopanCall, duration: Duration.Input, times?: number): Effect.Effect<void>
  }
>()("weirgate/testing/ScriptedWopan") {
  /** The client and the hands on it. */
  static readonly layer = (options: ScriptedWopanOptions = {}): Layer.Layer<ScriptedWopan | WopanClient> =>
    Layer.effectContext(Effect.map(Clock.currentTimeMillis, (now) => make(options, now)))
}

/** As many entries as a page of the drive holds. */
export const scriptedPageSize = 100

interface Account {
  readonly name: string
  folder: ScriptedFolder
  issued: number
  /** The refresh secret that is accepted. */
  refresh: string
  access: string
  expiresAt: number
  outage: UpstreamUnavailable | undefined
}

type Pending = { [K in ScriptedWopanCall]: Array<ScriptedWopanFailures[K]> }

const provider = wopanProvider
const kinds: Readonly<Record<string, string>> = {
  jpg: "image",
  png: "image",
  mp4: "video",
  mp3: "audio",
  pdf: "document",
  txt: "document"
}

const make = (options: ScriptedWopanOptions, begun: number) => {
  const lifetime = Duration.toMillis(options.accessLifetime ?? "7 days")
  const accounts = new Map<string, Account>()
  /** By secret: when each that was ever issued ends, and whose it is. */
  const accesses = new Map<string, { readonly account: Account; expiresAt: number }>()
  const refreshes = new Map<string, Account>()

  // As many as a test asks.
  const asked: Array<ScriptedWopanAsked> = []
  const failures: Pending = { list: [], downloadUrl: [], check: [], refresh: [] }
  const delays: Record<ScriptedWopanCall, Array<Duration.Input>> = {
    list: [],
    downloadUrl: [],
    check: [],
    refresh: []
  }
  const lost: Array<UpstreamUnavailable> = []
  let outage: UpstreamUnavailable | undefined

  const issue = (account: Account, now: number) => {
    account.issued += 1
    account.access = `scripted-access-${account.name}-${account.issued}`
    account.refresh = `scripted-refresh-${account.name}-${account.issued}`
    account.expiresAt = now + lifetime
    accesses.set(account.access, { account, expiresAt: account.expiresAt })
    refreshes.set(account.refresh, account)
  }
  for (const [name, folder] of Object.entries(options.accounts ?? { "account-1": {} })) {
    const account = { name, folder, issued: 0, refresh: "", access: "", expiresAt: 0, outage: undefined }
    accounts.set(name, account)
    issue(account, begun)
  }
  const accountOf = (name: string) =>
    Effect.suspend(() => {
      const account = accounts.get(name)
      return account === undefined ? Effect.die(`no account ${name} was scripted`) : Effect.succeed(account)
    })
  const credentialOf = ({ access, expiresAt, refresh }: Account) => ({
    refresh: Redacted.make(refresh),
    access: Redacted.make(access),
    expiresAt
  })

  const begin = <K extends ScriptedWopanCall>(
    call: K,
    account: Account | undefined,
    of: Omit<ScriptedWopanAsked, "call" | "account">
  ): Effect.Effect<void, ScriptedWopanFailures[K] | UpstreamUnavailable> =>
    Effect.suspend(() => {
      asked.push({ call, account: account?.name, ...of })
      const failure = outage ?? account?.outage ?? failures[call].shift()
      const delay = delays[call].shift()
      const outcome = failure === undefined ? Effect.void : Effect.fail(failure)
      return delay === undefined ? outcome : Effect.andThen(Effect.sleep(delay), outcome)
    })

  /** The account, once the call was begun, unless it fails or the secret is not accepted. */
  const authorised = Effect.fnUntraced(function* (
    call: Exclude<ScriptedWopanCall, "refresh">,
    token: WopanToken,
    of: Pick<ScriptedWopanAsked, "path" | "page"> = {}
  ) {
    const held = accesses.get(Redacted.value(token.access))
    yield* begin(call, held?.account, { token: token.id, ...of })
    if (held === undefined || held.expiresAt <= (yield* Clock.currentTimeMillis)) {
      return yield* new AccessRejected({ provider })
    }
    return held.account
  })

  const client = WopanClient.of({
    list: Effect.fnUntraced(function* (token, folderId, page) {
      const path = folderId === rootFolder ? "" : pathOf(folderId)
      const account = yield* authorised("list", token, { path, page })
      const here = found(account, folderId)
      if (here === undefined || typeof here === "number") return yield* unknown("folder")
      const all = Object.entries(here).map(([name, held]) => entryOf(account.name, path, name, held))
      const entries = all.slice(page * scriptedPageSize, (page + 1) * scriptedPageSize)
      return { entries, isLast: entries.length < scriptedPageSize }
    }),
    downloadUrl: Effect.fnUntraced(function* (token, fid) {
      const account = yield* authorised("downloadUrl", token)
      if (!fid.startsWith("fid:") || typeof found(account, fid.slice("fid:".length)) !== "number") {
        return yield* unknown("file")
      }
      return Redacted.make(`https://drive.test/openapi/download?fid=${encodeURIComponent(fid)}`)
    }),
    check: Effect.fnUntraced(function* (token) {
      yield* authorised("check", token)
    }),
    refresh: Effect.fnUntraced(function* (refresh) {
      const secret = Redacted.value(refresh)
      const account = refreshes.get(secret)
      yield* begin("refresh", account, { token: undefined })
      if (account === undefined || account.refresh !== secret) {
        return yield* new RefreshRejected({ provider, code: "8005" })
      }
      issue(account, yield* Clock.currentTimeMillis)
      const failure = lost.shift()
      return failure === undefined ? credentialOf(account) : yield* failure
    })
  })

  const hands = ScriptedWopan.of({
    secrets: (account) => Effect.map(accountOf(account), credentialOf),
    calls: Effect.sync(() => {
      const calls = { list: 0, downloadUrl: 0, check: 0, refresh: 0 }
      for (const { call } of asked) calls[call] += 1
      return calls
    }),
    asked: Effect.sync(() => [...asked]),
    hold: (account, folder) => Effect.map(accountOf(account), (held) => void (held.folder = folder)),
    expire: (account) => Effect.map(accountOf(account), expire),
    revoke: (account) =>
      Effect.map(accountOf(account), (held) => {
        expire(held)
        held.refresh = ""
      }),
    fail: (call, failure, times = 1) =>
      Effect.sync(() => void failures[call].push(...Array.from({ length: times }, () => failure))),
    outage: (failure, account) =>
      account === undefined
        ? Effect.sync(() => void (outage = failure))
        : Effect.map(accountOf(account), (held) => void (held.outage = failure)),
    loseRefresh: (failure) => Effect.sync(() => void lost.push(failure)),
    delay: (call, duration, times = 1) =>
      Effect.sync(() => void delays[call].push(...Array.from({ length: times }, () => duration)))
  })

  const expire = (account: Account) => {
    for (const access of accesses.values()) if (access.account === account) access.expiresAt = 0
  }

  return Context.make(WopanClient, client).pipe(Context.add(ScriptedWopan, hands))
}

/** Ids name the account, since they are of no use with another's token. */
const idOf = (account: string, path: string) => `${account}:${path}`
const pathOf = (id: string) => id.slice(id.indexOf(":") + 1)

const found = (account: Account, id: string): number | ScriptedFolder | undefined => {
  if (id === rootFolder) return account.folder
  if (!id.startsWith(idOf(account.name, ""))) return undefined
  return pathOf(id)
    .split("/")
    .reduce<number | ScriptedFolder | undefined>(
      (here, name) => (typeof here === "object" && Object.hasOwn(here, name) ? here[name] : undefined),
      account.folder
    )
}

const entryOf = (account: string, folder: string, name: string, held: number | ScriptedFolder): WopanEntry => {
  const id = idOf(account, folder === "" ? name : `${folder}/${name}`)
  const common = { id, name, createdAt: "2026-01-02 03:04:05" }
  return typeof held === "number"
    ? {
        ...common,
        fid: `fid:${id}`,
        type: "file",
        size: held,
        fileType: kinds[name.split(".").at(-1) ?? ""] ?? "other"
      }
    : { ...common, fid: undefined, type: "folder", size: 0, fileType: "folder" }
}

const unknown = (what: string) =>
  new RequestRejected({ provider, status: 400, code: null, reason: `the account has no such ${what}` })
