/** The WoPan drive as its users see it: folders, files and download addresses, live or from the last listing that is known. */
import { Context, Schema } from "effect"
import type { Effect, Redacted } from "effect"
import type { NoTokenUsable } from "../pool/lease.ts"
import type { WopanEntry, WopanFailure } from "../upstream/WopanClient.ts"

/** There is nothing of that name, in an account that could be asked or that was listed before. */
export class PathUnknown extends Schema.TaggedError<PathUnknown>()("PathUnknown", { path: Schema.String }) {
  override get message() {
    return `there is nothing called ${this.path}`
  }
}

export type DriveFailure = PathUnknown | NoTokenUsable | WopanFailure

export interface DriveRequest {
  /** Names separated by `/`, without one at either end; empty for the root. */
  readonly path: string
  /** Ask the drive now, whatever is known. Else a listing that is fresh enough answers without a call. */
  readonly realtime?: boolean | undefined
  /** The name of the token whose account is meant. Default: the one that answered last, while it can. */
  readonly account?: string | undefined
}

export interface Listing {
  readonly path: string
  readonly entries: ReadonlyArray<WopanEntry>
  /** `cache` also when the drive was asked and failed: then `failure` says how. */
  readonly source: "realtime" | "cache"
  /** Epoch milliseconds of when the drive said so. */
  readonly listedAt: number
  readonly ageMs: number
  /** The name of the token whose account it is. */
  readonly account: string
  readonly failure?: string | undefined
}

export interface Download {
  readonly path: string
  readonly url: Redacted.Redacted
  readonly account: string
}

export class Drive extends Context.Service<
  Drive,
  {
    /** All that is in a folder, over all its pages, with one token from the first call to the last. Waits for the drive. */
    list(request: DriveRequest): Effect.Effect<Listing, DriveFailure>
    /** Where a file can be had, asked with the token whose account lists it. Waits for the drive. */
    download(request: DriveRequest): Effect.Effect<Download, DriveFailure>
  }
>()("weirgate/drive/Drive") {}
