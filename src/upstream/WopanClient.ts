/** Speaks the dispatcher of the WoPan cloud drive: listings, download addresses, renewal. Decides nothing and retries nothing. */
import { Clock, Context, Duration, Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"
import { AccessRejected, RequestRejected } from "../domain/Failure.ts"
import type { AccountBlocked, RenewFailure, Throttled, UpstreamUnavailable } from "../domain/Failure.ts"
import { wopanProvider } from "../domain/Provider.ts"
import type { Credential, TokenId } from "../domain/Token.ts"
import { callObserver } from "./callObserver.ts"
import { keyOfAccess, whyNotKey } from "./wopan/cipher.ts"
import { callFailure, renewFailure } from "./wopan/classify.ts"
import { renewedCredential } from "./wopan/credential.ts"
import { addressOf } from "./wopan/download.ts"
import * as Dispatcher from "./wopan/dispatcher.ts"
import type { Sent } from "./wopan/dispatcher.ts"
import type { Data } from "./wopan/envelope.ts"
import { pageOf, pageSize } from "./wopan/listing.ts"

export { wopanProvider } from "../domain/Provider.ts"

export interface WopanOptions {
  readonly baseUrl: string
  readonly clientId: string
  /** The web client's, of 16 ASCII characters; never in the source. */
  readonly clientSecret: Redacted.Redacted
  /** Of 16 ASCII characters; never in the source. */
  readonly iv: Redacted.Redacted
  readonly timeouts?: {
    /** Until a check or a download address has been answered (default 10 seconds). */
    readonly account?: Duration.Input
    /** Until a page of a listing has (default 20 seconds). */
    readonly listing?: Duration.Input
    /** Until a renewal has (default 30 seconds): its answer holds the only secret that is then valid, however late it comes. */
    readonly refresh?: Duration.Input
  }
}

/**
 * The options break their invariant: whoever reads the configuration has not asked `whyNotKey` of `wopan/cipher.ts`. It is the
 * defect with which the layer ends.
 */
export class WopanMisconfigured extends Schema.TaggedError<WopanMisconfigured>()("WopanMisconfigured", {
  field: Schema.Literals(["clientSecret", "iv"]),
  reason: Schema.String
}) {
  override get message() {
    return `${this.field} of ${wopanProvider}: ${this.reason}`
  }
}

/** An access secret and whose it is. `id` only names the token in errors. */
export interface WopanToken {
  readonly id: TokenId
  readonly access: Redacted.Redacted
}

/** A file or folder, as a listing tells of it. */
export interface WopanEntry {
  /** What a listing of it is asked by, if it is a folder. */
  readonly id: string
  /** What its address is asked by; undefined for a folder. Of this account alone. */
  readonly fid: string | undefined
  readonly name: string
  readonly type: "file" | "folder"
  /** In bytes; 0 for a folder, and when the drive said none. */
  readonly size: number
  /** `YYYY-MM-DD HH:MM:SS` in the drive's own time; empty when it said none. */
  readonly createdAt: string
  /** `folder`, `image`, `video`, `audio`, `document` or `other`. */
  readonly fileType: string
}

export interface WopanPage {
  readonly entries: ReadonlyArray<WopanEntry>
  readonly isLast: boolean
}

export type WopanFailure = AccessRejected | AccountBlocked | RequestRejected | Throttled | UpstreamUnavailable

/** The folder above all others. */
export const rootFolder = "0"

export class WopanClient extends Context.Service<
  WopanClient,
  {
    /** One page of a folder, from 0 on, sorted by name. */
    list(token: WopanToken, folderId: string, page: number): Effect.Effect<WopanPage, WopanFailure>
    /**
     * A signed address that works for a while without the token: as secret as the file. `RequestRejected` with status 404 when
     * the account has no such file.
     */
    downloadUrl(token: WopanToken, fid: string): Effect.Effect<Redacted.Redacted, WopanFailure>
    /** Asks whose the token is: changes nothing and costs nothing. */
    check(token: WopanToken): Effect.Effect<void, WopanFailure>
    /**
     * The answer's refresh secret is a new one, and the old one is void: it must be stored before it is used. A timeout, a
     * broken connection or an interruption may lose the answer, and the secret with it.
     */
    refresh(refresh: Redacted.Redacted): Effect.Effect<Credential, RenewFailure>
  }
>()("weirgate/upstream/WopanClient") {
  /** Each call sends one request, or none when the access secret is too short to be one: that is `AccessRejected`. */
  static readonly layerWith = (options: WopanOptions): Layer.Layer<WopanClient, never, HttpClient.HttpClient> =>
    Layer.effect(WopanClient, make(options))
}

const provider = wopanProvider

const make = Effect.fnUntraced(function* (options: WopanOptions) {
  const clientSecret = yield* keyOf("clientSecret", options.clientSecret)
  const iv = yield* keyOf("iv", options.iv)
  const { clientId } = options
  const timeouts = {
    account: Duration.fromInputUnsafe(options.timeouts?.account ?? "10 seconds"),
    listing: Duration.fromInputUnsafe(options.timeouts?.listing ?? "20 seconds"),
    refresh: Duration.fromInputUnsafe(options.timeouts?.refresh ?? "30 seconds")
  }
  const dispatcher = Dispatcher.make(yield* HttpClient.HttpClient, { ...options, provider })
  const observe = callObserver<"list" | "downloadUrl" | "check" | "refresh">("WopanClient", provider)

  /** None of the secrets comes back in an error; longer ones before those that they begin with. */
  const askedWith = (...secrets: ReadonlyArray<string>) =>
    Effect.map(Clock.currentTimeMillis, (now) => ({ provider, now, secrets: [...secrets, clientSecret, iv] }))

  /** Asks with an access secret. `read` answers undefined of what does not hold what was asked for. */
  const withToken = Effect.fnUntraced(function* <A>(
    token: WopanToken,
    sent: (access: string) => Pick<Sent, "call" | "within">,
    read: (data: Data) => A | RequestRejected | undefined
  ) {
    const access = Redacted.value(token.access)
    const key = keyOfAccess(access)
    // It could encrypt nothing, so it is not an access token: the pool is to renew it or leave it alone.
    if (key === undefined) return yield* new AccessRejected({ provider })
    const { call, within } = sent(access)
    const keys = { key: call.channel === "wohome" ? key : clientSecret, iv }
    const { answer, data } = yield* dispatcher.ask({ call, keys, access, within })
    const result = data && read(data)
    if (result === undefined) return yield* Effect.fail(callFailure(answer, yield* askedWith(access, key)))
    return result instanceof RequestRejected ? yield* result : result
  })

  return WopanClient.of({
    list: Effect.fn("WopanClient.list")(function* (token, folderId, page) {
      return yield* withToken(
        token,
        () => ({
          call: {
            operation: "QueryAllFiles",
            channel: "wohome",
            params: {
              spaceType: personal,
              parentDirectoryId: folderId,
              pageNum: page,
              pageSize,
              sortRule: byName,
              clientId
            }
          },
          within: timeouts.listing
        }),
        (data) => (data._tag === "Value" ? pageOf(data.value) : undefined)
      ).pipe(observe.call("list"))
    }),
    downloadUrl: Effect.fn("WopanClient.downloadUrl")(function* (token, fid) {
      return yield* withToken(
        token,
        () => ({
          call: { operation: "GetDownloadUrlV2", channel: "wohome", params: { type: "1", fidList: [fid], clientId } },
          within: timeouts.account
        }),
        (data) => {
          if (data._tag === "Unreadable") return undefined
          const address = data._tag === "None" ? "NoSuchFile" : addressOf(data.value, fid)
          return address === "NoSuchFile" ? noSuchFile() : address
        }
      ).pipe(observe.call("downloadUrl"))
    }),
    check: Effect.fn("WopanClient.check")(function* (token) {
      yield* withToken(
        token,
        (access) => ({
          call: { operation: "AppQueryUser", channel: "api-user", params: { accessToken: access } },
          within: timeouts.account
        }),
        // Whose it is, is not asked for: that it was answered says enough.
        () => true
      ).pipe(observe.call("check"))
    }),
    refresh: Effect.fn("WopanClient.refresh")(function* (refresh) {
      const secret = Redacted.value(refresh)
      const sent: Sent = {
        call: { operation: "AppRefreshToken", channel: "api-user", params: { refreshToken: secret, clientSecret } },
        keys: { key: clientSecret, iv },
        within: timeouts.refresh
      }
      return yield* Effect.gen(function* () {
        const at = yield* Clock.currentTimeMillis
        const { answer, data } = yield* dispatcher.ask(sent)
        const credential = data?._tag === "Value" ? renewedCredential(data.value, refresh, at) : undefined
        return credential ?? (yield* Effect.fail(renewFailure(answer, yield* askedWith(secret))))
      }).pipe(observe.call("refresh"))
    })
  })
})

/** The account's own files, and not those of a family or behind a second password. */
const personal = "0"
/** So that what is changed between two pages moves as little as can be from one to the other. */
const byName = 1

const noSuchFile = () =>
  new RequestRejected({ provider, status: 404, code: null, reason: "the account has no such file" })

const keyOf = (field: WopanMisconfigured["field"], secret: Redacted.Redacted) => {
  const reason = whyNotKey(Redacted.value(secret))
  return reason === undefined
    ? Effect.succeed(Redacted.value(secret))
    : Effect.die(new WopanMisconfigured({ field, reason }))
}
