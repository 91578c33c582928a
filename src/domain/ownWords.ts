/**
 * What went wrong between us and an upstream, in our words alone: those of an upstream, or of the request, may repeat what was asked.
 * For traces and the log; the caller is told more.
 */
import { AccountBlocked, type CallFailure, RequestRejected, UpstreamUnavailable } from "./Failure.ts"

export const ownWords = (failure: { readonly message: string }): string => {
  if (failure instanceof RequestRejected) {
    const { code, param, provider, status } = failure
    const known = [code, param].filter((word) => word !== null && word !== undefined && isWord.test(word))
    return `${provider} rejected the request (${[status, ...known].join(", ")})`
  }
  if (failure instanceof UpstreamUnavailable) {
    const { detail, provider, reason, status } = failure
    const told = ours.has(reason) ? `: ${detail}` : status === undefined ? "" : `: it answered with status ${status}`
    return `${provider} is unavailable (${reason})${told}`
  }
  return failure instanceof AccountBlocked ? `${failure.provider} has blocked the account` : failure.message
}

/** Of a call that asked something, as it is kept with its token: a code stays, a sentence goes. */
export const withoutWords = (failure: CallFailure): CallFailure =>
  failure instanceof AccountBlocked && !isWord.test(failure.reason)
    ? new AccountBlocked({ provider: failure.provider, reason: "its answer to a call said so" })
    : failure

/** What a failure of these is told in comes from us. */
const ours: ReadonlySet<string> = new Set(["connection", "timeout", "cut"])

/** A code, or the path of a field; a sentence is neither. */
const isWord = /^[\w.[\]-]{1,64}$/
