/** What goes in and comes out, derived from the contract: in Effect with secrets `Redacted`, `Plain…` as they are on the wire. */
import type { DriveApi } from "../contract/drive.ts"
import type * as contract from "../contract/tokens.ts"
import type { HttpApiGroup } from "effect/http-api"

export type { LentToken, Outcome, Statistics, Strategy, TokenStatistics } from "../contract/tokens.ts"
export type { DriveFile } from "../contract/drive.ts"

/** A field may be left out by `undefined` as well. */
type Given<T> = { readonly [K in keyof T]: object extends Pick<T, K> ? T[K] | undefined : T[K] }

export type NewToken = Given<typeof contract.NewToken.Type>
export type WhichToken = Given<typeof contract.WhichToken.Type>
export type Report = Given<contract.Report>

export type PlainLentToken = typeof contract.LentToken.Encoded
/** `expires_at` as RFC 3339, such as `2026-01-02T03:04:05Z`. */
export type PlainNewToken = Given<typeof contract.NewToken.Encoded>
export type PlainWhichToken = Given<typeof contract.WhichToken.Encoded>
export type PlainReport = Given<typeof contract.Report.Encoded>

/** Whose tokens, and which of them. */
export interface Which {
  /** Default: `round_robin`. */
  readonly strategy?: contract.Strategy | undefined
  /** Default: `wopan`. */
  readonly provider?: string | undefined
}

/** Which listing. */
export interface Listed {
  /** Such as `a/b`. Default: the root. */
  readonly folder?: string | undefined
  /** Whether the drive itself is asked, and not only what is known of it. */
  readonly realtime?: boolean | undefined
  /** The name of the token whose account is meant. */
  readonly account?: string | undefined
}

/** A token without its secret. */
export interface TokenAnswer {
  readonly id: string
  readonly name: string
  readonly provider: string
}

type Endpoint<Name extends string> = Extract<HttpApiGroup.Endpoints<typeof DriveApi>, { readonly identifier: Name }>
type Answer<Name extends string> = Omit<Endpoint<Name>["~Success"]["Type"], "code" | "success">

export type FoldersAnswer = Answer<"folders">
export type FilesAnswer = Answer<"files">
export type DownloadAddress = Answer<"download">
export type PlainDownloadAddress = Omit<DownloadAddress, "url"> & { readonly url: string }
