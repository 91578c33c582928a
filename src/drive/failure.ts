/** How a request to the drive can fail. */
import { Schema } from "effect"
import type { NoTokenUsable } from "../pool/lease.ts"
import type { WopanFailure } from "../upstream/WopanClient.ts"

/** There is nothing of that name, in an account that could be asked or that was listed before. */
export class PathUnknown extends Schema.TaggedError<PathUnknown>()("PathUnknown", {
  path: Schema.String,
  /** Why nothing can be called so, when it is the path itself that is at fault. */
  reason: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.reason === undefined ? `there is nothing called ${this.path}` : `path: ${this.reason}`
  }
}

export type DriveFailure = PathUnknown | NoTokenUsable | WopanFailure

/** Another account may be able to answer: it is this one's token that cannot be used. */
export const isOfToken = (failure: DriveFailure): boolean =>
  failure._tag === "NoTokenUsable" ||
  failure._tag === "AccessRejected" ||
  failure._tag === "AccountBlocked" ||
  failure._tag === "Throttled"

/** Short, and without anything that the upstream said. */
export const inShort = (failure: DriveFailure): string => {
  switch (failure._tag) {
    case "AccountBlocked":
      return `${failure.provider} has blocked the account`
    case "RequestRejected":
      return `${failure.provider} rejected the request`
    case "UpstreamUnavailable":
      return `${failure.provider} is unavailable (${failure.status ?? failure.reason})`
    default:
      return failure.message
  }
}
