/** Speaks the dispatcher of the WoPan cloud drive: listings, download addresses, renewal. Decides nothing and retries nothing. */
import { Context } from "effect"
import type { Effect, Redacted } from "effect"
import type {
  AccessRejected,
  AccountBlocked,
  RequestRejected,
  RenewFailure,
  Throttled,
  UpstreamUnavailable
} from "../domain/Failure.ts"
import type { Credential, TokenId } from "../domain/Token.ts"

/** The name under which the pool and the configuration know it. */
export const wopanProvider = "wopan"

export interface WopanOptions {
  readonly baseUrl: string
  readonly clientId: string
  /** The web client's, of 16 ASCII characters; never in the source. */
  readonly clientSecret: Redacted.Redacted
  /** Of 16 ASCII characters; never in the source. */
  readonly iv: Redacted.Redacted
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
  /** In bytes; 0 for a folder. */
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
    /** One page of a folder, from 0 on. */
    list(token: WopanToken, folderId: string, page: number): Effect.Effect<WopanPage, WopanFailure>
    /** A signed address that works for a while without the token: as secret as the file. */
    downloadUrl(token: WopanToken, fid: string): Effect.Effect<Redacted.Redacted, WopanFailure>
    /** Asks whose the token is: changes nothing and costs nothing. */
    check(token: WopanToken): Effect.Effect<void, WopanFailure>
    /** The answer's refresh secret is a new one, and the old one is void: it must be stored before it is used. */
    refresh(refresh: Redacted.Redacted): Effect.Effect<Credential, RenewFailure>
  }
>()("weirgate/upstream/WopanClient") {}
